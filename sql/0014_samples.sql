-- How each request went, attempt by attempt; and what every module measured, in three resolutions.

ALTER TABLE decision ADD COLUMN trace_id TEXT CHECK (length(trace_id) = 32); -- W3C trace id; null: an older row
-- JSON, at most 16 of them: [{p: provider, m: model, k: kind, o: end, s: status or 0, t: [start, called, connected, headers, first token, end], e: error}],
-- times in microseconds since the request arrived, -1: it did not come to that. Null: an older row.
ALTER TABLE decision ADD COLUMN story TEXT CHECK (length(story) <= 65536);

-- What is measured of whom: the names that samples refer to.
CREATE TABLE metric_series (
    id      INTEGER NOT NULL PRIMARY KEY,                                         -- small number that samples hold
    module  TEXT NOT NULL CHECK (length(module) BETWEEN 1 AND 127),               -- module, or engine/NAME
    name    TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),                  -- what is measured: cpu, memory, requests …
    kind    TEXT NOT NULL CHECK (kind IN ('gauge', 'rate', 'quantile')),          -- gauge: at that moment. rate: per second since the sample before. quantile: of what happened since then
    unit    TEXT NOT NULL CHECK (length(unit) <= 15),                             -- of the values: %, bytes, 1/s, ms; empty: none
    seen_at INTEGER NOT NULL,                                                     -- epoch ms when it was first measured
    UNIQUE (module, name)
) STRICT;

-- One value, as it was measured. What could not be measured has no row.
CREATE TABLE metric_sample (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,      -- of what
    at     INTEGER NOT NULL,                                                      -- epoch ms
    value  REAL NOT NULL
) STRICT;
CREATE INDEX metric_sample_series ON metric_sample (series, at);
CREATE INDEX metric_sample_at ON metric_sample (at);

-- The samples of a minute.
CREATE TABLE metric_minute (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,      -- of what
    at     INTEGER NOT NULL CHECK (at % 60000 = 0),                               -- its beginning, epoch ms
    mean   REAL NOT NULL,                                                         -- of the samples
    most   REAL NOT NULL,                                                         -- the largest of them
    n      INTEGER NOT NULL CHECK (n > 0)                                         -- samples
) STRICT;
CREATE UNIQUE INDEX metric_minute_series ON metric_minute (series, at);
CREATE INDEX metric_minute_at ON metric_minute (at);

-- The minutes of an hour.
CREATE TABLE metric_hour (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,      -- of what
    at     INTEGER NOT NULL CHECK (at % 3600000 = 0),                             -- its beginning, epoch ms
    mean   REAL NOT NULL,                                                         -- of the samples
    most   REAL NOT NULL,                                                         -- the largest of them
    n      INTEGER NOT NULL CHECK (n > 0)                                         -- samples
) STRICT;
CREATE UNIQUE INDEX metric_hour_series ON metric_hour (series, at);
CREATE INDEX metric_hour_at ON metric_hour (at);

INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('metric_sample', 'at', 21600000, 300000);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('metric_minute', 'at', 259200000, 500000);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('metric_hour', 'at', 34560000000, 1000000);
