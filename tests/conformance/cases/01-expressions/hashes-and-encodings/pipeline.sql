-- Hashes, hexadecimal and binary digits, base 64, URLs

CREATE TABLE texts (
  id STRING, s STRING, n INT
) WITH ('connector'='filesystem', 'path'='${CASE}/texts.ndjson', 'format'='json');

CREATE TABLE `result` (
  `id` STRING,
  `md5` STRING,
  `sha1` STRING,
  `sha256` STRING,
  `sha384` STRING,
  `hex_n` STRING,
  `hex_s` STRING,
  `bits` STRING,
  `base64` STRING,
  `back` STRING,
  `url` STRING,
  `from_url` STRING,
  `bytes_back` STRING
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, MD5(s) AS md5, SHA1(s) AS sha1, SHA256(s) AS sha256, SHA2(s, 384) AS sha384,
  HEX(n) AS hex_n, HEX(s) AS hex_s, BIN(n) AS bits, TO_BASE64(s) AS base64,
  FROM_BASE64(TO_BASE64(s)) AS back, URL_ENCODE(s) AS url, URL_DECODE(URL_ENCODE(s)) AS from_url,
  DECODE(UNHEX(HEX(s)), 'UTF-8') AS bytes_back
FROM texts;
