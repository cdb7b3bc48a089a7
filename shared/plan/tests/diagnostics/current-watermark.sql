CREATE TABLE a (v INT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt) WITH ('connector'='filesystem', 'path'='in', 'format'='json');
CREATE TABLE b (v INT) WITH ('connector'='filesystem', 'path'='out', 'format'='json');
INSERT INTO b SELECT v FROM a WHERE CURRENT_WATERMARK(rt) IS NULL OR rt > CURRENT_WATERMARK(rt);
