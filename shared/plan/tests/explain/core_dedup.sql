-- Readings may reach several gateways: the deduplication is at the core.
CREATE TABLE readings (
  id STRING, seq INT, ts BIGINT, m ROW<temp DOUBLE, unit STRING>,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/tmp/in.ndjson', 'format' = 'json');

CREATE TEMPORARY VIEW clean AS
SELECT id, rt, r.m.temp * 1.8 + 32 AS temp, m.unit
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id, seq ORDER BY rt) AS rn FROM readings
) AS r
WHERE rn = 1 AND m.temp IS NOT NULL;

CREATE TABLE result (
  window_end TIMESTAMP(3), id STRING, s DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '/tmp/out.ndjson', 'format' = 'json');

INSERT INTO result
SELECT window_end, id, SUM(temp) FILTER (WHERE unit = 'C')
FROM TABLE(HOP(TABLE clean, DESCRIPTOR(rt), INTERVAL '5' SECOND, INTERVAL '15' SECOND))
GROUP BY window_start, window_end, id;
