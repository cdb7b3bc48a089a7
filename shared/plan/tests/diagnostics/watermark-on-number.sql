CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR ts AS ts - 5
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

