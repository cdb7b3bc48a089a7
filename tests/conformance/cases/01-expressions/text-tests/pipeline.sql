-- What texts consist of; TRANSLATE, OVERLAY, ELT, the searching REGEXP functions, CONVERT_TZ

CREATE TABLE texts (
  id STRING, s STRING, n INT
) WITH ('connector'='filesystem', 'path'='${CASE}/texts.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `alpha` BOOLEAN,
  `dec` BOOLEAN,
  `digit` BOOLEAN,
  `translated` STRING,
  `put` STRING,
  `put_for` STRING,
  `one_of` STRING,
  `times` INT,
  `place` INT,
  `found` STRING,
  `zone` STRING,
  `instant` TIMESTAMP_LTZ(3)
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, IS_ALPHA(s) AS alpha, IS_DECIMAL(s) AS `dec`, IS_DIGIT(s) AS digit,
  TRANSLATE(s, 'eb/1', 'EB') AS translated,
  OVERLAY(s PLACING '__' FROM 3) AS put,
  OVERLAY(s PLACING '__' FROM 2 FOR 1) AS put_for,
  ELT(n, 'a', s, 'c') AS one_of,
  REGEXP_COUNT(s, '[a-z]') AS times, REGEXP_INSTR(s, '[0-9]') AS place,
  REGEXP_SUBSTR(s, '[0-9]+') AS found,
  CONVERT_TZ('2022-01-31 23:30:00', 'UTC', 'GMT+05:30') AS zone,
  TO_TIMESTAMP_LTZ('2022-01-31 23:30:00', 'yyyy-MM-dd HH:mm:ss', 'UTC') AS instant
FROM texts;
