-- FLOAT beside DOUBLE: of the two, arithmetic, CASE and ARRAY take the first one's type, COALESCE and GREATEST take DOUBLE

CREATE TABLE readings (
  id STRING, f FLOAT, d DOUBLE, m DECIMAL(5, 2), n INT
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `sum_f` FLOAT,
  `sum_d` DOUBLE,
  `ratio` FLOAT,
  `scaled` FLOAT,
  `decimal` DOUBLE,
  `either` FLOAT,
  `other` DOUBLE,
  `merged` DOUBLE,
  `merged_decimal` FLOAT,
  `larger` DOUBLE,
  `both` ARRAY<FLOAT>,
  `is_equal` BOOLEAN,
  `is_equal_back` BOOLEAN,
  `is_less` BOOLEAN,
  `is_distinct` BOOLEAN,
  `is_in` BOOLEAN,
  `class` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, f + d AS sum_f, d + f AS sum_d, f / d AS ratio, f * 1.8e0 + 32 AS scaled, f * m AS `decimal`,
  CASE WHEN n > 2 THEN f ELSE d END AS either, CASE WHEN n > 2 THEN d ELSE f END AS other,
  COALESCE(f, d) AS merged, COALESCE(m, f) AS merged_decimal, GREATEST(f, d) AS larger, ARRAY[f, d] AS `both`,
  f = d AS is_equal, d = f AS is_equal_back, f <= d AS is_less, f IS DISTINCT FROM d AS is_distinct,
  f IN (0.1, 0.2) AS is_in, CASE f WHEN 1e-1 THEN 'tenth' ELSE 'other' END AS class
FROM readings;
