-- File in, file out, without any server; ends when the file does:
--   headwater-agent run --standalone configs/hourly-file.sql --set out=/tmp
-- Repeats are removed by identity, then hourly figures are taken per sensor.

CREATE TABLE readings (
  device STRING,
  sensor STRING,
  seq BIGINT,
  ts BIGINT,                                      -- ms since 1970, UTC
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/readings.ndjson',
  'format' = 'json',
  'gateway-local' = 'device, sensor'
);

CREATE VIEW once AS
SELECT device, sensor, `value`, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, seq ORDER BY rt ASC) AS rn
  FROM readings)
WHERE rn = 1;

CREATE TABLE hours (
  device STRING,
  sensor STRING,
  window_start TIMESTAMP(3),
  n BIGINT,
  mean DOUBLE,
  lowest DOUBLE,
  highest DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/hours.csv',
  'format' = 'csv'
);

INSERT INTO hours
SELECT device, sensor, window_start, COUNT(*), AVG(`value`), MIN(`value`), MAX(`value`)
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(rt), INTERVAL '1' HOUR))
GROUP BY device, sensor, window_start, window_end;
