CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE, arrival AS PROCTIME(),
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json');

CREATE TABLE result (device STRING, site STRING) WITH ('connector' = 'print');

CREATE TABLE times (device STRING, t TIMESTAMP_LTZ(3)) WITH ('connector' = 'print');
INSERT INTO times SELECT device, arrival FROM readings;
