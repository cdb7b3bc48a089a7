CREATE TABLE a (x INT, d DATE) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
INSERT INTO b SELECT JSON_OBJECT('x' VALUE x, 'd' VALUE d) || JSON('1') FROM a;

