CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '/x', 'format' = 'json',
  'source.monitor-interval' = '10');
