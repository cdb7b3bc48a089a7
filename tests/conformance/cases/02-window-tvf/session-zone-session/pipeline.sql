-- Sessions by the session zone's clock

SET 'table.local-time-zone' = 'Europe/Berlin';

CREATE TABLE readings (
  k STRING, ts BIGINT, v INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '10' MINUTE
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(SESSION(TABLE readings PARTITION BY k, DESCRIPTOR(rt), INTERVAL '45' MINUTE)) GROUP BY window_start, window_end, k;
