SET 'headwater.coarsen' = '1 min, 90 s';
CREATE TABLE readings (id STRING, v DOUBLE) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');
CREATE TABLE result (id STRING, v DOUBLE) WITH ('connector' = 'print');
INSERT INTO result SELECT id, v FROM readings;
