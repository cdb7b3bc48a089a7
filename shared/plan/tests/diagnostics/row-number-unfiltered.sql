CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT id, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY v) AS rn FROM readings
) WHERE rn >= 3;
