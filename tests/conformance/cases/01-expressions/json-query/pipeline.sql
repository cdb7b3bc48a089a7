-- JSON_QUERY with wrappers and behaviours, JSON_EXISTS and JSON_VALUE with ON ERROR, IS JSON

CREATE TABLE docs (
  id STRING, doc STRING
) WITH ('connector'='filesystem', 'path'='${CASE}/docs.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `plain` STRING,
  `lax_plain` STRING,
  `wrapped` STRING,
  `conditional` STRING,
  `instead` STRING,
  `lax_instead` STRING,
  `texts` ARRAY<STRING>,
  `there` BOOLEAN,
  `there_lax` BOOLEAN,
  `n` STRING,
  `is_json` BOOLEAN
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id,
  JSON_QUERY(doc, '$.a') AS plain,
  JSON_QUERY(doc, 'lax $.a') AS lax_plain,
  JSON_QUERY(doc, '$.a' WITH WRAPPER) AS wrapped,
  JSON_QUERY(doc, '$.a' WITH CONDITIONAL ARRAY WRAPPER) AS conditional,
  JSON_QUERY(doc, 'strict $.a' EMPTY ARRAY ON EMPTY EMPTY OBJECT ON ERROR) AS instead,
  JSON_QUERY(doc, 'lax $.a' EMPTY ARRAY ON EMPTY EMPTY OBJECT ON ERROR) AS lax_instead,
  JSON_QUERY(doc, 'lax $.a' RETURNING ARRAY<STRING>) AS texts,
  JSON_EXISTS(doc, 'strict $.n' TRUE ON ERROR) AS there,
  JSON_EXISTS(doc, 'lax $.n' TRUE ON ERROR) AS there_lax,
  JSON_VALUE(doc, '$.n' DEFAULT 'empty' ON EMPTY DEFAULT 'error' ON ERROR) AS n,
  doc IS JSON OBJECT AS is_json
FROM docs;
