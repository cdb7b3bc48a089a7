-- Arrays made of values and texts, searched, sorted, cut, joined, cast

CREATE TABLE texts (
  id STRING, s STRING, n INT
) WITH ('connector'='filesystem', 'path'='${CASE}/texts.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `made` ARRAY<INT>,
  `parts` ARRAY<STRING>,
  `has` BOOLEAN,
  `place` INT,
  `most` INT,
  `sorted` ARRAY<INT>,
  `down` ARRAY<INT>,
  `cut` ARRAY<STRING>,
  `joined` STRING,
  `all_of` ARRAY<INT>,
  `common` ARRAY<INT>,
  `left_over` ARRAY<INT>,
  `shown` STRING,
  `wide` ARRAY<BIGINT>,
  `words` ARRAY<STRING>
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, ARRAY[n, 3, 2] AS made, SPLIT(s, '/') AS parts,
  ARRAY_CONTAINS(ARRAY[1, 2, 3], n) AS has,
  ARRAY_POSITION(ARRAY[12, 3, 2], n) AS place,
  ARRAY_MAX(ARRAY[n, 3]) AS most,
  ARRAY_SORT(ARRAY[n, 3, 2]) AS sorted,
  ARRAY_SORT(ARRAY[n, 3, 2], FALSE) AS down,
  ARRAY_SLICE(SPLIT(s, '/'), -2) AS cut,
  ARRAY_JOIN(SPLIT(s, '/'), '+') AS joined,
  ARRAY_UNION(ARRAY[n, 3], ARRAY[3, 2]) AS all_of,
  ARRAY_INTERSECT(ARRAY[n, 3], ARRAY[2, 3]) AS common,
  ARRAY_EXCEPT(ARRAY[n, 3, 5], ARRAY[3]) AS left_over,
  CAST(ARRAY[n, 3] AS STRING) AS shown,
  CAST(ARRAY_DISTINCT(ARRAY[n, 3, n]) AS ARRAY<BIGINT>) AS wide,
  REGEXP_EXTRACT_ALL(s, '([a-z])[0-9]', 1) AS words
FROM texts;
