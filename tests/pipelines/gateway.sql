-- Readings of a gateway, 10-s windows per series, merged at the core. `source` and `out` are put
-- in by the test; ${n}, the agent's number, comes from each node's configuration, so that all
-- nodes run one and the same pipeline.
CREATE TABLE readings (
  device STRING, sensor STRING, ts BIGINT, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (${source}, 'format'='json');

CREATE TABLE `result` (
  device STRING, sensor STRING, window_start TIMESTAMP(3),
  n BIGINT, sm DOUBLE, mn DOUBLE, mx DOUBLE, av DOUBLE,
  PRIMARY KEY (device, sensor, window_start) NOT ENFORCED
) WITH ('connector'='filesystem', 'path'='${out}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT device, sensor, window_start, COUNT(*) AS n, SUM(`value`) AS sm, MIN(`value`) AS mn,
  MAX(`value`) AS mx, AVG(`value`) AS av
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
WHERE `value` BETWEEN -40 AND 125
GROUP BY device, sensor, window_start, window_end;
