CREATE TABLE readings (id STRING, site STRING, v DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '/in.ndjson', 'format' = 'json');

CREATE TABLE result (site STRING, x BIGINT) WITH ('connector' = 'print');

INSERT INTO result
SELECT site, LAST_VALUE(n) FROM (
  SELECT id, MAX(site) AS site, COUNT(*) AS n FROM readings GROUP BY id
) AS counts
GROUP BY site;
