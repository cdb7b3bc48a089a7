-- MAP columns of a JSON source: elements, functions, casts, made and written maps

CREATE TABLE boxes (
  id STRING, m MAP<STRING, INT>, deep MAP<STRING, ARRAY<DOUBLE>>
) WITH ('connector'='filesystem', 'path'='${CASE}/boxes.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `m` MAP<STRING, INT>,
  `wide` MAP<STRING, BIGINT>,
  `t` INT,
  `own` INT,
  `n` INT,
  `keys` ARRAY<STRING>,
  `values` ARRAY<INT>,
  `second` DOUBLE,
  `text` STRING,
  `json` STRING,
  `made` MAP<STRING, INT>,
  `both` MAP<STRING, INT>,
  `same` BOOLEAN,
  `or` MAP<STRING, INT>,
  `split` MAP<STRING, STRING>,
  `none` BOOLEAN
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, m, CAST(m AS MAP<STRING, BIGINT>), m['b'], m[id], CARDINALITY(m), MAP_KEYS(m), MAP_VALUES(m), deep['x'][2],
  CAST(m AS STRING), JSON_STRING(m), MAP[id, CARDINALITY(m)], MAP_UNION(m, MAP['b', 9]), m = MAP['a', 2, 'b', 1],
  COALESCE(m, MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, 2])), STR_TO_MAP(id, '-', ':'), m IS NULL
FROM boxes;
