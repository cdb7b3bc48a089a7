-- Question 4: report by exception. A reading is sent when it differs by more than a band from the
-- one sent last (plain), or when that is ${heartbeat_ms} ms ago (heartbeat).

CREATE TABLE delivered (
  arrival_ms BIGINT, seq BIGINT, ts_ms BIGINT, device STRING, sensor STRING, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts_ms, 3),
  WATERMARK FOR rt AS rt - INTERVAL '20' MINUTE
) WITH (
  'connector' = 'filesystem', 'path' = '${data}', 'format' = 'csv',
  'gateway-local' = 'device, sensor'
);

CREATE VIEW once AS
SELECT device, sensor, seq, ts_ms, `value`, rt
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor, seq ORDER BY rt ASC) AS copy
  FROM delivered)
WHERE copy = 1;

CREATE VIEW limited AS
SELECT device, sensor, seq, ts_ms, `value`, rt,
  CASE sensor
    WHEN 'ghi_wm2' THEN 10 WHEN 'dni_wm2' THEN 10 WHEN 'dhi_wm2' THEN 5 WHEN 'poa_wm2' THEN 10
    WHEN 'gni_wm2' THEN 10 WHEN 'inv2_ac_power_w' THEN 500 WHEN 'inv2_dc_power_w' THEN 500
    WHEN 'wind_dir_deg' THEN 10 WHEN 'uva_wm2' THEN 0.2 WHEN 'uvb_wm2' THEN 0.05
    WHEN 'TravelTime_387' THEN 25 WHEN 'TravelTime_451' THEN 25
    ELSE CAST('${deadband}' AS DOUBLE)
  END AS band
FROM once;

CREATE VIEW firsts AS
SELECT device, sensor, seq
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device, sensor ORDER BY rt ASC) AS n
  FROM once)
WHERE n = 1;

CREATE TABLE q4_plain (device STRING, sensor STRING, seq BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q4_plain.ndjson', 'format' = 'json');

CREATE TABLE q4_heartbeat (device STRING, sensor STRING, seq BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q4_heartbeat.ndjson', 'format' = 'json');

INSERT INTO q4_plain
SELECT device, sensor, seq FROM firsts
UNION ALL
SELECT device, sensor, seq
FROM limited
MATCH_RECOGNIZE (
  PARTITION BY device, sensor
  ORDER BY rt, seq
  MEASURES NEXT_ONE.seq AS seq
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT_ONE
  PATTERN (SENT QUIET* NEXT_ONE)
  DEFINE
    QUIET AS ABS(QUIET.`value` - SENT.`value`) <= SENT.band,
    NEXT_ONE AS ABS(NEXT_ONE.`value` - SENT.`value`) > SENT.band
);

INSERT INTO q4_heartbeat
SELECT device, sensor, seq FROM firsts
UNION ALL
SELECT device, sensor, seq
FROM limited
MATCH_RECOGNIZE (
  PARTITION BY device, sensor
  ORDER BY rt, seq
  MEASURES NEXT_ONE.seq AS seq
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT_ONE
  PATTERN (SENT QUIET* NEXT_ONE)
  DEFINE
    QUIET AS ABS(QUIET.`value` - SENT.`value`) <= SENT.band
      AND QUIET.ts_ms - SENT.ts_ms < CAST('${heartbeat_ms}' AS BIGINT),
    NEXT_ONE AS ABS(NEXT_ONE.`value` - SENT.`value`) > SENT.band
      OR NEXT_ONE.ts_ms - SENT.ts_ms >= CAST('${heartbeat_ms}' AS BIGINT)
);
