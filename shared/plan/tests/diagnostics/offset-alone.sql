CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING) WITH ('connector' = 'print');

INSERT INTO result SELECT id FROM readings ORDER BY v OFFSET 3 ROWS;
