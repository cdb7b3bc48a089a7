CREATE TABLE readings (device STRING, sensor STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE named (device STRING, name STRING, v DOUBLE) WITH ('connector' = 'print');
CREATE TABLE fixed (n BIGINT, what STRING) WITH ('connector' = 'print');
CREATE TABLE local (n BIGINT) WITH ('connector' = 'print', 'at' = 'edge');

CREATE VIEW names (sensor, name, unit) AS VALUES ('t', 'temperature', 'C'), ('rh', 'humidity', '%');

INSERT INTO named
SELECT r.device, n.name, r.v FROM readings r JOIN names n ON r.sensor = n.sensor;

INSERT INTO fixed VALUES (1, 'one'), (2, UPPER('two'));

INSERT INTO local SELECT COUNT(*) FROM (VALUES (1), (2)) AS t (n) WHERE n > 1;
