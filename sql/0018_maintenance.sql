-- What `vx11 db maintain` did, where rows went that left, and how much less is kept when the file is at its limit.

-- What becomes of rows that leave. Not those that say nothing later, nor what people wrote in requests, nor logins.
ALTER TABLE retention ADD COLUMN archive INTEGER NOT NULL DEFAULT 1 CHECK (archive IN (0, 1)); -- 1: written to a file of the archive before they go. 0: they are worth nothing later, or must not be kept
ALTER TABLE retention ADD COLUMN tight_max_age_ms INTEGER CHECK (tight_max_age_ms > 0);        -- as max_age_ms, once the file is at its limit; half, a quarter, an eighth of it when that is not enough. NULL: never less
ALTER TABLE retention ADD COLUMN tight_max_rows INTEGER CHECK (tight_max_rows > 0);            -- as max_rows, in the same way
UPDATE retention SET archive = 0 WHERE table_name IN ('auth_session', 'auth_login_code', 'request_body', 'fluzo_sample',
    'metric_sample', 'metric_minute', 'metric_hour', 'database_sample', 'database_table_sample', 'chore');
UPDATE retention SET tight_max_rows = 5000 WHERE table_name = 'event';
UPDATE retention SET tight_max_rows = 200000 WHERE table_name IN ('decision', 'usage');
UPDATE retention SET tight_max_age_ms = 86400000 WHERE table_name = 'job';
UPDATE retention SET tight_max_age_ms = 86400000, tight_max_rows = 1000 WHERE table_name = 'request_body';
UPDATE retention SET tight_max_rows = 20000 WHERE table_name IN ('tool_run', 'operator_intent');
UPDATE retention SET tight_max_rows = 10000 WHERE table_name = 'operator_browser_task';
UPDATE retention SET tight_max_rows = 200 WHERE table_name IN ('exec_job', 'chore');
UPDATE retention SET tight_max_age_ms = 86400000 WHERE table_name IN ('fluzo_sample', 'metric_minute');
UPDATE retention SET tight_max_age_ms = 7200000 WHERE table_name = 'metric_sample';
UPDATE retention SET tight_max_age_ms = 7776000000 WHERE table_name IN ('metric_hour', 'database_sample', 'database_table_sample');

-- One row for each run of `vx11 db maintain`.
CREATE TABLE maintenance_run (
    id            TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                            -- ULID
    at            INTEGER NOT NULL,                                                             -- epoch ms when it began
    ended_at      INTEGER,                                                                      -- epoch ms; NULL: it runs, or was ended before it could say so
    origin        TEXT NOT NULL CHECK (origin IN ('manual', 'scheduled')),                      -- manual: a person asked. scheduled: the supervisor did
    state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),  -- interrupted: its process ended before it did
    error         TEXT CHECK (length(error) <= 1000),                                           -- first step that failed, and why; NULL: none
    bytes_before  INTEGER NOT NULL CHECK (bytes_before >= 0),                                   -- of the file
    bytes_after   INTEGER CHECK (bytes_after >= 0),                                             -- of the file; NULL: not known
    deleted_rows  INTEGER NOT NULL DEFAULT 0 CHECK (deleted_rows >= 0),                         -- that left
    archived_rows INTEGER NOT NULL DEFAULT 0 CHECK (archived_rows >= 0),                        -- that were written to the archive
    report        TEXT CHECK (length(report) BETWEEN 2 AND 1048576)                             -- JSON, as `vx11 db maintain --json` printed it; NULL: there is none
) STRICT;
CREATE INDEX maintenance_run_by_at ON maintenance_run (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows, archive, tight_max_rows) VALUES ('maintenance_run', 'at', 34560000000, 1000, 0, 100);

-- Parts of the archive's files: rows that left a table, as JSON lines in one zstd frame of their own. A part is written, read back and
-- listed here before the first of its rows is deleted.
CREATE TABLE archive (
    id             TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),              -- ULID
    table_name     TEXT NOT NULL CHECK (length(table_name) BETWEEN 1 AND 63),      -- whose rows
    path           TEXT NOT NULL CHECK (length(path) BETWEEN 1 AND 255),           -- the file, below the archive's folder
    offset         INTEGER NOT NULL CHECK (offset >= 0),                           -- where in the file it begins
    bytes          INTEGER NOT NULL CHECK (bytes > 0),                             -- of the file that it takes
    sha256         TEXT NOT NULL CHECK (length(sha256) = 64),                      -- of these bytes
    content_bytes  INTEGER NOT NULL CHECK (content_bytes > 0),                     -- of the JSON lines
    content_sha256 TEXT NOT NULL CHECK (length(content_sha256) = 64),              -- of the JSON lines
    row_count      INTEGER NOT NULL CHECK (row_count >= 0),                        -- rows of the table in it
    child_count    INTEGER NOT NULL CHECK (child_count >= 0),                      -- rows of other tables in it that go with them
    deleted_rows   INTEGER NOT NULL DEFAULT 0 CHECK (deleted_rows <= row_count),   -- of row_count, deleted from the table because they are here; the others changed meanwhile, or the work was cut off, and are archived again when their time comes
    deleted_children INTEGER NOT NULL DEFAULT 0 CHECK (deleted_children <= child_count), -- of child_count, the same
    first_at       INTEGER,                                                        -- least value of the table's time column, epoch ms; NULL: no rows
    last_at        INTEGER,                                                        -- greatest
    created_at     INTEGER NOT NULL,                                               -- epoch ms
    UNIQUE (path, offset)
) STRICT;
CREATE INDEX archive_by_table ON archive (table_name, created_at);
CREATE INDEX archive_by_created ON archive (created_at);
INSERT INTO retention_exempt (table_name, kept, reason) VALUES ('archive', 'owner', 'goes with its file, by supervisor.database.archive_keep_ms and archive_keep_bytes');
