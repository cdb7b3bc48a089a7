-- PERCENTILE with an array of fractions and with weights; COLLECT; ARRAY_AGG(DISTINCT …)

CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, n INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '10' SECOND
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `window_end` TIMESTAMP(3),
  `quartiles` ARRAY<DOUBLE>,
  `weighted` DOUBLE,
  `weighted2` ARRAY<DOUBLE>,
  `twice` DOUBLE,
  `some` DOUBLE,
  `ids` MULTISET<STRING>,
  `b` MULTISET<STRING>,
  `each` ARRAY<STRING>
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT window_end, PERCENTILE(v, ARRAY[0.25, 0.5, 0.75]), PERCENTILE(v, 0.4, n), PERCENTILE(v, ARRAY[0, 1, 0.9], n * 2),
  PERCENTILE(v, 0.1, 2), PERCENTILE(v, 0.5, n) FILTER (WHERE id = 'b'), COLLECT(id), COLLECT(id) FILTER (WHERE id = 'b'),
  ARRAY_SORT(ARRAY_AGG(DISTINCT id))
FROM TABLE(HOP(TABLE readings, DESCRIPTOR(rt), INTERVAL '15' SECOND, INTERVAL '30' SECOND)) GROUP BY window_start, window_end;
