CREATE TABLE t (k STRING, v DOUBLE) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE r (n BIGINT) WITH ('connector' = 'print');
INSERT INTO r SELECT APPROX_COUNT_DISTINCT(v) FROM (SELECT k, MAX(v) AS v FROM t GROUP BY k);
