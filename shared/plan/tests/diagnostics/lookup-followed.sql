CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE, arrival AS PROCTIME(),
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json', 'source.monitor-interval' = '1 s');

CREATE TABLE result (device STRING, site STRING) WITH ('connector' = 'print');

INSERT INTO result
SELECT r.device, a.site FROM readings r JOIN assets FOR SYSTEM_TIME AS OF r.arrival AS a ON r.device = a.device;
