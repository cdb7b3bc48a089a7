-- A 10-minute mean every 5 minutes, from generated readings; ends by itself.
--   headwater-aggregator run --standalone configs/sliding.sql --set out=/tmp

CREATE TABLE readings (
  id BIGINT,
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(id * 1000, 3),           -- one reading a second
  WATERMARK FOR rt AS rt
) WITH (
  'connector' = 'datagen',
  'number-of-rows' = '3600',
  'fields.id.kind' = 'sequence',
  'fields.id.start' = '0',
  'fields.id.end' = '3599',
  'fields.value.min' = '-40',
  'fields.value.max' = '125'
);

CREATE TABLE means (
  window_start TIMESTAMP(3),
  window_end TIMESTAMP(3),
  n BIGINT,
  mean DOUBLE,
  spread DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '${out}/means.ndjson',
  'format' = 'json'
);

INSERT INTO means
SELECT window_start, window_end, COUNT(*), AVG(`value`), STDDEV_POP(`value`)
FROM TABLE(HOP(TABLE readings, DESCRIPTOR(rt), INTERVAL '5' MINUTE, INTERVAL '10' MINUTE))
GROUP BY window_start, window_end;
