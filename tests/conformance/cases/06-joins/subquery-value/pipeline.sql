-- Subqueries as values: of one row, of none, of a changing aggregate, of the table itself; in the list of a grouped query

CREATE TABLE readings (
  id STRING, ts BIGINT, v INT
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE limits (x INT) WITH ('connector'='filesystem', 'path'='${CASE}/limits.ndjson', 'format'='json');

CREATE TABLE absent (x INT) WITH ('connector'='filesystem', 'path'='${CASE}/absent.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `v` BIGINT,
  `hi` INT,
  `n` BIGINT,
  `no` INT,
  `none` BIGINT,
  `off` DOUBLE,
  `class` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT id, v, (SELECT MAX(x) FROM limits), (SELECT COUNT(*) FROM readings), (SELECT MAX(x) FROM absent), (SELECT COUNT(*) FROM absent),
  v - (SELECT AVG(CAST(v AS DOUBLE)) FROM readings WHERE v > (SELECT MIN(x) FROM limits)),
  CASE WHEN v > (SELECT MAX(x) FROM limits) THEN 'high' ELSE 'low' END
FROM readings
UNION ALL
SELECT id, COUNT(*) + (SELECT COUNT(*) FROM limits), MAX(v) - (SELECT MAX(x) FROM limits), SUM(v), (SELECT x FROM limits WHERE x > 2 ORDER BY x LIMIT 1),
  CAST(NULL AS BIGINT), CAST((SELECT 1.5) AS DOUBLE), 'group'
FROM readings GROUP BY id;
