CREATE TABLE t (a TEXT) WITH ('connector' = 'print');
