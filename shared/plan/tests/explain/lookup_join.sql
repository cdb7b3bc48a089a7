CREATE TABLE readings (device STRING, v DOUBLE, arrival AS PROCTIME())
WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost', 'topic' = 'sensors/#', 'format' = 'json');

CREATE TABLE assets (device STRING, site STRING, factor DOUBLE, note STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.csv', 'format' = 'csv',
  'lookup.full-cache.periodic-reload.interval' = '1 min');

CREATE VIEW everything AS SELECT * FROM readings WHERE v > 0;

CREATE TABLE result (device STRING, site STRING, v DOUBLE) WITH ('connector' = 'print');

INSERT INTO result
SELECT e.device, a.site, e.v * a.factor
FROM everything AS e LEFT JOIN assets FOR SYSTEM_TIME AS OF e.arrival AS a
ON UPPER(e.device) = a.device AND a.factor > 0;
