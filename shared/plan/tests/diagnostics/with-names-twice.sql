CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING) WITH ('connector' = 'print');

INSERT INTO result
WITH hot AS (SELECT id FROM readings WHERE v > 30),
     hot AS (SELECT id FROM readings WHERE v > 40)
SELECT id FROM hot;
