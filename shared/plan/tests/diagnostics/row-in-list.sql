CREATE TABLE readings (id STRING, m ROW<temp DOUBLE, unit STRING>, q ROW<t DOUBLE, u STRING>)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');
CREATE TABLE result (x STRING) WITH ('connector' = 'print');
INSERT INTO result SELECT id FROM readings WHERE m IN (ROW(1e0, 'C'));
