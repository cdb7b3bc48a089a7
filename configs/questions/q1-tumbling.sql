-- Question 1: figures of each stream in ten minutes and in an hour, repeats removed.

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

CREATE TABLE q1_600000 (device STRING, sensor STRING, window_start TIMESTAMP(3), n BIGINT, `sum` DOUBLE, `avg` DOUBLE,
  `min` DOUBLE, `max` DOUBLE, stddev_pop DOUBLE, stddev_samp DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${out}/q1_600000.ndjson', 'format' = 'json');

CREATE TABLE q1_3600000 (device STRING, sensor STRING, window_start TIMESTAMP(3), n BIGINT, `sum` DOUBLE, `avg` DOUBLE,
  `min` DOUBLE, `max` DOUBLE, stddev_pop DOUBLE, stddev_samp DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '${out}/q1_3600000.ndjson', 'format' = 'json');

INSERT INTO q1_600000
SELECT device, sensor, window_start, COUNT(*), SUM(`value`), AVG(`value`), MIN(`value`), MAX(`value`),
  STDDEV_POP(`value`), STDDEV_SAMP(`value`)
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(rt), INTERVAL '10' MINUTE))
GROUP BY device, sensor, window_start, window_end;

INSERT INTO q1_3600000
SELECT device, sensor, window_start, COUNT(*), SUM(`value`), AVG(`value`), MIN(`value`), MAX(`value`),
  STDDEV_POP(`value`), STDDEV_SAMP(`value`)
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(rt), INTERVAL '1' HOUR))
GROUP BY device, sensor, window_start, window_end;
