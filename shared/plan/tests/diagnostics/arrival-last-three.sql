CREATE TABLE readings (id STRING, v DOUBLE, arrival AS PROCTIME())
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE) WITH ('connector' = 'print');

INSERT INTO result
SELECT id, v
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY arrival DESC) AS rn FROM readings)
WHERE rn <= 3;
