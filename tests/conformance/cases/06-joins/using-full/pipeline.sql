-- NATURAL FULL JOIN: the shared columns are those of either side

CREATE TABLE a (k INT, id STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='${CASE}/a.ndjson', 'format'='json');

CREATE TABLE b (w INT, id STRING, k BIGINT)
WITH ('connector'='filesystem', 'path'='${CASE}/b.ndjson', 'format'='json');

CREATE TABLE `result` (k BIGINT, id STRING, v DOUBLE, w INT)
WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT * FROM a NATURAL FULL JOIN b;
