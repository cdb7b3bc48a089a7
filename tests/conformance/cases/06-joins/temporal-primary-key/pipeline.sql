-- Temporal LEFT JOIN with a table that has a PRIMARY KEY: a condition is asked of the valid version alone

CREATE TABLE lefts (
  id STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector'='filesystem', 'path'='${CASE}/lefts.ndjson', 'format'='json');

CREATE TABLE limits (
  id STRING, ts BIGINT, high DOUBLE, unit STRING,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector'='filesystem', 'path'='${CASE}/limits.ndjson', 'format'='json');

CREATE TABLE `result` (id STRING, ts BIGINT, v DOUBLE, high DOUBLE, unit STRING)
WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT a.id, a.ts, a.v, l.high, l.unit
FROM lefts a LEFT JOIN limits FOR SYSTEM_TIME AS OF a.rt AS l ON a.id = l.id AND a.v < l.high;
