-- The durable queue of jobs, and the bodies of requests that somebody asked to be kept.

CREATE TABLE job (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),          -- ULID
    source TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 64),  -- who wants it, as they said: shub, operator, madre …
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),    -- 0 first
    task_type TEXT NOT NULL CHECK (length(task_type) BETWEEN 1 AND 64),
    payload TEXT NOT NULL,                                         -- JSON object
    payload_bytes INTEGER NOT NULL CHECK (payload_bytes > 0),      -- its length
    provider_hint TEXT,                                            -- this provider first; null: none
    outside INTEGER NOT NULL DEFAULT 0 CHECK (outside IN (0, 1)),  -- 1: left for workers outside of Switch
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'dead', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),     -- times it was claimed
    max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),       -- after so many it is dead
    ran_again INTEGER NOT NULL DEFAULT 0 CHECK (ran_again >= 0),   -- times it was begun again because its lease had expired
    lost INTEGER NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)),        -- 1: its lease expired and it was not begun again yet
    not_before INTEGER NOT NULL,                                   -- epoch ms: not claimed earlier
    lease_until INTEGER,                                           -- epoch ms; null: nobody holds it
    lease_owner TEXT,                                              -- name of the worker that holds it
    lease_token TEXT CHECK (lease_token IS NULL OR length(lease_token) = 26), -- who shows it holds the lease
    enqueued_at INTEGER NOT NULL,                                  -- epoch ms
    started_at INTEGER,                                            -- epoch ms of the last claim; null: never
    finished_at INTEGER,                                           -- epoch ms; null: not finished
    run_timeout_ms INTEGER NOT NULL CHECK (run_timeout_ms > 0),    -- longest time that one attempt may take
    result TEXT,                                                   -- JSON; null: none
    error TEXT,                                                    -- what went wrong last, a sentence
    error_class TEXT,                                              -- its code
    error_status INTEGER,                                          -- the HTTP status it goes with
    idempotency_key TEXT CHECK (idempotency_key IS NULL OR length(idempotency_key) BETWEEN 1 AND 255),
    body_hash TEXT,                                                -- of the body that came with the key, hex
    principal_id TEXT NOT NULL,                                    -- who asked: id of the token or session, or "local"
    principal_name TEXT NOT NULL,                                  -- its name
    principal_scopes TEXT NOT NULL,                                -- what they might do then: "read,chat"
    trace TEXT,                                                    -- W3C traceparent of the request that made it
    CHECK ((state = 'running') = (lease_token IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('done', 'failed', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
) STRICT;
-- The next one to run.
CREATE INDEX job_next ON job (outside, priority, enqueued_at, id) WHERE state = 'queued';
-- When the next one may run, and how many wait.
CREATE INDEX job_due ON job (outside, not_before) WHERE state = 'queued';
-- Leases that expire.
CREATE INDEX job_lease ON job (lease_until) WHERE state = 'running';
-- How much there is.
CREATE INDEX job_open ON job (priority, payload_bytes) WHERE state IN ('queued', 'running');
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX job_state ON job (state, id);
CREATE UNIQUE INDEX job_idempotency ON job (principal_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Unfinished jobs have no finished_at and never age; the number of finished ones is bounded by the queue itself.
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('job', 'finished_at', 604800000, NULL);

CREATE TABLE request_body (
    request_id TEXT NOT NULL,                                      -- as in decision.request_id
    at INTEGER NOT NULL,                                           -- epoch ms
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'cancelled', 'refused')),
    request TEXT,                                                  -- what the caller sent, secrets taken out; null: nothing
    request_bytes INTEGER NOT NULL CHECK (request_bytes >= 0),     -- as it came; more than length(request): it was cut
    reply TEXT,                                                    -- what the caller got, secrets taken out; null: nothing
    reply_bytes INTEGER NOT NULL CHECK (reply_bytes >= 0)          -- as it went
) STRICT;
CREATE INDEX request_body_request ON request_body (request_id);
CREATE INDEX request_body_at ON request_body (at);

INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('request_body', 'at', 604800000, 10000);
