-- Stateless: out-of-range readings of a followed file go to standard output at once. For a
-- gateway that only forwards what matters. Ends with SIGTERM, or: --drain-after-idle 2s
--   headwater-agent run --standalone configs/alerts.sql

CREATE TABLE readings (
  device STRING,
  sensor STRING,
  ts BIGINT,
  `value` DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/readings.ndjson',
  'format' = 'json',
  'source.monitor-interval' = '1 s'               -- follow the file
);

CREATE TABLE alerts (
  device STRING,
  sensor STRING,
  ts BIGINT,
  `value` DOUBLE,
  kind STRING
) WITH (
  'connector' = 'print'
);

INSERT INTO alerts
SELECT device, sensor, ts, `value`, CASE WHEN `value` > 30 THEN 'high' ELSE 'low' END
FROM readings
WHERE sensor = 'temp_c' AND `value` NOT BETWEEN 5 AND 30;
