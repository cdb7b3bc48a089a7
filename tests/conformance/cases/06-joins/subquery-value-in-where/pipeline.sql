-- Subqueries as values in WHERE and HAVING: comparisons that are unknown while or because there is no row, beside OR, IN and NOT

CREATE TABLE readings (
  id STRING, ts BIGINT, v INT
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE limits (x INT) WITH ('connector'='filesystem', 'path'='${CASE}/limits.ndjson', 'format'='json');

CREATE TABLE absent (x INT) WITH ('connector'='filesystem', 'path'='${CASE}/absent.ndjson', 'format'='json');

CREATE TABLE `result` (
  `case` STRING,
  `id` STRING,
  `v` INT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT 'above', id, v FROM readings WHERE v > (SELECT MAX(x) FROM limits)
UNION ALL SELECT 'mean', id, v FROM readings WHERE v >= (SELECT AVG(v) FROM readings)
UNION ALL SELECT 'largest', id, v FROM readings WHERE v = (SELECT MAX(v) FROM readings)
UNION ALL SELECT 'none', id, v FROM readings WHERE v > (SELECT MAX(x) FROM absent)
UNION ALL SELECT 'not none', id, v FROM readings WHERE NOT (v > (SELECT COUNT(*) FROM absent))
UNION ALL SELECT 'unknown', id, v FROM readings WHERE (v > (SELECT MAX(x) FROM absent)) IS UNKNOWN AND v > 0
UNION ALL SELECT 'or', id, v FROM readings WHERE v > (SELECT MAX(x) FROM limits) OR id = 'a'
UNION ALL SELECT 'between', id, v FROM readings WHERE v BETWEEN (SELECT MIN(x) FROM limits) AND (SELECT MAX(x) + 1 FROM limits)
UNION ALL SELECT 'in', id, v FROM readings WHERE id IN (SELECT id FROM readings WHERE v > 4) AND v > (SELECT MIN(x) FROM limits)
UNION ALL SELECT 'coalesce', id, v FROM readings WHERE COALESCE((SELECT MAX(x) FROM absent), 2) < v
UNION ALL SELECT 'group', id, SUM(v) FROM readings WHERE v <> (SELECT MIN(x) FROM limits) GROUP BY id HAVING SUM(v) < (SELECT MAX(x) FROM limits);
