-- The browser's tasks and screenshots. Operator alone writes here; it also deletes by its own bounds
-- (operator.browser.keep_…), with the files.

CREATE TABLE operator_browser_task (
    id              TEXT NOT NULL UNIQUE CHECK (length(id) = 26),     -- ULID
    idempotency_key TEXT CHECK (length(idempotency_key) BETWEEN 1 AND 255), -- as the caller gave it; NULL: none
    principal_id    TEXT,                                             -- who asked
    principal_name  TEXT,                                             -- its name
    session_id      TEXT CHECK (length(session_id) = 26),             -- session it belongs to; NULL: none
    url             TEXT NOT NULL CHECK (length(url) > 0),            -- where it begins
    mode            TEXT NOT NULL CHECK (mode IN ('local', 'remote', 'off')), -- which browser
    status          TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'error', 'timeout', 'cancelled')),
    request         TEXT NOT NULL CHECK (length(request) > 1),        -- JSON: as it was asked for
    steps           TEXT NOT NULL DEFAULT '[]' CHECK (length(steps) > 1), -- JSON: what was done so far
    result          TEXT CHECK (length(result) > 1),                  -- JSON: what was found; NULL: nothing
    error           TEXT,                                             -- why it ended badly
    error_code      TEXT,                                             -- the same, a stable name
    timeout_ms      INTEGER NOT NULL CHECK (timeout_ms > 0),          -- deadline from its start
    created_at      INTEGER NOT NULL,                                 -- epoch ms
    started_at      INTEGER,                                          -- epoch ms; NULL: not yet
    ended_at        INTEGER                                           -- epoch ms; NULL: not yet
) STRICT;
CREATE UNIQUE INDEX operator_browser_task_key ON operator_browser_task (principal_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX operator_browser_task_at ON operator_browser_task (created_at);
CREATE INDEX operator_browser_task_status ON operator_browser_task (status, id);
CREATE INDEX operator_browser_task_session ON operator_browser_task (session_id, id) WHERE session_id IS NOT NULL;
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('operator_browser_task', 'created_at', NULL, 100000);

-- One row for each screenshot; its file is browser/ID.png or browser/ID.jpg of the home.
CREATE TABLE operator_browser_shot (
    id         TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                     -- ULID
    task_id    TEXT NOT NULL REFERENCES operator_browser_task (id) ON DELETE CASCADE, -- its task
    format     TEXT NOT NULL CHECK (format IN ('png', 'jpeg')),                  -- of the file
    bytes      INTEGER NOT NULL CHECK (bytes > 0),                               -- of the file
    created_at INTEGER NOT NULL                                                  -- epoch ms
) STRICT;
CREATE INDEX operator_browser_shot_task ON operator_browser_shot (task_id);
CREATE INDEX operator_browser_shot_at ON operator_browser_shot (created_at);
