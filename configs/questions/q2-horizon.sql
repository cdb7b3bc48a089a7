-- Question 2: repeats that come within ten minutes of the first copy, and later ones; by arrival.

CREATE TABLE delivered (
  arrival_ms BIGINT, seq BIGINT, ts_ms BIGINT, device STRING, sensor STRING, `value` DOUBLE,
  arrived AS TO_TIMESTAMP_LTZ(arrival_ms, 3),
  WATERMARK FOR arrived AS arrived - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem', 'path' = '${data}', 'format' = 'csv',
  'gateway-local' = 'device, sensor'
);

CREATE VIEW copies AS
SELECT arrival_ms, arrived,
  MIN(arrival_ms) OVER identity AS first_ms,
  COUNT(*) OVER identity AS copy
FROM delivered
WINDOW identity AS (
  PARTITION BY device, sensor, seq ORDER BY arrived
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

CREATE TABLE q2_horizon (dropped_within_horizon BIGINT, beyond_horizon BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q2_horizon.ndjson', 'format' = 'changelog-json');

INSERT INTO q2_horizon
SELECT COUNT(*) FILTER (WHERE arrival_ms - first_ms <= 600000),
  COUNT(*) FILTER (WHERE arrival_ms - first_ms > 600000)
FROM copies
WHERE copy > 1;
