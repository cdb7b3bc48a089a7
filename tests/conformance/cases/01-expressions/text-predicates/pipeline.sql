-- SIMILAR TO, BETWEEN SYMMETRIC, OVERLAPS, PARSE_URL, PRINTF

CREATE TABLE readings (
  id STRING, n INT, v DOUBLE, url STRING, t TIMESTAMP(3), u TIMESTAMP(3)
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `like` BOOLEAN,
  `unlike` BOOLEAN,
  `between` BOOLEAN,
  `plain` BOOLEAN,
  `outside` BOOLEAN,
  `overlap` BOOLEAN,
  `host` STRING,
  `key` STRING,
  `shown` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, id SIMILAR TO '(gw|box)!_[0-9]+%' ESCAPE '!', id NOT SIMILAR TO '[a-c]+_?',
  n BETWEEN SYMMETRIC 10 AND 1, n BETWEEN ASYMMETRIC 10 AND 1, n NOT BETWEEN SYMMETRIC 10 AND 1,
  (t, u) OVERLAPS (TIMESTAMP '2022-01-01 01:00:00', INTERVAL '1' HOUR),
  PARSE_URL(url, 'HOST'), PARSE_URL(url, 'QUERY', 'k'), PRINTF('%s=%,.2f (%04d)', id, v, n)
FROM readings;
