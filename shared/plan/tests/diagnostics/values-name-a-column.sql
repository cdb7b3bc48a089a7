CREATE TABLE r (a INT, b STRING) WITH ('connector' = 'blackhole');
INSERT INTO r VALUES (1, device);
