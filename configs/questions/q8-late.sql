-- Question 8: what a bound on disorder that is too small loses. The late rows are a table of their own.

CREATE TABLE delivered (
  arrival_ms BIGINT, seq BIGINT, ts_ms BIGINT, device STRING, sensor STRING, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts_ms, 3),
  WATERMARK FOR rt AS rt - INTERVAL '${bound}' MINUTE
) WITH (
  'connector' = 'filesystem', 'path' = '${data}', 'format' = 'csv',
  'gateway-local' = 'device, sensor', 'late' = 'q8_late'
);

CREATE TABLE q8_late (arrival_ms BIGINT, device STRING, sensor STRING, seq BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q8_late.ndjson', 'format' = 'json');

CREATE TABLE q8_windows (device STRING, sensor STRING, window_start TIMESTAMP(3), n BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q8_windows.ndjson', 'format' = 'json');

INSERT INTO q8_windows
SELECT device, sensor, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE delivered, DESCRIPTOR(rt), INTERVAL '${window}' MINUTE))
GROUP BY device, sensor, window_start, window_end;
