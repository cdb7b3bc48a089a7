CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE, arrival AS PROCTIME(),
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost', 'topic' = 'sensors/#', 'format' = 'json');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json');
CREATE TABLE calibrations (device STRING, factor DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/calibrations.csv', 'format' = 'csv', 'at' = 'core');

CREATE TABLE placed (device STRING, site STRING) WITH ('connector' = 'print');
CREATE TABLE calibrated (device STRING, v DOUBLE) WITH ('connector' = 'print');

CREATE VIEW firsts AS SELECT device, arrival FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, ts ORDER BY rt) AS rn FROM readings) WHERE rn = 1;
-- The deduplication meets rows of several gateways, so the file is read at the core.
INSERT INTO placed
SELECT f.device, a.site FROM firsts f JOIN assets FOR SYSTEM_TIME AS OF f.arrival AS a ON f.device = a.device;
-- Here the table says so.
INSERT INTO calibrated
SELECT r.device, r.v * c.factor FROM readings r JOIN calibrations FOR SYSTEM_TIME AS OF r.arrival AS c
ON r.device = c.device WHERE c.factor > 0;
