-- IF has the digits of a second of its first value, CASE of the longer one

CREATE TABLE readings (
  id STRING, ok BOOLEAN, s TIMESTAMP(3), u TIMESTAMP(6)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `short` STRING,
  `long` STRING,
  `either` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, CAST(IF(ok, s, u) AS STRING) AS short, CAST(IF(ok, u, s) AS STRING) AS `long`, CAST(CASE WHEN ok THEN s ELSE u END AS STRING) AS either
FROM readings;
