-- What every module shares: retention rules, access, module states and runs, settings, events.
-- Times are epoch milliseconds. Public ids are ULIDs. The migrator makes schema_migration itself. JSON functions stay out of
-- every schema: SQLite before 3.41 takes them for unsafe there when trusted_schema is off, as it is here.

-- How long rows of each growing table are kept. A migration that makes a growing table declares it here.
CREATE TABLE retention (
    table_name  TEXT NOT NULL PRIMARY KEY,                     -- the growing table
    time_column TEXT NOT NULL,                                 -- its INTEGER column of epoch milliseconds that rows age by
    max_age_ms  INTEGER CHECK (max_age_ms > 0),                -- rows older than this go; NULL: no limit
    max_rows    INTEGER CHECK (max_rows > 0),                  -- beyond this many the oldest go; NULL: no limit
    CHECK (max_age_ms IS NOT NULL OR max_rows IS NOT NULL)
) STRICT;

-- Tokens of programs and people. Only hashes are kept.
CREATE TABLE auth_token (
    id           TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                  -- ULID
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),                -- whom it was made for; shown in logs and accounting
    scopes       TEXT NOT NULL CHECK (length(scopes) BETWEEN 1 AND 127),             -- comma-separated: read, chat, act, admin, publish
    hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),                     -- BLAKE2b-256 of the token's text
    slot         TEXT NOT NULL DEFAULT 'current' CHECK (slot IN ('current', 'next')), -- next: made by a rotation, valid beside current until promoted
    created_at   INTEGER NOT NULL,                                                   -- epoch ms
    expires_at   INTEGER,                                                            -- epoch ms; NULL: never
    revoked_at   INTEGER,                                                            -- epoch ms; NULL: valid
    last_used_at INTEGER                                                             -- epoch ms; NULL: never used
) STRICT;
-- A name has at most one valid token in each slot.
CREATE UNIQUE INDEX auth_token_by_name ON auth_token (name, slot) WHERE revoked_at IS NULL;

-- Sessions of the operator page, held by a cookie.
CREATE TABLE auth_session (
    id           TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),       -- ULID
    hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),          -- BLAKE2b-256 of the cookie's value
    scopes       TEXT NOT NULL CHECK (length(scopes) BETWEEN 1 AND 127),  -- as auth_token.scopes
    created_at   INTEGER NOT NULL,                                        -- epoch ms
    last_seen_at INTEGER NOT NULL,                                        -- epoch ms of the last request, to a minute or so
    expires_at   INTEGER NOT NULL,                                        -- epoch ms
    user_agent   TEXT CHECK (length(user_agent) <= 255)                   -- as the browser sent it; NULL: none
) STRICT;
CREATE INDEX auth_session_by_last_seen ON auth_session (last_seen_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('auth_session', 'last_seen_at', NULL, 1000);

-- One-time login links. A code works once, and for a few minutes.
CREATE TABLE auth_login_code (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- BLAKE2b-256 of the code
    created_at INTEGER NOT NULL,                                    -- epoch ms
    expires_at INTEGER NOT NULL,                                    -- epoch ms
    used_at    INTEGER                                              -- epoch ms; NULL: not used yet
) STRICT;
CREATE INDEX auth_login_code_by_created ON auth_login_code (created_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('auth_login_code', 'created_at', 86400000, 1000);

-- The state that each module should be in. A module without a row is active.
CREATE TABLE module_state (
    module     TEXT NOT NULL PRIMARY KEY CHECK (length(module) BETWEEN 1 AND 63), -- module name
    state      TEXT NOT NULL CHECK (state IN ('active', 'standby', 'off')),       -- active serves, standby refuses work, off is stopped
    changed_at INTEGER NOT NULL,                                                  -- epoch ms
    changed_by TEXT NOT NULL,                                                     -- name of the token, session or module that changed it
    reason     TEXT                                                               -- why; NULL: none was given
) STRICT;

-- One row for each start of a module's process.
CREATE TABLE module_run (
    id           TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),               -- ULID
    module       TEXT NOT NULL CHECK (length(module) BETWEEN 1 AND 63),           -- module name
    pid          INTEGER NOT NULL CHECK (pid > 0),                                -- process id
    started_at   INTEGER NOT NULL,                                                -- epoch ms
    ended_at     INTEGER,                                                         -- epoch ms; NULL: runs, or the supervisor ended first
    exit_code    INTEGER CHECK (exit_code BETWEEN 0 AND 255),                     -- NULL: did not exit by itself
    signal       INTEGER CHECK (signal > 0),                                      -- signal that ended it; NULL: none
    oom          INTEGER NOT NULL DEFAULT 0 CHECK (oom IN (0, 1)),                -- 1: killed for want of memory
    reason       TEXT,                                                            -- why it ended, as a sentence; NULL: unknown
    crash_report TEXT                                                             -- path of the report below the home folder; NULL: none
) STRICT;
CREATE INDEX module_run_by_module ON module_run (module, started_at);
CREATE INDEX module_run_by_started ON module_run (started_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('module_run', 'started_at', 7776000000, 10000);

-- Small values that outlive a process and are not configuration.
CREATE TABLE setting (
    key        TEXT NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 127), -- dotted name, the module first
    value      TEXT NOT NULL CHECK (length(value) > 0)   ,                         -- JSON
    updated_at INTEGER NOT NULL                                                 -- epoch ms
) STRICT;

-- The system's event log, written by Link. Ordered by id.
CREATE TABLE event (
    id      TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26), -- ULID; also the SSE event id that replay starts from
    type    TEXT NOT NULL CHECK (length(type) BETWEEN 1 AND 127), -- one of Link's event types
    source  TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 63), -- module that published it
    at      INTEGER NOT NULL,                                  -- epoch ms when Link took it in
    payload TEXT NOT NULL CHECK (length(payload) > 0) ,         -- JSON object, as the type's schema says
    size    INTEGER NOT NULL CHECK (size >= 0)                 -- bytes of the payload
) STRICT;
CREATE INDEX event_by_at ON event (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('event', 'at', NULL, 10000);
