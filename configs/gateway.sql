-- A gateway: readings from a local Mosquitto, 10-second figures per sensor, merged over all
-- gateways at the aggregator. Both programs are given this file:
--   headwater-agent run --config configs/agent.toml configs/gateway.sql
--   headwater-aggregator run --config configs/aggregator.toml configs/gateway.sql
-- Publish {"ts": <ms since 1970>, "value": <number>} to sensors/<device>/<sensor>.

-- Windows times keys that may be open at once: `explain` shows the memory that follows from it.
SET 'headwater.panes-max' = '16384';

CREATE TABLE readings (
  ts BIGINT NOT NULL,
  `value` DOUBLE,
  gateway STRING METADATA VIRTUAL,                -- id of the agent
  device STRING METADATA FROM 'topic-segment.2' VIRTUAL,
  sensor STRING METADATA FROM 'topic-segment.3' VIRTUAL,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (
  'connector' = 'mqtt',
  'url' = '${sensors}',
  'topic' = 'sensors/+/+',
  'qos' = '1',
  'version' = '5',                                -- a wide in-flight window: see docs/guide
  'format' = 'json'
);

CREATE TABLE figures (
  gateway STRING,
  device STRING,
  sensor STRING,
  window_start TIMESTAMP(3),
  n BIGINT,
  mean DOUBLE,
  lowest DOUBLE,
  highest DOUBLE,
  PRIMARY KEY (gateway, device, sensor, window_start) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/figures.ndjson',
  'format' = 'changelog-json'
);

INSERT INTO figures
SELECT gateway, device, sensor, window_start, COUNT(*), AVG(`value`), MIN(`value`), MAX(`value`)
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
WHERE `value` BETWEEN -40 AND 125
GROUP BY gateway, device, sensor, window_start, window_end;
