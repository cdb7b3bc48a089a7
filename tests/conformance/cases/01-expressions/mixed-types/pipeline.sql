-- Values of two types: timestamps with and without zone in CASE, COALESCE, IF and IN; texts and numbers in IN; texts that are no time

CREATE TABLE `rows` (
  id INT, b BOOLEAN, ts TIMESTAMP(3), t6 TIMESTAMP(6), lz TIMESTAMP_LTZ(3), l6 TIMESTAMP_LTZ(6), i INT, d DOUBLE, m DECIMAL(5, 2), num STRING, s STRING
) WITH ('connector'='filesystem', 'path'='${CASE}/rows.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` INT,
  `first` TIMESTAMP(3),
  `zoned` TIMESTAMP_LTZ(3),
  `longer` TIMESTAMP_LTZ(6),
  `plain` TIMESTAMP(6),
  `third` TIMESTAMP(6),
  `some` TIMESTAMP_LTZ(6),
  `if_ts` TIMESTAMP(3),
  `if_lz` TIMESTAMP_LTZ(3),
  `in_ts` BOOLEAN,
  `in_lz` BOOLEAN,
  `not_in` BOOLEAN,
  `text_in` BOOLEAN,
  `text_in_d` BOOLEAN,
  `text_in_b` BOOLEAN,
  `int_in` BOOLEAN,
  `double_in` BOOLEAN,
  `dec_in` BOOLEAN,
  `bool_in` BOOLEAN,
  `bytes` BYTES,
  `is_bytes` BOOLEAN,
  `int_digit` BOOLEAN NOT NULL,
  `dec_decimal` BOOLEAN NOT NULL,
  `dbl_decimal` BOOLEAN NOT NULL,
  `int_alpha` BOOLEAN NOT NULL,
  `eq` BOOLEAN,
  `ne` BOOLEAN,
  `alike` BOOLEAN NOT NULL,
  `case` INT NOT NULL
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, CASE WHEN b THEN ts ELSE lz END, CASE WHEN b THEN lz ELSE ts END, CASE WHEN b THEN ts ELSE l6 END, CASE WHEN b THEN l6 ELSE ts END,
  CASE WHEN b THEN ts WHEN id > 2 THEN lz ELSE t6 END, COALESCE(t6, lz), IF(b, ts, l6), IF(b, lz, t6),
  ts IN (lz, TIMESTAMP '1970-01-01 00:00:00'), lz IN (ts), lz NOT IN (TIMESTAMP '2022-01-31 12:30:45.678'),
  num IN (12, 7), num IN (d), num IN (TRUE), i IN ('12', '5'), d IN ('1.5'), m IN ('1.254', '2.5'), b IN ('true'),
  CAST(x'4142ff' AS BYTES), ENCODE(num, 'UTF-8') = X'3132',
  IS_DIGIT(i), IS_DECIMAL(m), IS_DECIMAL(d), IS_ALPHA(i), ts = s, s <> t6, ts IS NOT DISTINCT FROM s, CASE ts WHEN s THEN 1 ELSE 0 END
FROM `rows`;
