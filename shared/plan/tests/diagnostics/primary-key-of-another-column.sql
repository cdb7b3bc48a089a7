CREATE TABLE readings (id STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, n BIGINT, PRIMARY KEY (n) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/out.ndjson', 'format' = 'json');

INSERT INTO result SELECT id, COUNT(*) FROM readings GROUP BY id;
