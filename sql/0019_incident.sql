-- Incidents, each once however often it is seen; and what was taken over from a predecessor's database.

-- What watchers found. Hormiguero writes here, and so does an import; store/incident.h has the only way in.
CREATE TABLE incident (
    id            TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                  -- ULID
    fingerprint   BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),         -- SHA-256 of kind, source and location, each after its length: what makes it the same incident when it is seen again
    kind          TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 127),          -- what is wrong: fs_drift, memory_leak …
    severity      TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')), -- the latest time it was seen
    source        TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 127),        -- who sees such things: a scanner's or a module's name
    location      TEXT NOT NULL CHECK (length(location) <= 1023),                -- where: a path, a module, an address; empty: everywhere
    detail        TEXT CHECK (length(detail) BETWEEN 1 AND 65536),               -- as it was seen the latest time; NULL: nothing more is known
    state         TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'executing', 'resolved', 'failed', 'suppressed')),
    count         INTEGER NOT NULL DEFAULT 1 CHECK (count >= 1),                 -- times it was seen
    first_seen_at INTEGER NOT NULL,                                              -- epoch ms
    last_seen_at  INTEGER NOT NULL,                                              -- epoch ms
    updated_at    INTEGER NOT NULL,                                              -- epoch ms: last seen, or taken over from a predecessor since; its age counts from then
    resolved_at   INTEGER,                                                       -- epoch ms; NULL: it is not, or not any more
    decision      TEXT CHECK (length(decision) <= 4096),                         -- what was decided about it; NULL: nothing yet
    CHECK (first_seen_at <= last_seen_at),
    CHECK (resolved_at IS NULL OR state = 'resolved')
) STRICT;
CREATE INDEX incident_seen ON incident (last_seen_at);
CREATE INDEX incident_updated ON incident (updated_at);
CREATE INDEX incident_state ON incident (state, severity, last_seen_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows, tight_max_rows) VALUES ('incident', 'updated_at', 7776000000, 100000, 20000);

-- Each time a predecessor's file was read.
CREATE TABLE import_run (
    id         TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                     -- ULID
    at         INTEGER NOT NULL,                                                 -- epoch ms of its start
    ended_at   INTEGER,                                                          -- epoch ms; NULL: it runs, or was cut off
    path       TEXT NOT NULL CHECK (length(path) > 0),                           -- the file
    shape      TEXT NOT NULL CHECK (length(shape) BETWEEN 1 AND 63),             -- which predecessor wrote it
    imported   INTEGER NOT NULL DEFAULT 0 CHECK (imported >= 0),                 -- rows that became rows here
    merged     INTEGER NOT NULL DEFAULT 0 CHECK (merged >= 0),                   -- rows that were counted into another row
    known      INTEGER NOT NULL DEFAULT 0 CHECK (known >= 0),                    -- rows that an earlier run had taken over
    left_out   INTEGER NOT NULL DEFAULT 0 CHECK (left_out >= 0),                 -- rows that have no place here, or could not be read
    error      TEXT,                                                             -- why it ended early; NULL: it did not
    report     TEXT CHECK (length(report) > 1)                                   -- JSON: table by table; NULL: not finished
) STRICT;
CREATE INDEX import_run_at ON import_run (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('import_run', 'at', NULL, 1000);

-- Which rows were taken over, so that no run takes one twice, also from another copy of the file.
CREATE TABLE import_row (
    source BLOB NOT NULL PRIMARY KEY CHECK (length(source) = 16),                -- first half of the SHA-256 of table and row as they were read
    at     INTEGER NOT NULL,                                                     -- epoch ms
    id     TEXT,                                                                 -- what became of it: the id here
    until  INTEGER                                                               -- epoch ms: of what is merged by fingerprint, sights up to then were taken over; NULL: this is one row
) STRICT, WITHOUT ROWID;
INSERT INTO retention_exempt (table_name, kept, reason) VALUES
    ('import_row', 'bounded', 'one row for each row of a predecessor''s file; without them a second import would double what the first took over');
