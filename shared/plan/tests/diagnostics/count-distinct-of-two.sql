CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (window_start TIMESTAMP(3), x DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT window_start, CAST(COUNT(DISTINCT id, v) AS DOUBLE) FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
