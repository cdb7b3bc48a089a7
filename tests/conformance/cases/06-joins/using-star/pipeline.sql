-- USING: the shared columns stand in front, in their common type

CREATE TABLE a (k INT, id STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='${CASE}/a.ndjson', 'format'='json');

CREATE TABLE b (w INT, id STRING, k BIGINT)
WITH ('connector'='filesystem', 'path'='${CASE}/b.ndjson', 'format'='json');

CREATE TABLE `result` (id STRING, k BIGINT, v DOUBLE, w INT)
WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT * FROM a JOIN b USING (id, k);
