-- Question 7: intervals between readings, gaps, and runs of one value, by stream.

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

CREATE VIEW ordered AS SELECT * FROM once ORDER BY rt, seq;

CREATE VIEW steps AS
SELECT device, sensor, ts_ms, rt,
  CASE WHEN COUNT(*) OVER pair = 2 THEN ts_ms - FIRST_VALUE(ts_ms) OVER pair END AS dt,
  CASE WHEN COUNT(*) OVER pair = 2 AND FIRST_VALUE(`value`) OVER pair = `value` THEN 0 ELSE 1 END
    AS is_new
FROM ordered
WINDOW pair AS (
  PARTITION BY device, sensor ORDER BY rt ROWS BETWEEN 1 PRECEDING AND CURRENT ROW);

CREATE VIEW runs AS
SELECT device, sensor, run, COUNT(*) AS n
FROM (
  SELECT device, sensor,
    SUM(is_new) OVER (
      PARTITION BY device, sensor ORDER BY rt
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
  FROM steps)
GROUP BY device, sensor, run;

CREATE TABLE q7_intervals (device STRING, sensor STRING, n BIGINT, first_ts BIGINT, last_ts BIGINT, median_dt DOUBLE,
  max_dt BIGINT, gaps BIGINT, session_gaps BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q7_intervals.ndjson', 'format' = 'changelog-json');

CREATE TABLE q7_runs (device STRING, sensor STRING, stuck_runs BIGINT, stuck_values BIGINT, longest_run BIGINT)
WITH ('connector' = 'filesystem', 'path' = '${out}/q7_runs.ndjson', 'format' = 'changelog-json');

INSERT INTO q7_intervals
SELECT device, sensor, COUNT(*), MIN(ts_ms), MAX(ts_ms), PERCENTILE(dt, 0.5), MAX(dt),
  COUNT(*) FILTER (WHERE dt > CAST('${gap_ms}' AS BIGINT)),
  COUNT(*) FILTER (WHERE dt = CAST('${session_gap_ms}' AS BIGINT))
FROM steps
GROUP BY device, sensor;

INSERT INTO q7_runs
SELECT device, sensor, COUNT(*) FILTER (WHERE n >= CAST('${stuck_n}' AS BIGINT)),
  SUM(n) FILTER (WHERE n >= CAST('${stuck_n}' AS BIGINT)), MAX(n)
FROM runs
GROUP BY device, sensor;
