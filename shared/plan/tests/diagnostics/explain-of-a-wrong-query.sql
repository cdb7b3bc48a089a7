CREATE TABLE a (x INT, s STRING) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
EXPLAIN SELECT s, y FROM a;
