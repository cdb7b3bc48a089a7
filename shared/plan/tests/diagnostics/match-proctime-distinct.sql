CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (id STRING) WITH ('connector' = 'print');

CREATE VIEW found AS
SELECT id, p
FROM readings MATCH_RECOGNIZE (PARTITION BY id ORDER BY rt
  MEASURES MATCH_PROCTIME() AS p
  PATTERN (A B)
  DEFINE A AS v > 1);
-- Which rows are equal depends on the clock.
INSERT INTO result SELECT id FROM (SELECT DISTINCT id, p FROM found);
