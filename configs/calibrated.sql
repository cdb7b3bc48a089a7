-- Readings with the calibration that was valid when each was taken, and the site of their device:
--   headwater-aggregator run --standalone configs/calibrated.sql --set out=/tmp
-- A calibration holds from its own time on: a temporal join. Their file is in order of that time: one
-- behind the watermark would come too late for readings that have gone on. Where a device stands is
-- looked up in a file as it is when a reading comes; a changed file is read again.

CREATE TABLE readings (
  device STRING,
  sensor STRING,
  ts BIGINT,                                      -- ms since 1970, UTC
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  arrival AS PROCTIME(),
  WATERMARK FOR rt AS rt - INTERVAL '5' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/readings.ndjson',
  'format' = 'json',
  'gateway-local' = 'device, sensor'
);

CREATE TABLE calibrations (
  device STRING,
  sensor STRING,
  since BIGINT,
  factor DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(since, 3),
  WATERMARK FOR rt AS rt,
  PRIMARY KEY (device, sensor) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/calibrations.ndjson',
  'format' = 'json',
  'gateway-local' = 'device, sensor'
);

CREATE TABLE sites (device STRING, site STRING) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/sites.csv',
  'format' = 'csv',
  'lookup.full-cache.periodic-reload.interval' = '1 min'
);

CREATE TABLE calibrated (device STRING, site STRING, sensor STRING, ts BIGINT, `value` DOUBLE, factor DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${out}/calibrated.csv', 'format' = 'csv');

INSERT INTO calibrated
SELECT r.device, s.site, r.sensor, r.ts, ROUND(r.`value` * COALESCE(c.factor, 1), 3), c.factor
FROM readings AS r
LEFT JOIN calibrations FOR SYSTEM_TIME AS OF r.rt AS c ON r.device = c.device AND r.sensor = c.sensor
LEFT JOIN sites FOR SYSTEM_TIME AS OF r.arrival AS s ON r.device = s.device;
