CREATE TABLE a (x INT, s STRING) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
INSERT INTO b SELECT JSON_OBJECT(s VALUE x) FROM a;
