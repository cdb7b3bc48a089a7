-- NaN in comparisons: NOT over them, and beside a DECIMAL

CREATE TABLE readings (
  id STRING, v DOUBLE, w DOUBLE, `limit` DECIMAL(5, 2)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `above` BOOLEAN,
  `above_decimal` BOOLEAN,
  `below_decimal` BOOLEAN,
  `above_limit` BOOLEAN,
  `decimal_first` BOOLEAN,
  `not_above` BOOLEAN,
  `not_above_decimal` BOOLEAN,
  `not_below_decimal` BOOLEAN,
  `outside` BOOLEAN,
  `outside_symmetric` BOOLEAN,
  `outside_decimal` BOOLEAN,
  `neither` BOOLEAN,
  `not_both` BOOLEAN,
  `not_equal` BOOLEAN,
  `twice` BOOLEAN,
  `class` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, v > 2e0 AS above, v > 2.5 AS above_decimal, v <= 2.5 AS below_decimal, v >= `limit` AS above_limit,
  2.5 < v AS decimal_first, NOT (v > 2e0) AS not_above, NOT (v > 2.5) AS not_above_decimal, NOT (v <= 2.5) AS not_below_decimal,
  v NOT BETWEEN -10 AND 30 AS outside, v NOT BETWEEN SYMMETRIC 30 AND -10 AS outside_symmetric, v NOT BETWEEN -10.5 AND 30.5 AS outside_decimal,
  NOT (v > 2 OR w > 2) AS neither, NOT (v > 2 AND w > 2) AS not_both, NOT (v = 1) AS not_equal, NOT (NOT (v > 2)) AS twice,
  CASE WHEN v > 2.5 THEN 'high' WHEN NOT (v > 2.5) THEN 'low' ELSE 'unknown' END AS class
FROM readings;
