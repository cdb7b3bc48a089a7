-- JSON_OBJECT, JSON_ARRAY, JSON_STRING and JSON_QUOTE over columns, nested and through a subquery; JSON paths to many places

CREATE TABLE readings (
  id STRING, v DOUBLE, amount DECIMAL(10, 2), n INT, ok BOOLEAN, doc STRING, tags ARRAY<STRING>, ts TIMESTAMP(3)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `object` STRING,
  `absent` STRING,
  `nested` STRING,
  `outer` STRING,
  `list` STRING,
  `string` STRING,
  `quoted` STRING,
  `many` STRING,
  `last` STRING,
  `all` ARRAY<STRING>,
  `wrapped` STRING,
  `has` BOOLEAN
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id,
  JSON_OBJECT('z' VALUE v, KEY 'amount' VALUE amount, 'n' VALUE n, 'ok' VALUE ok, 'ts' VALUE ts, 'tags' VALUE tags),
  JSON_OBJECT('n' VALUE n, 'v' VALUE v ABSENT ON NULL),
  JSON_OBJECT('id' VALUE id, 'doc' VALUE JSON(doc), 'more' VALUE JSON_ARRAY(n, JSON_OBJECT('v' VALUE v))),
  JSON_OBJECT('inner' VALUE part, 'text' VALUE doc),
  JSON_ARRAY(id, v, n NULL ON NULL),
  JSON_STRING(tags),
  JSON_QUOTE(id),
  JSON_QUERY(doc, 'lax $.a[*].b'),
  JSON_QUERY(doc, '$.a[-1]'),
  JSON_QUERY(doc, 'lax $.a[0:2].b' RETURNING ARRAY<STRING>),
  JSON_QUERY(doc, '$.*' WITH WRAPPER),
  JSON_EXISTS(doc, '$.a[*].nothing')
FROM (SELECT *, JSON_OBJECT('id' VALUE id, 'n' VALUE n) AS part FROM readings);
