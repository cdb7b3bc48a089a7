-- Alarms: a pattern of readings, and readings that do not come. Ends when the file does:
--   headwater-agent run --standalone configs/alarms.sql --set out=/tmp

-- Rows that wait or belong to an open match, and open matches: `explain` shows the memory.
SET 'headwater.rows-max' = '16384';
SET 'headwater.matches-max' = '4096';

CREATE TABLE readings (
  device STRING,
  sensor STRING,
  ts BIGINT,                                      -- ms since 1970, UTC
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' MINUTE
) WITH (
  'connector' = 'filesystem',
  'path' = 'configs/data/readings.ndjson',
  'format' = 'json',
  'gateway-local' = 'device, sensor'              -- so both are found at the gateway
);

CREATE TABLE rises (
  device STRING,
  sensor STRING,
  from_ts BIGINT,
  to_ts BIGINT,
  rise DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/rises.csv',
  'format' = 'csv'
);

CREATE TABLE silences (
  device STRING,
  sensor STRING,
  last_ts BIGINT,
  deadline TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/silences.csv',
  'format' = 'csv'
);

-- Three rises in a row, by more than one degree together.
INSERT INTO rises
SELECT device, sensor, from_ts, to_ts, rise FROM readings MATCH_RECOGNIZE (
  PARTITION BY device, sensor ORDER BY rt
  MEASURES LOW.ts AS from_ts, LAST(UP.ts) AS to_ts, LAST(UP.`value`) - LOW.`value` AS rise
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (LOW UP{3}) WITHIN INTERVAL '30' MINUTE
  DEFINE UP AS `value` > PREV(`value`)
) AS m
WHERE sensor = 'temp_c' AND rise > 1;

-- No reading for half an hour.
INSERT INTO silences
SELECT device, sensor, ts, deadline
FROM TABLE(ABSENCE(TABLE readings PARTITION BY device, sensor, DESCRIPTOR(rt), INTERVAL '30' MINUTE));
