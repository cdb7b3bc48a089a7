-- INSERT cuts and fills texts where the column's type is not the query's

CREATE TABLE readings (
  id STRING, s STRING, v VARCHAR(6), c CHAR(3)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `cut` VARCHAR(3),
  `cut_too` VARCHAR(4),
  `same` VARCHAR(6),
  `longer` VARCHAR(10),
  `filled` CHAR(5),
  `shortened` CHAR(2),
  `text` STRING,
  `literal` CHAR(4)
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, s, v, v, v, c, c, c, 'ab' FROM readings;
