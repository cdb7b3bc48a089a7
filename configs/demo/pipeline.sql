-- The pipeline of `headwater-aggregator demo`: one file for the three gateways and the aggregator.
-- ${broker}, ${gateway} and ${out} come from each node's configuration.

-- Capacities of a small gateway: `explain` shows the memory that follows from them.
SET 'headwater.dedup-entries-max' = '32768';
SET 'headwater.panes-max' = '8192';

CREATE TABLE readings (
  seq BIGINT,
  ts BIGINT,                                      -- ms since 1970, UTC
  device STRING,
  sensor STRING,
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '20' MINUTE   -- the data holds delays of up to 15 min
) WITH (
  'connector' = 'mqtt',
  'url' = 'mqtt://${broker}',
  'topic' = 'demo/${gateway}/#',
  'qos' = '1',
  'format' = 'json',
  'gateway-local' = 'device, sensor'              -- a stream arrives at one gateway only
);

-- Sensors and brokers send readings again: the first one of each identity counts.
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
  total DOUBLE,
  mean DOUBLE,
  lowest DOUBLE,
  highest DOUBLE,
  PRIMARY KEY (device, sensor, window_start) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/hours.ndjson',
  'format' = 'changelog-json'                     -- a gateway that comes back corrects a row
);

INSERT INTO hours
SELECT device, sensor, window_start, COUNT(*), SUM(`value`), AVG(`value`), MIN(`value`),
  MAX(`value`)
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(rt), INTERVAL '1' HOUR))
GROUP BY device, sensor, window_start, window_end;
