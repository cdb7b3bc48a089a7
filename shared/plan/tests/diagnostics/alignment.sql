CREATE TABLE a (x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector'='filesystem', 'path'='a', 'format'='json', 'scan.watermark.alignment.group'='g');
CREATE TABLE b (x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector'='filesystem', 'path'='b', 'format'='json', 'scan.watermark.alignment.max-drift'='1 min');
CREATE TABLE c (x INT)
WITH ('connector'='filesystem', 'path'='c', 'format'='json',
  'scan.watermark.alignment.group'='g', 'scan.watermark.alignment.max-drift'='1 min');
CREATE TABLE o (x INT) WITH ('connector'='filesystem', 'path'='o', 'format'='json');
INSERT INTO o SELECT x FROM a UNION ALL SELECT x FROM b UNION ALL SELECT x FROM c;
