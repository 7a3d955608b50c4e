-- Switch: one decision and one usage row for each request.

CREATE TABLE decision (
    id TEXT PRIMARY KEY CHECK (length(id) = 26),           -- ULID
    request_id TEXT NOT NULL,                              -- as in X-Request-Id
    at INTEGER NOT NULL,                                   -- when the request arrived, epoch ms
    route TEXT NOT NULL,                                   -- contract's route id
    principal_id TEXT,                                     -- who asked: id of the token or session
    principal_name TEXT,                                   -- its name
    requested_model TEXT,                                  -- as the caller wrote it; null: none
    provider TEXT,                                         -- who answered or failed last; null: nobody was asked
    model TEXT,                                            -- as that provider names it
    reason TEXT NOT NULL,                                  -- why this provider, or why none
    alternatives TEXT NOT NULL DEFAULT '[]' CHECK (length(alternatives) > 0), -- JSON: [{provider, model, result}] tried or passed over before
    attempts INTEGER NOT NULL CHECK (attempts >= 0),       -- providers asked
    stream INTEGER NOT NULL CHECK (stream IN (0, 1)),      -- whether the caller asked for a stream
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'cancelled', 'refused')),
    status INTEGER NOT NULL,                               -- HTTP status the caller got; 499: it had left
    error TEXT,                                            -- what went wrong
    prompt_tokens INTEGER,                                 -- as the provider reported; null: it did not
    completion_tokens INTEGER,                             -- as the provider reported; null: it did not
    first_token_ms REAL,                                   -- from arrival to the first token; null: there was none
    total_ms REAL NOT NULL                                 -- from arrival to the end
) STRICT;
CREATE INDEX decision_at ON decision (at);
CREATE INDEX decision_request ON decision (request_id);

CREATE TABLE usage (
    decision_id TEXT PRIMARY KEY REFERENCES decision (id) ON DELETE CASCADE, -- one for each decision
    at INTEGER NOT NULL,                                   -- epoch ms
    principal_id TEXT,
    provider TEXT,
    model TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'cancelled', 'refused')),
    prompt_tokens INTEGER,                                 -- null: not reported
    completion_tokens INTEGER,                             -- null: not reported
    cached_tokens INTEGER,                                 -- of the prompt, read from a cache; null: not reported
    total_ms REAL NOT NULL
) STRICT;
CREATE INDEX usage_at ON usage (at);

INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('decision', 'at', NULL, 1000000);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('usage', 'at', NULL, 1000000);
