-- Question 6: a value above one limit and then below another, within ${within} (exclusive).

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

CREATE VIEW edges AS
SELECT device, sensor, seq, `value`, rt,
  CASE sensor
    WHEN 'wind_ms' THEN 6 WHEN 'dni_wm2' THEN 600 WHEN 'ghi_wm2' THEN 400
    WHEN 'machine_temperature' THEN 85 WHEN 'ambient_temperature' THEN 75 WHEN 'speed_t4013' THEN 65
    WHEN 'speed_6005' THEN 80 WHEN 'speed_7578' THEN 70 WHEN 'occupancy_t4013' THEN 15
  END AS above,
  CASE sensor
    WHEN 'wind_ms' THEN 2 WHEN 'dni_wm2' THEN 200 WHEN 'ghi_wm2' THEN 200
    WHEN 'machine_temperature' THEN 60 WHEN 'ambient_temperature' THEN 70 WHEN 'speed_t4013' THEN 50
    WHEN 'speed_6005' THEN 65 WHEN 'speed_7578' THEN 55 WHEN 'occupancy_t4013' THEN 5
  END AS below
FROM once;

CREATE TABLE q6_skip_past_last (device STRING, sensor STRING, seq BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q6_skip_past_last.ndjson', 'format' = 'json');

CREATE TABLE q6_every_a (device STRING, sensor STRING, seq BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q6_every_a.ndjson', 'format' = 'json');

INSERT INTO q6_skip_past_last
SELECT device, sensor, seq
FROM edges
MATCH_RECOGNIZE (
  PARTITION BY device, sensor
  ORDER BY rt, seq
  MEASURES A.seq AS seq
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A X*? B) WITHIN INTERVAL '${within}' HOUR TO SECOND
  DEFINE A AS A.`value` > A.above, B AS B.`value` < B.below
);

INSERT INTO q6_every_a
SELECT device, sensor, seq
FROM edges
MATCH_RECOGNIZE (
  PARTITION BY device, sensor
  ORDER BY rt, seq
  MEASURES A.seq AS seq
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A X*? B) WITHIN INTERVAL '${within}' HOUR TO SECOND
  DEFINE A AS A.`value` > A.above, B AS B.`value` < B.below
);
