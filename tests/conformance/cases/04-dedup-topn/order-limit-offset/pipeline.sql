-- OFFSET behind LIMIT: the rows after the first ones, updated

CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `ts` BIGINT,
  `v` DOUBLE
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT id, ts, v FROM readings ORDER BY v DESC, ts, id OFFSET 1 ROWS FETCH NEXT 3 ROWS ONLY;
