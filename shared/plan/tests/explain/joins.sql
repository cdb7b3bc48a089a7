CREATE TABLE temps (
  device STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/temps.ndjson', 'format' = 'json', 'gateway-local' = 'device');

CREATE TABLE hums (
  device STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '/hums.ndjson', 'format' = 'json', 'gateway-local' = 'device');

CREATE TABLE assets (device STRING, site STRING)
WITH ('connector' = 'filesystem', 'path' = '/assets.ndjson', 'format' = 'json', 'at' = 'core');

CREATE VIEW pairs AS
SELECT t.device, t.rt, t.v AS temp, h.v AS hum
FROM temps t LEFT JOIN hums h
ON t.device = h.device AND h.rt > t.rt - INTERVAL '1' MINUTE AND t.rt + INTERVAL '1' MINUTE >= h.rt AND h.v > 0;

CREATE TABLE per_site (site STRING, device STRING, temp DOUBLE, hum DOUBLE) WITH ('connector' = 'print');
CREATE TABLE unknown (device STRING) WITH ('connector' = 'print');
CREATE TABLE per_window (s TIMESTAMP(3), a DOUBLE, b DOUBLE) WITH ('connector' = 'print');

INSERT INTO per_site
SELECT a.site, p.device, p.temp, p.hum FROM pairs p JOIN assets a ON UPPER(p.device) = a.device WHERE a.site <> p.device;

INSERT INTO unknown
SELECT device FROM temps WHERE device NOT IN (SELECT device FROM assets);

INSERT INTO per_window
SELECT a.window_start, a.v, b.v
FROM TABLE(TUMBLE(TABLE temps, DESCRIPTOR(rt), INTERVAL '10' SECOND)) a
FULL JOIN TABLE(TUMBLE(TABLE hums, DESCRIPTOR(rt), INTERVAL '10' SECOND)) b
ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.v = b.v;
