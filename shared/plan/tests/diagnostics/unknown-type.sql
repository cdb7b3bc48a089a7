CREATE TABLE t (a VARCHR) WITH ('connector' = 'print');
