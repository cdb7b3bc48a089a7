CREATE TABLE t (k STRING, v DOUBLE, w DOUBLE) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE r (k STRING, p DOUBLE) WITH ('connector' = 'print');
INSERT INTO r SELECT k, PERCENTILE(v, 0.5, w) FROM t GROUP BY k;
