SET 'headwater.coarsen' = '45 s';
CREATE TABLE readings (id STRING, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');
CREATE TABLE result (id STRING, n BIGINT) WITH ('connector' = 'print');
INSERT INTO result SELECT id, COUNT(*)
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY id, window_start, window_end;
