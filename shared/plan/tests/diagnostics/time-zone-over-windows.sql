SET 'table.local-time-zone' = 'GMT+01:00';
CREATE TABLE readings (id STRING, v INT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');
CREATE TABLE result (n BIGINT) WITH ('connector' = 'print');
CREATE VIEW hours AS SELECT window_time AS t, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time;
INSERT INTO result SELECT LAG(n) OVER (ORDER BY t) FROM hours;
