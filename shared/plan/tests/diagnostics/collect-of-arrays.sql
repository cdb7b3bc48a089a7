CREATE TABLE t (k STRING, v ARRAY<INT>) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE r (k STRING, m MULTISET<STRING>) WITH ('connector' = 'print');
INSERT INTO r SELECT k, COLLECT(v) FROM t GROUP BY k;
