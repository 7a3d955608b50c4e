-- Sessions of the operator: conversations, what was said, files that came along, tools that were called, what
-- people thought of the answers. Operator alone writes here.
-- Rows that a full-text index points at have a number that neither VACUUM changes nor another row ever gets.
-- Sessions are bounded by operator.max_sessions and operator.session_ttl_ms, not by retention: their words and files go with them.

CREATE TABLE operator_session (
    n               INTEGER PRIMARY KEY AUTOINCREMENT,                                -- for the index of titles
    id              TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                     -- ULID
    title           TEXT NOT NULL,                                                    -- by a person, else of the first message
    titled          INTEGER NOT NULL DEFAULT 0 CHECK (titled IN (0, 1)),              -- 1: a person gave the title
    source          TEXT NOT NULL CHECK (source IN ('web', 'cli', 'api')),            -- where it was begun
    user_id         TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 64),           -- whose it is, as the caller said
    topic           TEXT NOT NULL DEFAULT 'general' CHECK (topic IN ('code', 'audio', 'browser', 'system', 'chat', 'general')), -- of its latest messages
    signature       TEXT NOT NULL DEFAULT 'Empty',                                    -- count and beginning of the last message
    model           TEXT CHECK (length(model) BETWEEN 1 AND 256),                     -- model or alias that a person chose; NULL: auto
    pinned          INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),              -- 1: neither age nor room ends it
    branch_session  TEXT CHECK (length(branch_session) = 26),                         -- session that it was branched off; NULL: none
    branch_message  TEXT CHECK (length(branch_message) = 26),                         -- the last message that was copied
    message_count   INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),            -- messages that are not replaced; kept by triggers
    bytes           INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),                    -- text of all its messages; kept by triggers
    last_seq        INTEGER NOT NULL DEFAULT 0 CHECK (last_seq >= 0),                 -- highest seq that was ever given
    created_at      INTEGER NOT NULL,                                                 -- epoch ms
    updated_at      INTEGER NOT NULL,                                                 -- epoch ms of the latest message or change; expiry counts from it
    CHECK ((branch_session IS NULL) = (branch_message IS NULL))
) STRICT;
CREATE INDEX operator_session_used ON operator_session (updated_at, id);
CREATE INDEX operator_session_topic ON operator_session (topic, updated_at, id);
CREATE INDEX operator_session_evict ON operator_session (pinned, updated_at);

