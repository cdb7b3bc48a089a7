-- Intervals: times a number, with a sign, parts of them, beside FLOOR and CEIL; dates, times and TIMESTAMPADD

CREATE TABLE points (
  id INT, ts TIMESTAMP(3), t6 TIMESTAMP(6), t0 TIMESTAMP(0), lz TIMESTAMP_LTZ(6), dt DATE, tm TIME, n INT
) WITH ('connector'='filesystem', 'path'='${CASE}/points.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` INT,
  `hours` TIMESTAMP(3),
  `months` TIMESTAMP(3),
  `both` TIMESTAMP(3),
  `dh` DATE,
  `dhn` DATE,
  `dd` DATE,
  `tn` TIME(0),
  `sign` TIMESTAMP(3),
  `sign2` TIMESTAMP(3),
  `floor_day` DATE,
  `floor_month` TIMESTAMP(3),
  `floor_hour` TIMESTAMP(3),
  `ceil_day` DATE,
  `ceil_date` DATE,
  `floor_min` DATE,
  `ceil_ms` TIMESTAMP(6),
  `ceil_ms_z` TIMESTAMP_LTZ(6),
  `add_dt` TIMESTAMP(6),
  `add_tm` TIME(0),
  `add_tm2` TIME(0),
  `x_day` BIGINT,
  `x_hour` BIGINT,
  `x_ms` BIGINT,
  `x_month` BIGINT,
  `x_year` BIGINT,
  `x_fun` BIGINT,
  `shown` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, ts + INTERVAL '1' HOUR * n, ts - n * INTERVAL '1' MONTH, ts + (INTERVAL '1' DAY * n + INTERVAL '90' MINUTE),
  dt + INTERVAL '23' HOUR, dt - INTERVAL '30' HOUR * n, dt + INTERVAL '1 12' DAY TO HOUR, tm + INTERVAL '1' HOUR * n,
  ts + INTERVAL -'1' HOUR, ts - INTERVAL -'-1 12' DAY TO HOUR,
  FLOOR(dt + INTERVAL '1' DAY TO DAY), FLOOR(ts + INTERVAL '1' DAY TO MONTH), FLOOR(ts - INTERVAL '1' HOUR TO HOUR),
  CEIL(dt TO DAY), CEIL(dt - INTERVAL '1' MONTH TO MONTH), FLOOR(dt TO MINUTE),
  CEIL(t6 TO MILLISECOND), CEIL(lz TO MILLISECOND), TIMESTAMPADD(HOUR, n, dt), TIMESTAMPADD(MINUTE, n * 100, tm), TIMESTAMPADD(MONTH, n, tm),
  EXTRACT(DAY FROM INTERVAL '30' HOUR * n), EXTRACT(HOUR FROM INTERVAL '-90' MINUTE), EXTRACT(MILLISECOND FROM INTERVAL '1.5' SECOND),
  EXTRACT(MONTH FROM INTERVAL '1' MONTH * n), EXTRACT(YEAR FROM INTERVAL '1-2' YEAR TO MONTH), MINUTE(INTERVAL '1:30' HOUR TO MINUTE),
  CAST(t0 + INTERVAL '1.5' SECOND AS STRING)
FROM points;
