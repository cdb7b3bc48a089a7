CREATE TABLE readings (device STRING, v DOUBLE, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json', 'at' = 'core',
  'scan.watermark.alignment.group' = 'g', 'scan.watermark.alignment.max-drift' = '1 min');
CREATE TABLE result (device STRING, v DOUBLE) WITH ('connector' = 'print');
INSERT INTO result SELECT device, v FROM readings;
