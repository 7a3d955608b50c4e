-- Command-line tools, providers added while running, and executions. Hermes alone writes here.

-- The binding of a tool's name to a program, as it was last looked at, and what is counted of its use.
CREATE TABLE tool (
    name         TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),   -- as in the configuration, or a known tool's
    path         TEXT CHECK (substr(path, 1, 1) = '/'),                             -- its program; NULL: not found
    real_path    TEXT CHECK (substr(real_path, 1, 1) = '/'),                        -- where its links lead to
    version      TEXT,                                                              -- as it says itself; NULL: it did not
    size_bytes   INTEGER CHECK (size_bytes >= 0),                                   -- of the program's file
    mtime_ns     INTEGER,                                                           -- its modification time, epoch nanoseconds; with the size it tells whether the file changed
    sha256       TEXT CHECK (length(sha256) = 64),                                  -- of the file, lower-case hex; NULL: too large to be hashed
    argv         TEXT NOT NULL DEFAULT '[]' CHECK (length(argv) > 0),               -- JSON: the arguments with their placeholders
    auth         TEXT NOT NULL DEFAULT 'unknown' CHECK (auth IN ('ok', 'needs_login', 'unknown')), -- its login
    auth_detail  TEXT,                                                              -- how that was told, or how to log in
    enabled      INTEGER NOT NULL DEFAULT 0 CHECK (enabled IN (0, 1)),              -- whether a person allowed its use; the configuration goes before it
    detected_at  INTEGER,                                                           -- epoch ms when the program was last looked at
    quota_day    INTEGER,                                                           -- days since the epoch, UTC, that quota_used counts
    quota_used   INTEGER NOT NULL DEFAULT 0 CHECK (quota_used >= 0),                -- runs of that day
    last_ok_at   INTEGER,                                                           -- epoch ms of the last answer
    last_fail_at INTEGER,                                                           -- epoch ms of the last failure
    last_error   TEXT,                                                              -- how it failed
    created_at   INTEGER NOT NULL,                                                  -- epoch ms
    updated_at   INTEGER NOT NULL                                                   -- epoch ms of the last change of its binding
) STRICT;

-- Providers that were added while running. Never a key: the settings name an environment variable or a file.
CREATE TABLE provider (
    name       TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64), -- unique over the configuration too
    settings   TEXT NOT NULL CHECK (length(settings) > 1),                      -- JSON: as a provider of the configuration
    created_at INTEGER NOT NULL,                                                -- epoch ms
    updated_at INTEGER NOT NULL,                                                -- epoch ms
    changed_by TEXT NOT NULL                                                    -- name of the token or session that last changed it
) STRICT;

-- One row for each program that was run for somebody, or refused: the audit.
CREATE TABLE tool_run (
    id             TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                       -- ULID
    at             INTEGER NOT NULL,                                                   -- epoch ms of its start
    kind           TEXT NOT NULL CHECK (kind IN ('chat', 'exec', 'test')),             -- what for
    name           TEXT NOT NULL,                                                      -- tool, or name of the allowed program
    program        TEXT,                                                               -- its path; NULL: it did not come to that
    principal_id   TEXT,                                                               -- who asked; NULL: VX11 itself
    principal_name TEXT,                                                               -- its name
    request_id     TEXT,                                                               -- as in X-Request-Id
    outcome        TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'timeout', 'cancelled', 'refused')),
    exit_code      INTEGER,                                                            -- NULL: ended by a signal, or not run
    signal         INTEGER,                                                            -- NULL: none
    sandbox        TEXT CHECK (sandbox IN ('bubblewrap', 'limits')),                   -- NULL: not run
    input_bytes    INTEGER NOT NULL DEFAULT 0,                                         -- of the prompt
    output_bytes   INTEGER NOT NULL DEFAULT 0,                                         -- of its stdout
    duration_ms    INTEGER NOT NULL DEFAULT 0,                                         -- wall time
    error          TEXT                                                                -- why it was refused or failed
) STRICT;
CREATE INDEX tool_run_at ON tool_run (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('tool_run', 'at', NULL, 100000);

-- Jobs of POST /hermes/exec.
CREATE TABLE exec_job (
    id               TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                     -- ULID
    name             TEXT NOT NULL,                                                    -- of hermes.exec_allow
    status           TEXT NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'timeout', 'cancelled')),
    request          TEXT NOT NULL CHECK (length(request) > 1),                        -- JSON: arguments, prompt, input as asked for; {} once it has ended
    stdout           TEXT,                                                             -- kept part
    stderr           TEXT,                                                             -- kept part
    stdout_truncated INTEGER NOT NULL DEFAULT 0 CHECK (stdout_truncated IN (0, 1)),    -- 1: there was more
    stderr_truncated INTEGER NOT NULL DEFAULT 0 CHECK (stderr_truncated IN (0, 1)),    -- 1: there was more
    return_code      INTEGER,                                                          -- NULL: none
    signal           INTEGER,                                                          -- that ended it; NULL: none
    error            TEXT,                                                             -- why it is not completed
    sandbox          TEXT CHECK (sandbox IN ('bubblewrap', 'limits')),                 -- NULL: not run
    principal_name   TEXT,                                                             -- who asked
    created_at       INTEGER NOT NULL,                                                 -- epoch ms
    started_at       INTEGER,                                                          -- epoch ms; NULL: not yet
    finished_at      INTEGER,                                                          -- epoch ms; NULL: not yet
    duration_ms      INTEGER                                                           -- from start to end
) STRICT;
CREATE INDEX exec_job_at ON exec_job (created_at);
CREATE INDEX exec_job_status ON exec_job (status, created_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('exec_job', 'created_at', 2592000000, 1000);

-- The registry's version grows with tools and providers too. Use is not a change.
CREATE TRIGGER tool_inserted AFTER INSERT ON tool BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER tool_deleted AFTER DELETE ON tool BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER tool_updated AFTER UPDATE OF path, real_path, version, size_bytes, mtime_ns, sha256, argv, auth, auth_detail, enabled
    ON tool BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER provider_inserted AFTER INSERT ON provider BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER provider_deleted AFTER DELETE ON provider BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER provider_updated AFTER UPDATE ON provider BEGIN
    UPDATE model_registry SET version = version + 1;
END;
