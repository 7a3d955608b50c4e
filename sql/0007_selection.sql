-- What Switch learns and measures to choose by.

ALTER TABLE decision ADD COLUMN task_type TEXT;                          -- type of the task; null: nobody was chosen (refused before that, or answered from the cache)
ALTER TABLE decision ADD COLUMN mode TEXT CHECK (mode IN ('ECO', 'BALANCED', 'HIGH-PERF', 'CRITICAL')); -- mode that applied
ALTER TABLE decision ADD COLUMN score REAL;                              -- of who answered or failed last; null: nobody was asked
ALTER TABLE decision ADD COLUMN candidates TEXT;                         -- JSON: {candidates: [Candidate]} with terms, reasons, outcomes; at most 16
ALTER TABLE decision ADD COLUMN privacy TEXT CHECK (privacy IN ('any', 'local_only')); -- where it might go
ALTER TABLE decision ADD COLUMN fluzo TEXT CHECK (fluzo IN ('low_power', 'balanced', 'performance')); -- how the host was off

-- One row for each type of task and model that was asked. Sums are decayed to `at`. Switch bounds how many there are.
CREATE TABLE learned (
    task_type TEXT NOT NULL CHECK (length(task_type) BETWEEN 1 AND 64),  -- '*': all types together
    provider TEXT NOT NULL,                                              -- as the configuration names it
    model TEXT NOT NULL,                                                 -- as that provider names it
    at INTEGER NOT NULL,                                                 -- epoch ms of the last thing learned
    weight REAL NOT NULL CHECK (weight >= 0),                            -- attempts and ratings, decayed
    success REAL NOT NULL CHECK (success >= 0),                          -- of that, what went well
    first_token_weight REAL NOT NULL CHECK (first_token_weight >= 0),    -- attempts whose time to the first token is known, decayed
    first_token_sum REAL NOT NULL CHECK (first_token_sum >= 0),          -- those times, ms
    token_weight REAL NOT NULL CHECK (token_weight >= 0),                -- attempts whose time for each further token is known
    token_sum REAL NOT NULL CHECK (token_sum >= 0),                      -- those times, ms
    total_weight REAL NOT NULL CHECK (total_weight >= 0),                -- attempts whose whole time is known
    total_sum REAL NOT NULL CHECK (total_sum >= 0),                      -- those times, ms
    requests INTEGER NOT NULL CHECK (requests >= 0),                     -- attempts, not decayed
    failures INTEGER NOT NULL CHECK (failures BETWEEN 0 AND requests),   -- of those, failed
    ratings INTEGER NOT NULL CHECK (ratings >= 0),                       -- ratings by people
    PRIMARY KEY (task_type, provider, model)
) STRICT;
CREATE INDEX learned_at ON learned (at);

-- What people thought of answers.
CREATE TABLE feedback (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                -- ULID
    request_id TEXT NOT NULL,                                            -- as in decision.request_id
    at INTEGER NOT NULL,                                                 -- epoch ms
    principal_name TEXT,                                                 -- who says so
    task_type TEXT NOT NULL,                                             -- of the decision
    provider TEXT NOT NULL,                                              -- who had answered
    model TEXT NOT NULL,
    rating REAL NOT NULL CHECK (rating BETWEEN -1 AND 1),                -- -1 bad, 1 good
    note TEXT CHECK (length(note) <= 2000)
) STRICT;
CREATE INDEX feedback_at ON feedback (at);
CREATE INDEX feedback_request ON feedback (request_id);

-- The host's signals, only where the configuration wants them kept.
CREATE TABLE fluzo_sample (
    at INTEGER NOT NULL,                                                 -- epoch ms
    profile TEXT NOT NULL CHECK (profile IN ('low_power', 'balanced', 'performance')),
    cpu_pct REAL,                                                        -- null: the host does not tell, here and below
    memory_pct REAL,
    swap_pct REAL,
    memory_stall_pct REAL,
    on_ac INTEGER CHECK (on_ac IN (0, 1)),
    battery_pct REAL,
    temperature_c REAL,
    disk_pct REAL
) STRICT;
CREATE INDEX fluzo_sample_at ON fluzo_sample (at);

INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('feedback', 'at', NULL, 100000);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('fluzo_sample', 'at', 604800000, 200000);
