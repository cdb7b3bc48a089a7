CREATE TABLE result (id STRING, v DOUBLE)
WITH ('connector' = 'printt');