CREATE TABLE operator_message (
    n                 INTEGER PRIMARY KEY AUTOINCREMENT,                              -- for the index of words
    id                TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                   -- ULID
    session_id        TEXT NOT NULL REFERENCES operator_session (id) ON DELETE CASCADE, -- its session
    seq               INTEGER NOT NULL CHECK (seq > 0),                               -- its place in the session
    role              TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool', 'system')), -- who speaks
    content           TEXT NOT NULL,                                                  -- the text; a part of it unless status is ok
    reasoning         TEXT,                                                           -- what the model thought before; NULL: it does not say
    bytes             INTEGER NOT NULL CHECK (bytes >= 0),                            -- of content and reasoning
    status            TEXT NOT NULL CHECK (status IN ('streaming', 'ok', 'failed', 'cancelled')), -- see MessageStatus
    error             TEXT CHECK (length(error) > 1),                                 -- JSON of ErrorBody; NULL: none
    replaced_by       TEXT CHECK (length(replaced_by) = 26),                          -- message in its place; NULL: it is part of the conversation
    requested_model   TEXT,                                                           -- model or alias that was asked for
    provider          TEXT,                                                           -- who answered
    model             TEXT,                                                           -- which model answered
    reason            TEXT,                                                           -- why this one
    request_id        TEXT,                                                           -- as in decision.request_id
    prompt_tokens     INTEGER CHECK (prompt_tokens >= 0),                             -- NULL: not reported
    completion_tokens INTEGER CHECK (completion_tokens >= 0),                         -- NULL: not reported
    cached_tokens     INTEGER CHECK (cached_tokens >= 0),                             -- NULL: not reported
    usage_estimated   INTEGER CHECK (usage_estimated IN (0, 1)),                      -- 1: Switch counted them; NULL: there is no usage
    first_token_ms    REAL CHECK (first_token_ms >= 0),                               -- from the question; NULL: none came
    total_ms          REAL CHECK (total_ms >= 0),                                     -- from the question to the end
    tokens_per_second REAL CHECK (tokens_per_second >= 0),                            -- NULL: not measurable
    cost              REAL CHECK (cost >= 0),                                         -- in switch.currency; NULL: no price is known
    finish_reason     TEXT,                                                           -- as the provider reported it
    history_dropped   INTEGER CHECK (history_dropped >= 0),                           -- earlier messages that did not fit; NULL: no model was asked
    metadata          TEXT CHECK (length(metadata) > 1),                              -- JSON, as the caller gave it
    indexed           INTEGER NOT NULL DEFAULT 0 CHECK (indexed IN (0, 1)),           -- 1: its words are in operator_message_words
    created_at        INTEGER NOT NULL,                                               -- epoch ms
    ended_at          INTEGER,                                                        -- epoch ms; NULL: still streaming
    CHECK ((status = 'streaming') = (ended_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX operator_message_seq ON operator_message (session_id, seq);
CREATE INDEX operator_message_streaming ON operator_message (id) WHERE status = 'streaming';

-- Files are files/CONTENT_ID of the home; a branch has rows of its own for the same content.
CREATE TABLE operator_file (
    n          INTEGER PRIMARY KEY,                                                   -- order in which they came
    id         TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                          -- ULID
    content_id TEXT NOT NULL CHECK (length(content_id) = 26),                         -- name of the file on the disk
    session_id TEXT REFERENCES operator_session (id) ON DELETE CASCADE,               -- NULL: not sent yet
    message_id TEXT REFERENCES operator_message (id) ON DELETE CASCADE,               -- NULL: not sent yet
    position   INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0),                      -- among the files of its message
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),                  -- as the person's computer calls it; never part of a path
    kind       TEXT NOT NULL CHECK (kind IN ('text', 'image', 'audio')),              -- what it is to a chat
    media_type TEXT NOT NULL CHECK (length(media_type) BETWEEN 3 AND 127),            -- by its content
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),                                   -- size
    sha256     TEXT NOT NULL CHECK (length(sha256) = 64),                             -- of its content
    width      INTEGER CHECK (width > 0),                                             -- pixels, of an image
    height     INTEGER CHECK (height > 0),                                            -- pixels, of an image
    created_at INTEGER NOT NULL                                                       -- epoch ms
) STRICT;
CREATE INDEX operator_file_message ON operator_file (message_id, position) WHERE message_id IS NOT NULL;
CREATE INDEX operator_file_session ON operator_file (session_id, n) WHERE session_id IS NOT NULL;
CREATE INDEX operator_file_content ON operator_file (content_id, bytes);
CREATE INDEX operator_file_loose ON operator_file (created_at) WHERE message_id IS NULL;

CREATE TABLE operator_tool_call (
    n            INTEGER PRIMARY KEY,                                                 -- order in which they were called
    id           TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                        -- ULID
    message_id   TEXT NOT NULL REFERENCES operator_message (id) ON DELETE CASCADE,    -- the answer it belongs to
    call_id      TEXT,                                                                -- what the model calls it; NULL: it was made elsewhere
    round        INTEGER NOT NULL DEFAULT 0 CHECK (round >= 0),                       -- calls of one round were asked for together
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),                 -- the tool
    arguments    TEXT CHECK (length(arguments) > 0),                                  -- JSON, as the model gave them
    mutating     INTEGER NOT NULL CHECK (mutating IN (0, 1)),                         -- 1: a person had to confirm it
    status       TEXT NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'failed', 'refused', 'cancelled')), -- see ToolCallStatus
    result       TEXT CHECK (length(result) > 0),                                     -- JSON, cut to a bound
    error        TEXT,                                                                -- why it failed or was refused
    confirmed_by TEXT,                                                                -- who confirmed or refused it
    created_at   INTEGER NOT NULL,                                                    -- epoch ms
    started_at   INTEGER,                                                             -- epoch ms; NULL: not yet
    ended_at     INTEGER,                                                             -- epoch ms; NULL: not yet
    duration_ms  REAL CHECK (duration_ms >= 0)                                        -- NULL: it did not run, or not to its end
) STRICT;
CREATE INDEX operator_tool_call_message ON operator_tool_call (message_id, n);
CREATE INDEX operator_tool_call_open ON operator_tool_call (status) WHERE status IN ('waiting', 'running');

