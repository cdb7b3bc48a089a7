CREATE TABLE readings (
  device STRING, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json',
  'gateway-local' = 'device'
);

CREATE TABLE steps (device STRING, v DOUBLE, mean DOUBLE, step DOUBLE)
WITH ('connector' = 'print');
CREATE TABLE highest (device STRING, rn BIGINT, v DOUBLE, PRIMARY KEY (device, rn) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/highest.ndjson', 'format' = 'json');
CREATE TABLE latest (device STRING, v DOUBLE, PRIMARY KEY (device) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = '/latest.ndjson', 'format' = 'json');
CREATE TABLE windows (window_end TIMESTAMP(3), device STRING, v DOUBLE)
WITH ('connector' = 'print');
CREATE TABLE sorted (device STRING, v DOUBLE)
WITH ('connector' = 'print');

INSERT INTO steps
SELECT device, v,
  AVG(v) OVER (PARTITION BY device ORDER BY rt
    RANGE BETWEEN INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW),
  v - LAG(v, 1, CAST(0 AS DOUBLE)) OVER (PARTITION BY device ORDER BY rt)
FROM readings;

INSERT INTO highest
SELECT device, rn, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY v DESC NULLS LAST) AS rn FROM readings
) WHERE rn <= 3;

INSERT INTO latest
SELECT device, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY rt DESC) AS rn FROM readings
) WHERE rn = 1;

INSERT INTO windows
SELECT window_end, device, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC, ts) AS rn
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
) WHERE rn BETWEEN 1 AND 2;

INSERT INTO sorted
SELECT device, v FROM readings ORDER BY rt, device DESC;
