-- MATCH_PROCTIME(): the last match of each site by arrival

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
  `site` STRING, `id` STRING, `a` DOUBLE, `b` DOUBLE, `ts` BIGINT
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='changelog-json');

INSERT INTO `result`
SELECT site, id, a, b, ts FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY site ORDER BY found DESC) AS rn FROM falls
) WHERE rn = 1;
