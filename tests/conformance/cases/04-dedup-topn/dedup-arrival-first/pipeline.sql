-- First row of each key by time of arrival

CREATE TABLE readings (id STRING, ts BIGINT, v DOUBLE, arrival AS PROCTIME())
WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (id STRING, ts BIGINT, v DOUBLE)
WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, ts, v
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY arrival) AS rn FROM readings)
WHERE rn = 1;
