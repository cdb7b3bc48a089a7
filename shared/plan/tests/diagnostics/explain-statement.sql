CREATE TABLE a (x INT, s STRING, m ARRAY<INT>) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
EXPLAIN PLAN FOR CREATE VIEW c AS SELECT s FROM a;
INSERT INTO b SELECT s FROM a;
