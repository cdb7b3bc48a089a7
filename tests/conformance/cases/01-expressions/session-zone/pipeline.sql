-- Points in time shown and read in the session's zone, also where its clock changes

SET 'table.local-time-zone' = 'Europe/Berlin';

CREATE TABLE points (
  id STRING, ts BIGINT, t TIMESTAMP(3), d DATE, s STRING,
  l AS TO_TIMESTAMP_LTZ(ts, 3)
) WITH ('connector'='filesystem', 'path'='${CASE}/points.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `l` TIMESTAMP_LTZ(3),
  `shown` STRING,
  `local` TIMESTAMP(3),
  `of_day` TIME(0),
  `on_day` DATE,
  `from_t` TIMESTAMP_LTZ(3),
  `from_d` TIMESTAMP_LTZ(3),
  `from_s` TIMESTAMP_LTZ(3),
  `hour_of` BIGINT,
  `day_of` BIGINT,
  `week_of` BIGINT,
  `floored` TIMESTAMP_LTZ(3),
  `ceiled` TIMESTAMP_LTZ(3),
  `month_of` TIMESTAMP_LTZ(3),
  `hour_floor` TIMESTAMP_LTZ(3),
  `formatted` STRING,
  `unix` BIGINT,
  `from_unix` STRING,
  `next_day` TIMESTAMP_LTZ(3),
  `next_month` TIMESTAMP_LTZ(3),
  `apart` INT,
  `before` BOOLEAN,
  `same` BOOLEAN,
  `either` TIMESTAMP_LTZ(3),
  `in_array` ARRAY<TIMESTAMP(3)>,
  `as_json` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, l, CAST(l AS STRING), CAST(l AS TIMESTAMP(3)), CAST(l AS TIME(0)), CAST(l AS DATE),
  CAST(t AS TIMESTAMP_LTZ(3)), CAST(d AS TIMESTAMP_LTZ(3)), CAST(s AS TIMESTAMP_LTZ(3)),
  EXTRACT(HOUR FROM l), DAYOFMONTH(l), WEEK(l),
  FLOOR(l TO DAY), CEIL(l TO DAY), FLOOR(l TO MONTH), FLOOR(l TO HOUR),
  DATE_FORMAT(l, 'yyyy-MM-dd HH:mm'), UNIX_TIMESTAMP(s), FROM_UNIXTIME(ts / 1000),
  l + INTERVAL '1' DAY, l + INTERVAL '1' MONTH,
  TIMESTAMPDIFF(HOUR, TO_TIMESTAMP_LTZ(0, 3), l),
  l < CAST(t AS TIMESTAMP_LTZ(3)), l = s, COALESCE(CAST(t AS TIMESTAMP_LTZ(3)), l), CAST(ARRAY[l] AS ARRAY<TIMESTAMP(3)>), JSON_STRING(l)
FROM points;
