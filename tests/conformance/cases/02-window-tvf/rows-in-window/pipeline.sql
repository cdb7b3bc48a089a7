-- Rows as keys of windows, and gathered in arrays

CREATE TABLE readings (
  m ROW<dev STRING, loc ROW<site STRING, lvl INT>>, ts BIGINT, v DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt
) WITH ('connector'='filesystem', 'path'='${CASE}/readings.ndjson', 'format'='json');

CREATE TABLE `result` (
  `window_start` TIMESTAMP(3),
  `loc` ROW<site STRING, lvl INT>,
  `n` BIGINT,
  `s` DOUBLE,
  `all_of` ARRAY<ROW<dev STRING, v DOUBLE>>
) WITH ('connector'='filesystem', 'path'='${OUT}/result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT window_start, m.loc, COUNT(*), SUM(v), ARRAY_AGG(ROW(m.dev, v))
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, m.loc;
