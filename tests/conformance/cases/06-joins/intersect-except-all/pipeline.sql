-- INTERSECT ALL and EXCEPT ALL: rows that are there several times

CREATE TABLE a (id STRING, v INT) WITH ('connector'='filesystem', 'path'='${CASE}/a.ndjson', 'format'='json');
CREATE TABLE b (id STRING, v INT) WITH ('connector'='filesystem', 'path'='${CASE}/b.ndjson', 'format'='json');

CREATE TABLE `result` (
  `what` STRING,
  `id` STRING,
  `v` INT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT 'both', id, v FROM (SELECT * FROM a INTERSECT ALL SELECT * FROM b)
UNION ALL SELECT 'left', id, v FROM (SELECT * FROM a EXCEPT ALL SELECT * FROM b)
UNION ALL SELECT 'right', id, v FROM (SELECT * FROM b EXCEPT ALL SELECT * FROM a)
UNION ALL SELECT 'twice', id, CAST(n AS INT) FROM (
  (SELECT id, COUNT(*) AS n FROM a GROUP BY id) INTERSECT ALL (SELECT id, COUNT(*) AS n FROM b GROUP BY id));
