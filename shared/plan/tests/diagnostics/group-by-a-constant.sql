CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (n BIGINT) WITH ('connector' = 'print');

INSERT INTO result SELECT COUNT(*) FROM readings GROUP BY 1;
