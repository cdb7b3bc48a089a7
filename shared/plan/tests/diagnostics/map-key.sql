CREATE TABLE a (x INT, s STRING, m MAP<INT, STRING>) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING, m MAP<STRING, INT>) WITH ('connector'='filesystem', 'path'='out', 'format'='csv');
INSERT INTO b SELECT s, MAP[s, x] FROM a;
