CREATE TABLE readings (
  n BIGINT, device INT, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(n * 100, 3),
  slot AS n / 40,
  WATERMARK FOR rt AS rt - INTERVAL '2' SECOND
) WITH ('connector'='datagen', 'rows-per-second'='${rate}', 'number-of-rows'='${rows}',
  'fields.n.kind'='sequence', 'fields.device.min'='1', 'fields.device.max'='50',
  'fields.value.min'='-40', 'fields.value.max'='125', 'gateway-local'='device');

CREATE VIEW clean AS
SELECT device, `value`, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, slot ORDER BY rt ASC) AS rn
  FROM readings)
WHERE rn = 1;

CREATE TABLE totals (
  device INT, window_start TIMESTAMP(3), c BIGINT, sm DOUBLE, mn DOUBLE, mx DOUBLE,
  PRIMARY KEY (device, window_start) NOT ENFORCED
) WITH ('connector'='filesystem', 'path'='${out}', 'format'='changelog-json');

CREATE TABLE hot (n BIGINT, device INT, `value` DOUBLE)
WITH ('connector'='filesystem', 'path'='hot.ndjson', 'format'='json', 'at'='edge');

INSERT INTO totals
SELECT device, window_start, COUNT(*) AS c, SUM(`value`) AS sm, MIN(`value`) AS mn,
  MAX(`value`) AS mx
FROM TABLE(TUMBLE(TABLE clean, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;

INSERT INTO hot SELECT n, device, `value` FROM readings WHERE `value` > 110;
