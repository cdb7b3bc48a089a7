-- Question 5: readings without a gap of more than ${gap} minutes, by stream and by device.

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

CREATE TABLE q5 (device STRING, sensor STRING, first_ts_ms BIGINT, last_ts_ms BIGINT, n BIGINT, `avg` DOUBLE,
  `min` DOUBLE, `max` DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${out}/q5.ndjson', 'format' = 'json');

CREATE TABLE q5b (device STRING, first_ts_ms BIGINT, last_ts_ms BIGINT, n BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q5b.ndjson', 'format' = 'json');

INSERT INTO q5
SELECT device, sensor, MIN(ts_ms), MAX(ts_ms), COUNT(*), AVG(`value`), MIN(`value`), MAX(`value`)
FROM TABLE(SESSION(TABLE once PARTITION BY device, sensor, DESCRIPTOR(rt), INTERVAL '${gap}' MINUTE))
GROUP BY device, sensor, window_start, window_end;

INSERT INTO q5b
SELECT device, MIN(ts_ms), MAX(ts_ms), COUNT(*)
FROM TABLE(SESSION(TABLE once PARTITION BY device, DESCRIPTOR(rt), INTERVAL '${gap}' MINUTE))
GROUP BY device, window_start, window_end;
