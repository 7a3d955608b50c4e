-- Budgets, virtual keys, cost, and what was used on each day.
--
-- What is counted against a budget is the sum of rows of usage, nothing else: a trigger adds each of them to its day in the same
-- transaction, so the two cannot come apart, whoever writes the row and whatever kills the process.

-- What a token may use. A token without a row has no limits of its own.
CREATE TABLE token_limit (
    token_id             TEXT NOT NULL PRIMARY KEY REFERENCES auth_token (id) ON DELETE CASCADE, -- one row for each token at most
    account              TEXT NOT NULL CHECK (length(account) = 26),                 -- whose use is counted: id of the first token of a name; a rotation keeps it
    models               TEXT NOT NULL DEFAULT '' CHECK (length(models) < 2048),     -- patterns, one a line: MODEL, ALIAS or PROVIDER/MODEL, * stands for anything; empty: all
    requests_per_minute  INTEGER CHECK (requests_per_minute > 0),                    -- NULL: no limit
    concurrent           INTEGER CHECK (concurrent > 0),                             -- requests at a time; NULL: no limit
    tokens_per_day       INTEGER CHECK (tokens_per_day > 0),                         -- read and written, UTC day; NULL: no limit
    tokens_per_month     INTEGER CHECK (tokens_per_month > 0),                       -- the same, UTC month; NULL: no limit
    cost_micro_per_month INTEGER CHECK (cost_micro_per_month > 0),                   -- millionths of the currency, UTC month; NULL: no limit
    local_only           INTEGER NOT NULL DEFAULT 0 CHECK (local_only IN (0, 1)),    -- 1: its requests never leave the machine
    mode                 TEXT CHECK (mode IN ('ECO', 'BALANCED', 'HIGH-PERF', 'CRITICAL')), -- of requests that name none; NULL: the mode that is set
    changed_at           INTEGER NOT NULL                                            -- epoch ms
) STRICT;

-- Tells Switch that what it remembers of tokens is old.
CREATE TABLE token_limit_version (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1), -- there is one row
    version INTEGER NOT NULL CHECK (version >= 0)          -- grows by one or more with each change
) STRICT;
INSERT INTO token_limit_version (only, version) VALUES (1, 0);
CREATE TRIGGER token_limit_inserted AFTER INSERT ON token_limit BEGIN
    UPDATE token_limit_version SET version = version + 1;
END;
CREATE TRIGGER token_limit_updated AFTER UPDATE ON token_limit BEGIN
    UPDATE token_limit_version SET version = version + 1;
END;
CREATE TRIGGER token_limit_deleted AFTER DELETE ON token_limit BEGIN
    UPDATE token_limit_version SET version = version + 1;
END;

ALTER TABLE decision ADD COLUMN cost_micro INTEGER CHECK (cost_micro >= 0);  -- millionths of the currency; null: no price is known
ALTER TABLE usage ADD COLUMN account TEXT;                                   -- whose use it is: a token's (token_limit.account, else its id), page, local; null: principal_id
ALTER TABLE usage ADD COLUMN cost_micro INTEGER CHECK (cost_micro >= 0);     -- as in decision
ALTER TABLE usage ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0 CHECK (estimated IN (0, 1));   -- 1: tokens counted here, the provider gave none
ALTER TABLE usage ADD COLUMN from_cache INTEGER NOT NULL DEFAULT 0 CHECK (from_cache IN (0, 1)); -- 1: answered from the cache; the tokens were not used again

-- What each principal used of each model on each UTC day.
CREATE TABLE usage_day (
    day               INTEGER NOT NULL CHECK (day % 86400000 = 0), -- its beginning, epoch ms
    principal_id      TEXT NOT NULL,                               -- usage.account; '': nobody known
    provider          TEXT NOT NULL,                               -- '': nobody was asked
    model             TEXT NOT NULL,                               -- as that provider names it; '': none
    requests          INTEGER NOT NULL,                            -- all of them
    failed            INTEGER NOT NULL,                            -- of those, failed
    refused           INTEGER NOT NULL,                            -- of those, not sent to any provider
    cancelled         INTEGER NOT NULL,                            -- of those, left by the caller
    cache_hits        INTEGER NOT NULL,                            -- of those, answered from the cache: they add no tokens
    prompt_tokens     INTEGER NOT NULL,                            -- sum; what was not reported counts 0
    completion_tokens INTEGER NOT NULL,                            -- the same
    cached_tokens     INTEGER NOT NULL,                            -- of the prompt tokens, read from a provider's cache
    cost_micro        INTEGER NOT NULL,                            -- sum of what is known, millionths of the currency
    unpriced          INTEGER NOT NULL,                            -- requests with tokens and without a known cost
    estimated         INTEGER NOT NULL,                            -- requests whose tokens were counted here
    PRIMARY KEY (day, principal_id, provider, model)
) STRICT;
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('usage_day', 'day', 63072000000, 1000000);

INSERT INTO usage_day
    SELECT at - at % 86400000, coalesce(principal_id, ''), coalesce(provider, ''), coalesce(model, ''), count(*),
        sum(outcome = 'failed'), sum(outcome = 'refused'), sum(outcome = 'cancelled'), 0,
        sum(coalesce(prompt_tokens, 0)), sum(coalesce(completion_tokens, 0)), sum(coalesce(cached_tokens, 0)), 0,
        sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) > 0), 0
    FROM usage GROUP BY 1, 2, 3, 4;

CREATE TRIGGER usage_into_day AFTER INSERT ON usage BEGIN
    INSERT INTO usage_day (day, principal_id, provider, model, requests, failed, refused, cancelled, cache_hits,
        prompt_tokens, completion_tokens, cached_tokens, cost_micro, unpriced, estimated)
    VALUES (NEW.at - NEW.at % 86400000, coalesce(NEW.account, NEW.principal_id, ''), coalesce(NEW.provider, ''), coalesce(NEW.model, ''), 1,
        NEW.outcome = 'failed', NEW.outcome = 'refused', NEW.outcome = 'cancelled', NEW.from_cache,
        CASE WHEN NEW.from_cache THEN 0 ELSE coalesce(NEW.prompt_tokens, 0) END,
        CASE WHEN NEW.from_cache THEN 0 ELSE coalesce(NEW.completion_tokens, 0) END,
        CASE WHEN NEW.from_cache THEN 0 ELSE coalesce(NEW.cached_tokens, 0) END,
        coalesce(NEW.cost_micro, 0),
        NEW.cost_micro IS NULL AND NEW.from_cache = 0 AND coalesce(NEW.prompt_tokens, 0) + coalesce(NEW.completion_tokens, 0) > 0,
        NEW.estimated)
    ON CONFLICT (day, principal_id, provider, model) DO UPDATE SET
        requests = requests + excluded.requests, failed = failed + excluded.failed, refused = refused + excluded.refused,
        cancelled = cancelled + excluded.cancelled, cache_hits = cache_hits + excluded.cache_hits,
        prompt_tokens = prompt_tokens + excluded.prompt_tokens, completion_tokens = completion_tokens + excluded.completion_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens, cost_micro = cost_micro + excluded.cost_micro,
        unpriced = unpriced + excluded.unpriced, estimated = estimated + excluded.estimated;
END;
