-- Pulls: downloads of models that a person asked for, their files, and which models came that way.

CREATE TABLE pull (
    id              TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                                       -- ULID
    source          TEXT NOT NULL CHECK (length(source) BETWEEN 1 AND 4096),                                 -- as it was asked for, without a query or secret
    revision        TEXT,                                                                                    -- as it was asked for; NULL: the source's default
    name            TEXT CHECK (length(name) BETWEEN 1 AND 128),                                             -- name asked for; NULL: from the catalogue or the file
    state           TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),     -- queued and running ones go on after a restart
    reason          TEXT,                                                                                    -- why it failed or was cancelled
    code            TEXT,                                                                                    -- the same as a short stable name
    repository      TEXT,                                                                                    -- OWNER/REPO; NULL: no hub
    commit_id       TEXT,                                                                                    -- the repository's commit that is being pulled; NULL: not known yet, or no hub
    bytes           INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),                                           -- had when it ended
    total           INTEGER CHECK (total >= 0),                                                              -- of all its files; NULL: not known
    rate_bytes      INTEGER NOT NULL DEFAULT 0 CHECK (rate_bytes >= 0),                                      -- most bytes a second; 0: no limit of its own
    resumed         INTEGER NOT NULL DEFAULT 0 CHECK (resumed >= 0),                                         -- times it went on after Hermes started again
    retries         INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),                                         -- requests that had to be made again
    resumed_bytes   INTEGER NOT NULL DEFAULT 0 CHECK (resumed_bytes >= 0),                                   -- on disk already when it began
    notes           TEXT,                                                                                    -- what it chose and what went differently, a line each; NULL: nothing
    path            TEXT,                                                                                    -- first file, absolute; NULL: not known yet
    model           TEXT,                                                                                    -- name it was registered under
    idempotency_key TEXT CHECK (length(idempotency_key) <= 255),                                             -- of the request that made it; NULL: none
    asked_by        TEXT NOT NULL,                                                                           -- name of the token or session that asked
    created_at      INTEGER NOT NULL,                                                                        -- epoch ms
    started_at      INTEGER,                                                                                 -- epoch ms; NULL: not yet
    ended_at        INTEGER                                                                                  -- epoch ms; NULL: not yet
) STRICT;
CREATE INDEX pull_by_created ON pull (created_at);
CREATE INDEX pull_by_state ON pull (state, created_at);
CREATE UNIQUE INDEX pull_by_key ON pull (idempotency_key) WHERE idempotency_key IS NOT NULL;
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('pull', 'created_at', NULL, 1000);

-- Files of a pull: one, or the parts of a split model in their order.
CREATE TABLE pull_file (
    pull_id    TEXT NOT NULL REFERENCES pull (id) ON DELETE CASCADE, -- whose
    part       INTEGER NOT NULL CHECK (part >= 0),                   -- from 0
    file       TEXT NOT NULL,                                        -- in the repository, or the file's name
    size_bytes INTEGER CHECK (size_bytes >= 0),                      -- NULL: not known
    sha256     TEXT CHECK (length(sha256) = 64),                     -- what it must be; NULL: nobody says
    etag       TEXT,                                                 -- of the source; NULL: none
    PRIMARY KEY (pull_id, part)
) STRICT;

-- Models whose files Hermes downloaded: only such files may it delete.
CREATE TABLE model_pulled (
    model_id   TEXT NOT NULL PRIMARY KEY REFERENCES model (id) ON DELETE CASCADE, -- which
    url        TEXT NOT NULL,                                                     -- where it came from, without a query
    repository TEXT,                                                              -- OWNER/REPO; NULL: no hub
    commit_id  TEXT,                                                              -- of the repository; NULL: no hub
    etag       TEXT,                                                              -- of the source; NULL: none
    licence    TEXT,                                                              -- from the catalogue; NULL: it does not say
    sha256     TEXT CHECK (length(sha256) = 64),                                  -- of the first file as it was downloaded
    checked    INTEGER NOT NULL CHECK (checked IN (0, 1)),                        -- 1: the hash was compared with what the hub or the catalogue says
    parts      INTEGER NOT NULL CHECK (parts >= 1),                               -- files it consists of
    pulled_at  INTEGER NOT NULL                                                   -- epoch ms
) STRICT;
