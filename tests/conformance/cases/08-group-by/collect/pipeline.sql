-- COLLECT, ARRAY_AGG(DISTINCT …) and weighted PERCENTILE over rows that change later

CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, site STRING
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `n` BIGINT,
  `sites` MULTISET<STRING>,
  `once` MULTISET<STRING>,
  `each` ARRAY<STRING>,
  `p` DOUBLE,
  `ps` ARRAY<DOUBLE>
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT n, COLLECT(site), COLLECT(DISTINCT site), ARRAY_SORT(ARRAY_AGG(DISTINCT site)), PERCENTILE(s, 0.5, n), PERCENTILE(s, ARRAY[0.1, 0.9], n)
FROM (SELECT id, site, COUNT(*) AS n, SUM(v) AS s FROM readings GROUP BY id, site) GROUP BY n;
