-- MATCH_PROCTIME(): the first two matches of each site by arrival, numbered

CREATE TABLE readings (
  site STRING, id STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE VIEW falls AS SELECT site, id, a, b, ts, found FROM readings MATCH_RECOGNIZE (
  PARTITION BY site, id ORDER BY rt
  MEASURES A.v AS a, B.v AS b, B.ts AS ts, MATCH_PROCTIME() AS found, MATCH_PROCTIME() AS again
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE A AS v > 20, B AS v < 20
) AS m;

CREATE TABLE `result` (
  `site` STRING, `id` STRING, `a` DOUBLE, `b` DOUBLE, `ts` BIGINT, `rn` BIGINT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT site, id, a, b, ts, rn FROM (
  SELECT site, id, a, b, ts, ROW_NUMBER() OVER (PARTITION BY site ORDER BY p) AS rn
  FROM (SELECT site, id, a, b, ts, found AS p FROM falls WHERE b < 10)
) WHERE rn <= 2;
