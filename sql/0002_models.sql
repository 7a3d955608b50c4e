-- Models that Hermes knows. Hermes alone writes here; facts come from each file's own header.

CREATE TABLE model (
    id                 TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                   -- ULID
    name               TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),         -- what requests call it
    source             TEXT NOT NULL CHECK (source IN ('builtin', 'scan', 'added')),        -- builtin: shipped inside VX11; scan: found in a folder; added: by a person
    status             TEXT NOT NULL CHECK (status IN ('available', 'missing', 'invalid')), -- whether the file is there and sound
    reason             TEXT,                                                                -- why it is not available; NULL: it is
    path               TEXT NOT NULL UNIQUE CHECK (substr(path, 1, 1) = '/'),               -- the file, absolute
    size_bytes         INTEGER CHECK (size_bytes >= 0),                                     -- of the file; NULL: never seen
    mtime_ns           INTEGER,                                                             -- the file's modification time, epoch nanoseconds; with the size it tells whether the file changed
    sha256             TEXT CHECK (length(sha256) = 64),                                    -- of the file, lower-case hex; NULL: not computed yet
    architecture       TEXT,                                                                -- general.architecture
    title              TEXT,                                                                -- general.name
    licence            TEXT,                                                                -- general.license
    quantisation       TEXT,                                                                -- tensor type of most weights
    parameters         INTEGER CHECK (parameters >= 0),                                     -- weights, summed over the tensors
    context_length     INTEGER CHECK (context_length >= 0),                                 -- tokens it was trained for
    embedding_length   INTEGER CHECK (embedding_length >= 0),                               -- width
    layers             INTEGER CHECK (layers >= 0),                                         -- blocks
    vocabulary         INTEGER CHECK (vocabulary >= 0),                                     -- tokens
    kv_bytes_per_token INTEGER CHECK (kv_bytes_per_token >= 0),                             -- estimate of its cache in 16-bit numbers; NULL: the header does not say enough
    has_chat_template  INTEGER NOT NULL DEFAULT 0 CHECK (has_chat_template IN (0, 1)),      -- whether the file brings one
    enabled            INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),                -- whether requests may use it
    usage_count        INTEGER NOT NULL DEFAULT 0 CHECK (usage_count >= 0),                 -- times an engine was handed out for it
    last_used_at       INTEGER,                                                             -- epoch ms; NULL: never
    created_at         INTEGER NOT NULL,                                                    -- epoch ms
    updated_at         INTEGER NOT NULL,                                                    -- epoch ms of the last change of its facts
    CHECK ((status = 'available') = (reason IS NULL))
) STRICT;

-- Files that a person took out of the registry although they lie in a scanned folder: a scan leaves them alone.
CREATE TABLE model_forgotten (
    path         TEXT NOT NULL PRIMARY KEY, -- the file, absolute
    forgotten_at INTEGER NOT NULL           -- epoch ms
) STRICT;

-- A number that grows with each change of the registry, so that others can cache the list.
CREATE TABLE model_registry (
    only    INTEGER NOT NULL PRIMARY KEY CHECK (only = 1), -- there is one row
    version INTEGER NOT NULL CHECK (version >= 0)          -- grows by one or more with each change
) STRICT;
INSERT INTO model_registry (only, version) VALUES (1, 0);

CREATE TRIGGER model_inserted AFTER INSERT ON model BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER model_deleted AFTER DELETE ON model BEGIN
    UPDATE model_registry SET version = version + 1;
END;
-- Use is not a change: usage_count and last_used_at are left out.
CREATE TRIGGER model_updated AFTER UPDATE OF name, source, status, reason, path, size_bytes, mtime_ns, sha256, architecture, title,
    licence, quantisation, parameters, context_length, embedding_length, layers, vocabulary, kv_bytes_per_token, has_chat_template,
    enabled, updated_at ON model BEGIN
    UPDATE model_registry SET version = version + 1;
END;