CREATE TABLE operator_feedback (
    message_id TEXT NOT NULL PRIMARY KEY REFERENCES operator_message (id) ON DELETE CASCADE, -- the answer
    rating     REAL NOT NULL CHECK (rating BETWEEN -1 AND 1),                         -- bad to good
    note       TEXT,                                                                  -- why
    at         INTEGER NOT NULL,                                                      -- epoch ms
    learned    INTEGER NOT NULL CHECK (learned IN (0, 1)),                            -- 1: Switch's learner took it in
    reason     TEXT,                                                                  -- why it did not
    by         TEXT NOT NULL                                                          -- name of the token or session that said so
) STRICT;

-- Outlives the session that led to it.
CREATE TABLE operator_switch_adjustment (
    n             INTEGER PRIMARY KEY,                                                -- order
    id            TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                       -- ULID
    session_id    TEXT CHECK (length(session_id) = 26),                               -- that led to it; NULL: none
    message_id    TEXT CHECK (length(message_id) = 26),                               -- that led to it; NULL: none
    before_config TEXT NOT NULL CHECK (length(before_config) > 1),                    -- JSON, as Switch said before
    after_config  TEXT NOT NULL CHECK (length(after_config) > 1),                     -- JSON, as Switch said after, or as was asked for
    reason        TEXT NOT NULL CHECK (length(reason) > 0),                           -- why
    applied       INTEGER NOT NULL CHECK (applied IN (0, 1)),                         -- 1: Switch took it
    error         TEXT,                                                               -- why it did not
    by            TEXT NOT NULL,                                                      -- name of the token or session that asked
    created_at    INTEGER NOT NULL                                                    -- epoch ms
) STRICT;
CREATE INDEX operator_switch_adjustment_at ON operator_switch_adjustment (created_at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('operator_switch_adjustment', 'created_at', NULL, 100000);

-- What a session adds up to.
CREATE TRIGGER operator_message_counted AFTER INSERT ON operator_message BEGIN
    UPDATE operator_session SET bytes = bytes + new.bytes, message_count = message_count + (new.replaced_by IS NULL),
        last_seq = max(last_seq, new.seq) WHERE id = new.session_id;
END;
CREATE TRIGGER operator_message_recounted AFTER UPDATE OF bytes, replaced_by ON operator_message BEGIN
    UPDATE operator_session SET bytes = bytes + new.bytes - old.bytes,
        message_count = message_count + (new.replaced_by IS NULL) - (old.replaced_by IS NULL) WHERE id = new.session_id;
END;

-- Words of what was said: of people's messages and of answers, not of replaced ones, of failures, nor of what is still being
-- written. Kept by the operator with each change of a row, in the same transaction: SQLite before 3.42 lets no trigger
-- write to such a table where trusted_schema is off, as it is here.
CREATE VIRTUAL TABLE operator_message_words USING fts5 (content, content = 'operator_message', content_rowid = 'n', tokenize = 'unicode61 remove_diacritics 2');
-- Words of titles, kept in the same way.
CREATE VIRTUAL TABLE operator_session_words USING fts5 (title, content = 'operator_session', content_rowid = 'n', tokenize = 'unicode61 remove_diacritics 2');
