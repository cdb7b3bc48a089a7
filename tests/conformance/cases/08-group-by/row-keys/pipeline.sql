-- Rows as keys of groups: fields that are NULL are equal, and a row that is NULL is a key of its own

CREATE TABLE things (
  id INT, r ROW<a INT, b STRING>
) WITH ('connector'='filesystem', 'path'='${CASE}/things.ndjson', 'format'='json');

CREATE TABLE `result` (
  `r` ROW<a INT, b STRING>,
  `n` BIGINT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT r, COUNT(*) AS n FROM things GROUP BY r;
