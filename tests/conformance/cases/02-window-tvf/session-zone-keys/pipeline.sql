-- Days over half hours of each key, with window functions and group windows, in a zone with days of 23 and 25 hours

SET 'table.local-time-zone' = 'Europe/Berlin';

CREATE TABLE readings (
  k STRING, ts BIGINT, v INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '15' MINUTE
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (w STRING, k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), t TIMESTAMP_LTZ(3), n BIGINT, s INT) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

CREATE VIEW halves AS SELECT k, window_time AS t, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '30' MINUTE)) GROUP BY k, window_start, window_end, window_time;

INSERT INTO `result`
SELECT 'days', k, window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(TUMBLE(TABLE halves, DESCRIPTOR(t), INTERVAL '1' DAY)) GROUP BY k, window_start, window_end, window_time
UNION ALL SELECT 'hops', k, HOP_START(t, INTERVAL '1' HOUR, INTERVAL '2' HOUR), HOP_END(t, INTERVAL '1' HOUR, INTERVAL '2' HOUR), HOP_ROWTIME(t, INTERVAL '1' HOUR, INTERVAL '2' HOUR), COUNT(*), SUM(s) FROM halves GROUP BY HOP(t, INTERVAL '1' HOUR, INTERVAL '2' HOUR), k
UNION ALL SELECT 'sessions', k, SESSION_START(rt, INTERVAL '24' MINUTE), SESSION_END(rt, INTERVAL '24' MINUTE), SESSION_ROWTIME(rt, INTERVAL '24' MINUTE), COUNT(*), SUM(v) FROM readings GROUP BY SESSION(rt, INTERVAL '24' MINUTE), k
UNION ALL SELECT 'hours', k, TUMBLE_START(rt, INTERVAL '1' HOUR), TUMBLE_END(rt, INTERVAL '1' HOUR), TUMBLE_ROWTIME(rt, INTERVAL '1' HOUR), COUNT(*), SUM(v) FROM readings GROUP BY TUMBLE(rt, INTERVAL '1' HOUR), k;
