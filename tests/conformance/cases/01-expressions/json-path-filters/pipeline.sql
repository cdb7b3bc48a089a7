-- Filters and members at any depth in JSON paths

CREATE TABLE readings (id INT, doc STRING) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (id INT, a STRING, b STRING, c STRING, d STRING, e STRING, f STRING, g STRING, h STRING, i STRING, j BOOLEAN, k BOOLEAN, l BOOLEAN, m STRING, n STRING, o STRING, p STRING, q STRING, r STRING)
WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result` SELECT id,
  JSON_QUERY(doc, '$.sensors[?(@.v > 20)].name'),
  JSON_QUERY(doc, 'lax $.sensors[?(@.v > 20)].name'),
  JSON_QUERY(doc, '$.sensors[?(@.v <= 40 && @.ok == true)]'),
  JSON_QUERY(doc, '$.sensors[?(@.name == ''rh'' || @.v > 100)].v'),
  JSON_QUERY(doc, '$.sensors[?(@.unit == null)].name' WITH CONDITIONAL WRAPPER),
  JSON_QUERY(doc, '$.sensors[?(@.unit != null)].name' WITH UNCONDITIONAL WRAPPER),
  JSON_QUERY(doc, '$..v'),
  JSON_QUERY(doc, 'lax $.sensors..v'),
  JSON_QUERY(doc, '$.sensors.part..v' EMPTY ARRAY ON EMPTY EMPTY OBJECT ON ERROR),
  JSON_EXISTS(doc, '$.sensors[?(@.v > 1000)]'),
  JSON_EXISTS(doc, 'lax $.sensors[?(@.name == ''t'')]'),
  JSON_EXISTS(doc, '$..zz' UNKNOWN ON ERROR),
  JSON_VALUE(doc, '$.sensors[?(@.name == ''t'')].v' NULL ON EMPTY DEFAULT 'error' ON ERROR),
  JSON_VALUE(doc, 'lax $.sensors[?(@.name == ''t'')].v' DEFAULT 'empty' ON EMPTY DEFAULT 'error' ON ERROR),
  JSON_QUERY(doc, 'lax $.sensors[?(@.v > 1)]' EMPTY ARRAY ON EMPTY EMPTY OBJECT ON ERROR),
  JSON_QUERY(doc, '$.sensors[?(@.v == 21.50)].v'),
  JSON_QUERY(doc, '$.sensors[?(@.name > ''p'')].name'),
  JSON_QUERY(doc, '$..sensors[?(@.v < 25)].v')
FROM readings;
