CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE, arrival AS PROCTIME(),
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json', 'at' = 'edge');

CREATE TABLE result (device STRING, site STRING) WITH ('connector' = 'print');

CREATE VIEW means AS
SELECT device, AVG(v) AS v, arrival2 FROM (SELECT device, v, rt, 1 AS arrival2 FROM readings)
GROUP BY device, arrival2;
CREATE VIEW firsts AS SELECT device, arrival FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY rt) AS rn FROM readings) WHERE rn = 1;
INSERT INTO result
SELECT m.device, a.site FROM firsts m JOIN assets FOR SYSTEM_TIME AS OF m.arrival AS a ON m.device = a.device;
