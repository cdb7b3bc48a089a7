-- W1: repeats removed by identity, 10-s windows per series. ${in} and ${out} are set by the bench.
CREATE TABLE readings (
  device STRING, sensor STRING, ts BIGINT, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector'='filesystem', 'path'='${in}', 'format'='json');

CREATE VIEW clean AS
SELECT device, sensor, `value`, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, ts ORDER BY rt ASC) AS rn
  FROM readings)
WHERE rn = 1;

CREATE TABLE `result` (
  device STRING, sensor STRING, window_start TIMESTAMP(3),
  n BIGINT, mn DOUBLE, mx DOUBLE, av DOUBLE
) WITH ('connector'='filesystem', 'path'='${out}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT device, sensor, window_start, COUNT(*) AS n, MIN(`value`) AS mn, MAX(`value`) AS mx,
  AVG(`value`) AS av
FROM TABLE(TUMBLE(TABLE clean, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, sensor, window_start, window_end;
