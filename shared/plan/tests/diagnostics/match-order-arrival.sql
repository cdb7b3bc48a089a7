CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, p AS PROCTIME(),
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING, v DOUBLE) WITH ('connector' = 'print');

INSERT INTO result
SELECT id, x FROM readings MATCH_RECOGNIZE (PARTITION BY id ORDER BY p
  MEASURES A.v AS x
  PATTERN (A B)
  DEFINE A AS v > 1);
