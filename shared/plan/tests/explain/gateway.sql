-- A gateway's job: range filter, deduplication by identity, windows per stream, late rows aside.
SET 'headwater.dedup-entries-max' = '10000';
SET 'headwater.panes-max' = '20000';

CREATE TABLE readings (
  seq BIGINT, ts BIGINT, device STRING, sensor STRING, v DOUBLE, unused STRING,
  gateway STRING METADATA VIRTUAL,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '15' MINUTE
) WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost:1883', 'topic' = 'sensors/#',
  'format' = 'json', 'gateway-local' = 'device', 'late' = 'late_readings');

CREATE TABLE late_readings (
  device STRING, sensor STRING, ts BIGINT, v DOUBLE
) WITH ('connector' = 'print');

CREATE VIEW clean AS
SELECT seq, device, sensor, v, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, seq ORDER BY rt ASC) AS rn
  FROM readings WHERE v BETWEEN -50 AND 100
) WHERE rn = 1;

CREATE TABLE hourly (
  window_start TIMESTAMP(3), device STRING, sensor STRING, n BIGINT, mean DOUBLE, lo DOUBLE,
  revision INT METADATA,
  PRIMARY KEY (window_start, device, sensor) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '/tmp/hourly.ndjson', 'format' = 'json');

CREATE TABLE alarms (
  device STRING, sensor STRING, v DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '/tmp/alarms.ndjson', 'format' = 'json');

INSERT INTO hourly
SELECT window_start, device, sensor, COUNT(*) AS n, AVG(v) AS mean, MIN(v) AS lo
FROM TABLE(TUMBLE(TABLE clean, DESCRIPTOR(rt), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, device, sensor
HAVING COUNT(*) > 1;

INSERT INTO alarms
SELECT device, sensor, v FROM clean WHERE v > 90;
