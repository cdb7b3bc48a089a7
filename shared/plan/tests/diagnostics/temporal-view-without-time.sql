CREATE TABLE readings (
  device STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE rates (
  device STRING, factor DOUBLE, ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt, PRIMARY KEY (device) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '/rates.ndjson', 'format' = 'json');

CREATE TABLE result (device STRING, factor DOUBLE) WITH ('connector' = 'print');

CREATE VIEW bare AS SELECT device, factor FROM rates;
INSERT INTO result
SELECT r.device, c.factor FROM readings r JOIN bare FOR SYSTEM_TIME AS OF r.rt AS c ON r.device = c.device;
