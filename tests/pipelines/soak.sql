-- Two ways in, 10-s windows per device, merged at the core. `mqtt`, `files` and `out` are put in by
-- the soak; ${n}, the agent's number, comes from each node's configuration.
CREATE TABLE published (
  device STRING, ts BIGINT, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (${mqtt}, 'format'='json');

CREATE TABLE written (
  device STRING, ts BIGINT, `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (${files}, 'format'='json');

CREATE TABLE of_published (
  device STRING, window_start TIMESTAMP(3), first_ts BIGINT, n BIGINT, sm DOUBLE, mx DOUBLE,
  PRIMARY KEY (device, window_start) NOT ENFORCED
) WITH ('connector'='filesystem', 'path'='${out}/published.ndjson', 'format'='changelog-json');

CREATE TABLE of_written (
  device STRING, window_start TIMESTAMP(3), first_ts BIGINT, n BIGINT, sm DOUBLE, mx DOUBLE,
  PRIMARY KEY (device, window_start) NOT ENFORCED
) WITH ('connector'='filesystem', 'path'='${out}/written.ndjson', 'format'='changelog-json');

INSERT INTO of_published
SELECT device, window_start, MIN(ts), COUNT(*), SUM(`value`), MAX(`value`)
FROM TABLE(TUMBLE(TABLE published, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;

INSERT INTO of_written
SELECT device, window_start, MIN(ts), COUNT(*), SUM(`value`), MAX(`value`)
FROM TABLE(TUMBLE(TABLE written, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;
