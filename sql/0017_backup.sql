-- Copies of the database, and the chores that the supervisor has done. Every process that does such work writes its own row.

-- Each attempt to make, verify or restore a backup, and each one that was deleted. What a backup file holds is in the manifest beside it.
CREATE TABLE backup (
    id             TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                     -- ULID
    at             INTEGER NOT NULL,                                                      -- epoch ms when it began
    action         TEXT NOT NULL CHECK (action IN ('make', 'verify', 'prune', 'restore')), -- what was tried
    kind           TEXT CHECK (kind IN ('manual', 'daily', 'weekly', 'monthly', 'before_maintain', 'before_migrate')), -- of the backup; NULL: its manifest cannot be read
    path           TEXT NOT NULL CHECK (length(path) BETWEEN 1 AND 4095),                 -- its file: a name in the folder of backups, or an absolute path
    bytes          INTEGER CHECK (bytes >= 0),                                            -- of that file; NULL: there is none
    sha256         TEXT CHECK (length(sha256) = 64),                                      -- of that file, in hex; NULL: there is none
    schema_version INTEGER CHECK (schema_version >= 0),                                   -- highest migration in it; NULL: unknown
    row_count      INTEGER CHECK (row_count >= 0),                                        -- rows of all its tables; NULL: unknown
    duration_ms    INTEGER NOT NULL CHECK (duration_ms >= 0),                             -- how long it took
    ok             INTEGER NOT NULL CHECK (ok IN (0, 1)),                                 -- 1: it went well
    error          TEXT CHECK (length(error) <= 1000),                                    -- why not, as a sentence; NULL: it went well
    CHECK ((ok = 1) = (error IS NULL))
) STRICT;
CREATE INDEX backup_by_at ON backup (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('backup', 'at', 34560000000, 5000);

-- Each run of a chore that the supervisor started, by its schedule or because somebody asked.
CREATE TABLE chore (
    id         TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                         -- ULID
    kind       TEXT NOT NULL CHECK (kind IN ('backup', 'verify', 'maintain', 'check', 'doctor')), -- which command of ours it is
    asked_by   TEXT NOT NULL CHECK (length(asked_by) BETWEEN 1 AND 127),                  -- schedule, or who asked
    asked_at   INTEGER NOT NULL,                                                          -- epoch ms
    started_at INTEGER,                                                                   -- epoch ms; NULL: was cancelled while it waited
    ended_at   INTEGER NOT NULL,                                                          -- epoch ms
    state      TEXT NOT NULL CHECK (state IN ('done', 'failed', 'cancelled')),            -- how it ended
    exit_code  INTEGER CHECK (exit_code BETWEEN 0 AND 255),                               -- NULL: did not exit by itself
    reason     TEXT CHECK (length(reason) <= 1000),                                       -- why it failed, as a sentence; NULL: it did not
    output     TEXT CHECK (length(output) <= 262144)                                      -- JSON that it printed; NULL: none, or too long
) STRICT;
CREATE INDEX chore_by_kind ON chore (kind, ended_at);
CREATE INDEX chore_by_ended ON chore (ended_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('chore', 'ended_at', 7776000000, 2000);
