-- IN casts each value to the type of what is looked for, so that 1.5 is 1 among integers

CREATE TABLE readings (
  id STRING, n INT, t TINYINT, l BIGINT, d DOUBLE, m DECIMAL(5, 2), `day` DATE, `at` TIMESTAMP(3)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `decimals` BOOLEAN,
  `none_of` BOOLEAN,
  `doubles` BOOLEAN,
  `narrow` BOOLEAN,
  `column` BOOLEAN,
  `of_decimal` BOOLEAN,
  `of_double` BOOLEAN,
  `with_null` BOOLEAN,
  `pair` BOOLEAN,
  `days` BOOLEAN,
  `times` BOOLEAN
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, n IN (1.5, 7.25) AS decimals, n NOT IN (1.5, 3) AS none_of, l IN (1.9e0) AS doubles, t IN (300, 5) AS narrow,
  n IN (d) AS `column`, m IN (1.254, 2) AS of_decimal, d IN (1.5, 2) AS of_double, n IN (1, NULL, 2.5) AS with_null,
  (n, t) IN ((1.5, 257), (3, 3)) AS pair, `day` IN ('2022-01-31', '2022-03-01') AS days, `at` IN ('2022-01-31 12:00:00.5') AS times
FROM readings;
