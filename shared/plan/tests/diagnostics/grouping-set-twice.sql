CREATE TABLE t (k STRING, v INT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE r (k STRING, v INT, n BIGINT) WITH ('connector' = 'print');
INSERT INTO r SELECT k, v, COUNT(*) FROM t GROUP BY GROUPING SETS ((k), (k), (v));
