CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING) WITH ('connector' = 'print');

INSERT INTO result
WITH RECURSIVE r AS (SELECT id FROM readings) SELECT id FROM r;
