CREATE TABLE readings (
  device STRING, sensor STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json', 'gateway-local' = 'device');

CREATE TABLE calibrations (
  device STRING, factor DOUBLE, bias DOUBLE, ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt,
  PRIMARY KEY (device) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '/c.ndjson', 'format' = 'json', 'gateway-local' = 'device');

CREATE TABLE limit_log (
  sensor STRING, high DOUBLE, ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt
) WITH ('connector' = 'filesystem', 'path' = '/l.ndjson', 'format' = 'json', 'at' = 'core');

CREATE VIEW limits AS
SELECT sensor, high, rt
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY sensor ORDER BY rt DESC) AS rn FROM limit_log)
WHERE rn = 1;

CREATE VIEW calibrated AS
SELECT r.device, r.sensor, r.rt, r.v * c.factor AS v
FROM readings r JOIN calibrations FOR SYSTEM_TIME AS OF r.rt AS c ON r.device = c.device
WHERE r.v > 0 AND c.factor < 10;

CREATE TABLE alarms (device STRING, sensor STRING, v DOUBLE, high DOUBLE) WITH ('connector' = 'print');

INSERT INTO alarms
SELECT a.device, a.sensor, a.v, l.high
FROM calibrated a LEFT JOIN limits FOR SYSTEM_TIME AS OF a.rt AS l ON a.sensor = l.sensor AND a.v > l.high;
