-- MAP columns in the state of a deduplication and of an interval join

CREATE TABLE t (k STRING, n INT, ts BIGINT, m MAP<STRING, INT>, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem', 'path'='${CASE}/t.ndjson', 'format'='json');

CREATE TABLE `result` (`k` STRING, `m` MAP<STRING, INT>, `other` MAP<STRING, INT>, `j` STRING) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

CREATE VIEW d AS SELECT k, m, rt FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, n ORDER BY rt) AS rn FROM t) WHERE rn = 1;

INSERT INTO `result` SELECT a.k, a.m, b.m, JSON_STRING(a.m) FROM d a JOIN t b ON a.k = b.k AND b.rt BETWEEN a.rt - INTERVAL '10' SECOND AND a.rt;
