CREATE TABLE r (a INT) WITH ('connector' = 'blackhole');
INSERT INTO r SELECT 1 WHERE FALSE;
