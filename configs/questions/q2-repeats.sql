-- Question 2: how often each stream was delivered, and how many readings there are.
-- A result that changes with every row; the last row of a stream counts.

SET 'headwater.panes-max' = '131072';
SET 'headwater.symbols-max' = '131072';

CREATE TABLE delivered (
  arrival_ms BIGINT, seq BIGINT, ts_ms BIGINT, device STRING, sensor STRING, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts_ms, 3),
  WATERMARK FOR rt AS rt - INTERVAL '20' MINUTE
) WITH (
  'connector' = 'filesystem', 'path' = '${data}', 'format' = 'csv',
  'gateway-local' = 'device, sensor'
);

CREATE TABLE q2_dedup (device STRING, sensor STRING, delivered BIGINT, unique_seq BIGINT, duplicates BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q2_dedup.ndjson', 'format' = 'changelog-json');

INSERT INTO q2_dedup
SELECT device, sensor, SUM(copies), COUNT(*), SUM(copies) - COUNT(*)
FROM (
  SELECT device, sensor, seq, COUNT(*) AS copies
  FROM delivered
  GROUP BY device, sensor, seq)
GROUP BY device, sensor;
