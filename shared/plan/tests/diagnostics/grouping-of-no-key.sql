CREATE TABLE t (k STRING, v INT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE r (k STRING, g BIGINT) WITH ('connector' = 'print');
INSERT INTO r SELECT k, GROUPING(v) FROM t GROUP BY ROLLUP (k);
