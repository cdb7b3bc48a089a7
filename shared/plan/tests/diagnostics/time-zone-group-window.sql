SET 'table.local-time-zone' = 'GMT+01:00';
CREATE TABLE readings (id STRING, v INT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');
CREATE TABLE result (n BIGINT) WITH ('connector' = 'print');
INSERT INTO result SELECT COUNT(*) FROM readings GROUP BY TUMBLE(rt, INTERVAL '1' DAY);
