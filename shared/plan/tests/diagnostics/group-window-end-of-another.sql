CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (x TIMESTAMP(3), y DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT TUMBLE_START(rt, INTERVAL '20' SECOND), SUM(v) FROM readings
GROUP BY TUMBLE(rt, INTERVAL '10' SECOND);
