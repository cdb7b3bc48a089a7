CREATE TABLE a (x INT, s STRING, m ARRAY<INT>) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v STRING) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
SET 'table.exec.state.ttl' = 'soon';
INSERT INTO b SELECT s FROM a;
