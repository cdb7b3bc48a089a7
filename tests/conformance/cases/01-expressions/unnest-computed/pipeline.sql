-- UNNEST of arrays that are computed

CREATE TABLE readings (
  id STRING, `list` STRING, x DOUBLE, y DOUBLE
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `part` STRING,
  `v` DOUBLE
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT r.id, p.part, r.x FROM readings AS r CROSS JOIN UNNEST(SPLIT(r.`list`, ',')) AS p (part)
UNION ALL
SELECT id, CAST(NULL AS STRING), v FROM readings CROSS JOIN UNNEST(ARRAY[x, y]) AS t (v) WHERE v > 1;
