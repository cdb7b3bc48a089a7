CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt)
WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost', 'topic' = 'sensors/#', 'format' = 'json',
  'gateway-local' = 'device');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json', 'at' = 'core');

CREATE TABLE firsts (device STRING, v DOUBLE) WITH ('connector' = 'print');
CREATE TABLE placed (device STRING, site STRING) WITH ('connector' = 'print');
CREATE TABLE calm (device STRING, site STRING) WITH ('connector' = 'print');

CREATE VIEW falls AS SELECT device, low, found AS p, t FROM readings MATCH_RECOGNIZE (
  PARTITION BY device ORDER BY rt MEASURES B.v AS low, MATCH_PROCTIME() AS found,
    MATCH_ROWTIME(rt) AS t
  PATTERN (A B) DEFINE A AS v > 20, B AS v < 10);
-- Nobody reads the time of arrival, so it is no column of any step. The ranking stays with the
-- matches, the lookup is where the file is.
INSERT INTO firsts
SELECT device, low FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY p) AS rn FROM falls) WHERE rn = 1;
INSERT INTO placed
SELECT f.device, a.site FROM falls f JOIN assets FOR SYSTEM_TIME AS OF f.p AS a ON f.device = a.device;
INSERT INTO calm
SELECT c.device, a.site FROM TABLE(ABSENCE(TABLE falls PARTITION BY device, DESCRIPTOR(t), INTERVAL '5' MINUTE)) c
JOIN assets FOR SYSTEM_TIME AS OF c.p AS a ON c.device = a.device;
