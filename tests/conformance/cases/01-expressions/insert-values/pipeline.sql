-- VALUES as the query of INSERT, with UNION ALL, in FROM and as a view; SELECT without FROM

CREATE TABLE `result` (
  `a` BIGINT,
  `b` STRING,
  `c` DECIMAL(12, 2),
  `t` TIMESTAMP(3)
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

CREATE VIEW two (x, y) AS VALUES (7, 'seven'), (8, CAST(NULL AS STRING));

INSERT INTO `result`
VALUES (1, 'a', 1, TIMESTAMP '2022-01-01 00:00:00'), (2, 'bcd', 2.5, TIMESTAMP '2022-01-01 00:00:00.25')
UNION ALL SELECT k + 1, n || '!', 10.25, TIMESTAMP '2022-01-02 00:00:00'
  FROM (VALUES (10, 'x'), (20, 'yz')) AS t (k, n) WHERE k > 10
UNION ALL SELECT x, UPPER(y), 0, TIMESTAMP '2022-01-03 00:00:00' FROM two
UNION ALL SELECT 3, 'one row', 0.5, TIMESTAMP '2022-01-04 00:00:00';
