-- Windows over the time of windows by the session zone's clock

SET 'table.local-time-zone' = 'Europe/Berlin';

CREATE TABLE readings (
  k STRING, ts BIGINT, v INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '10' MINUTE
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (w STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), t TIMESTAMP_LTZ(3), n BIGINT, s INT) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

CREATE VIEW halves AS SELECT window_time AS t, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '30' MINUTE)) GROUP BY window_start, window_end, window_time;

CREATE VIEW hops AS SELECT window_time AS t, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(HOP(TABLE readings, DESCRIPTOR(rt), INTERVAL '30' MINUTE, INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time;

CREATE VIEW gaps AS SELECT window_time AS t, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(SESSION(TABLE readings, DESCRIPTOR(rt), INTERVAL '35' MINUTE)) GROUP BY window_start, window_end, window_time;

INSERT INTO `result`
SELECT 'days', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(TUMBLE(TABLE halves, DESCRIPTOR(t), INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'hours', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(TUMBLE(TABLE halves, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'hop hours', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(TUMBLE(TABLE hops, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'gap hours', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(TUMBLE(TABLE gaps, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'hop of gaps', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(HOP(TABLE gaps, DESCRIPTOR(t), INTERVAL '30' MINUTE, INTERVAL '2' HOUR)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'cumulated', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(CUMULATE(TABLE halves, DESCRIPTOR(t), INTERVAL '6' HOUR, INTERVAL '1' DAY)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'sessions', window_start, window_end, window_time, COUNT(*), SUM(s) FROM TABLE(SESSION(TABLE halves, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, window_time
UNION ALL SELECT 'rows', window_start, window_end, window_time, n, s FROM TABLE(TUMBLE(TABLE gaps, DESCRIPTOR(t), INTERVAL '1' DAY));
