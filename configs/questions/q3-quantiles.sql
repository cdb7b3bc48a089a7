-- Question 3: quantiles of an hour that slides by ${slide} minutes, interpolated linearly.

CREATE TABLE delivered (
  arrival_ms BIGINT, seq BIGINT, ts_ms BIGINT, device STRING, sensor STRING, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts_ms, 3),
  WATERMARK FOR rt AS rt - INTERVAL '20' MINUTE
) WITH (
  'connector' = 'filesystem', 'path' = '${data}', 'format' = 'csv',
  'gateway-local' = 'device, sensor'
);

CREATE VIEW once AS
SELECT device, sensor, seq, ts_ms, `value`, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, seq ORDER BY rt ASC) AS copy
  FROM delivered)
WHERE copy = 1;

CREATE TABLE q3 (device STRING, sensor STRING, window_start TIMESTAMP(3), n BIGINT, p50 DOUBLE, p95 DOUBLE, p99 DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${out}/q3.ndjson', 'format' = 'json');

INSERT INTO q3
SELECT device, sensor, window_start, COUNT(*), PERCENTILE(`value`, 0.5), PERCENTILE(`value`, 0.95),
  PERCENTILE(`value`, 0.99)
FROM TABLE(HOP(TABLE once, DESCRIPTOR(rt), INTERVAL '${slide}' MINUTE, INTERVAL '60' MINUTE))
GROUP BY device, sensor, window_start, window_end;
