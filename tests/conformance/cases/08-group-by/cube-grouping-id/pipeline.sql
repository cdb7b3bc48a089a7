-- CUBE without a window: keys that are NULL in the data, GROUPING and GROUPING_ID, HAVING over them

CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, site STRING
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `site` STRING,
  `id` STRING,
  `level` BIGINT,
  `g` BIGINT,
  `n` BIGINT,
  `d` BIGINT,
  `m` DOUBLE
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT site, UPPER(id), GROUPING_ID(site, UPPER(id)), GROUPING(site), COUNT(*), COUNT(DISTINCT v), AVG(v)
FROM readings GROUP BY CUBE (site, UPPER(id)) HAVING COUNT(*) > 1 OR GROUPING(site) = 1;
