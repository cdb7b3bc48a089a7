-- Rows as values: read whole, made, compared, cast, in arrays and maps, their fields taken, written nested

CREATE TABLE things (
  id INT, r ROW<a INT, b STRING>, q ROW<a INT, b STRING>, n ROW<p ROW<z DOUBLE>, c STRING>
) WITH ('connector'='filesystem', 'path'='${CASE}/things.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` INT,
  `same` BOOLEAN,
  `other` BOOLEAN,
  `fields_same` BOOLEAN,
  `listed` BOOLEAN,
  `none` BOOLEAN,
  `shown` STRING,
  `wide` ROW<x BIGINT, y STRING>,
  `n` ROW<p ROW<z DOUBLE>, c STRING>,
  `both` ARRAY<ROW<a INT, b STRING>>,
  `by_key` MAP<STRING, ROW<a INT, b STRING>>,
  `z` DOUBLE,
  `deep` DOUBLE,
  `made` ROW<i INT, t ROW<b STRING, k INT>>,
  `chosen` ROW<a INT, b STRING>,
  `first_of` ROW<a INT, b STRING>,
  `in_array` STRING,
  `entries` ARRAY<ROW<k STRING, v INT>>,
  `again` ROW<n INT, m STRING>,
  `tried` ROW<a STRING, b INT>,
  `as_json` STRING,
  `field_of_made` INT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

CREATE VIEW passed AS SELECT *, ROW(id, ROW(r.b, 7)) AS made FROM things;

INSERT INTO `result`
SELECT id, r = q, r <> q, ROW(r.a, r.b) = ROW(q.a, q.b), (r.a, r.b) IN ((1, 'x'), (12, '5')), r IS NULL, CAST(r AS STRING),
  r, n, ARRAY[r, q], MAP['k', r], n.p.z, p.n.p.z,
  made,
  CASE WHEN id < 3 THEN r ELSE q END,
  COALESCE(r, q),
  ARRAY[r, q][2].b,
  MAP_ENTRIES(MAP['one', id]),
  CAST(r AS ROW<n INT, m STRING>),
  TRY_CAST(r AS ROW<a STRING, b INT>),
  JSON_STRING(n),
  p.made.EXPR$0
FROM passed AS p;
