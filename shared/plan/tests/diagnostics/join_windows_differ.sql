CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT a.id, b.v
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND)) a
JOIN TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '20' SECOND)) b
ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.id = b.id;
