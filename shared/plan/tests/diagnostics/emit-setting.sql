SET 'table.exec.emit.allow-lateness' = '1 min';
CREATE TABLE r (a INT) WITH ('connector' = 'blackhole');
INSERT INTO r VALUES (1);
