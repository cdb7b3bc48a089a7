CREATE TABLE a (x INT, s STRING, m ARRAY<INT>) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
INSERT INTO b SELECT CONVERT_TZ(s, 'UTC', 'WET') FROM a;
