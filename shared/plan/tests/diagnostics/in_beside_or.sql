CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT id, v FROM readings WHERE v > 1 OR id IN (SELECT id FROM readings);
