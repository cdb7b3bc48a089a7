CREATE TABLE readings (device STRING, v DOUBLE)
WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost', 'topic' = 'sensors/#', 'format' = 'json', 'at' = 'core');
CREATE TABLE result (device STRING, v DOUBLE) WITH ('connector' = 'print');
INSERT INTO result SELECT device, v FROM readings;
