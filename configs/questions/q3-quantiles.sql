-- Question 3: quantiles of an hour that slides by ${slide} minutes: interpolated linearly, and the
-- readings nearest to them (the ceil(p * n)-th smallest).

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

CREATE VIEW sliding AS
SELECT device, sensor, window_start, COUNT(*) AS n, PERCENTILE(`value`, 0.5) AS p50,
  PERCENTILE(`value`, 0.95) AS p95, PERCENTILE(`value`, 0.99) AS p99,
  ARRAY_SORT(ARRAY_AGG(`value`)) AS sorted
FROM TABLE(HOP(TABLE once, DESCRIPTOR(rt), INTERVAL '${slide}' MINUTE, INTERVAL '60' MINUTE))
GROUP BY device, sensor, window_start, window_end;

CREATE TABLE q3 (
  device STRING, sensor STRING, window_start TIMESTAMP(3), n BIGINT, p50 DOUBLE, p95 DOUBLE, p99 DOUBLE,
  p50_nearest DOUBLE, p95_nearest DOUBLE, p99_nearest DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${out}/q3.ndjson', 'format' = 'json');

INSERT INTO q3
SELECT device, sensor, window_start, n, p50, p95, p99, sorted[CAST(CEIL(0.5 * n) AS INT)],
  sorted[CAST(CEIL(0.95 * n) AS INT)], sorted[CAST(CEIL(0.99 * n) AS INT)]
FROM sliding;
