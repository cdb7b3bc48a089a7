CREATE TABLE readings (id STRING, v DOUBLE, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE limits (id STRING, high DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/limits.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE, high DOUBLE, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/out.ndjson', 'format' = 'json');

INSERT INTO result
SELECT r.id, r.v, l.high FROM readings r LEFT JOIN limits l ON r.id = l.id;
