CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, n BIGINT, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/out.csv', 'format' = 'csv');

INSERT INTO result SELECT id, COUNT(*) FROM readings GROUP BY id HAVING COUNT(*) < 10;
