CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE)
WITH ('connector' = 'print');

INSERT INTO result
SELECT a.id, b.v FROM readings a JOIN readings b
ON a.id = b.id AND a.rt > b.rt AND a.rt < b.rt - INTERVAL '1' SECOND;
