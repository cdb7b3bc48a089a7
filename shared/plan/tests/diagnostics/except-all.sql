CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING) WITH ('connector' = 'print');

INSERT INTO result SELECT id FROM readings EXCEPT ALL SELECT id FROM readings WHERE v > 3;
