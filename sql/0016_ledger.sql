-- The forensic ledger, and why some tables need no retention.

-- What was decided and changed, and by whom: a chain in which each row carries the hash of the one before, so that a changed,
-- missing or moved row shows. hash = SHA-256 of prev and then of n, id, at, kind, actor, subject, detail, each after its length:
-- 8 bytes, most significant first; integers are 8 such bytes; NULL is the length of 64 one-bits and nothing. The first row's prev
-- is SHA-256 of the text "VX11 ledger 1". Its last row is also noted in a file beside the database (NAME.ledger), so that a cut
-- end shows. Nothing in it is ever changed or deleted; store/ledger/ledger.h alone writes here.
CREATE TABLE ledger (
    n       INTEGER PRIMARY KEY CHECK (n > 0),                       -- place in the chain: 1, 2, 3 … without gaps
    id      TEXT NOT NULL UNIQUE CHECK (length(id) = 26),            -- ULID
    at      INTEGER NOT NULL,                                        -- epoch ms
    kind    TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 63),     -- what happened: token.created, module.state, restore …
    actor   TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 127),   -- who: name of the token or session, cli, supervisor …
    subject TEXT CHECK (length(subject) BETWEEN 1 AND 255),          -- to what it happened; NULL: to the system
    detail  TEXT CHECK (length(detail) BETWEEN 2 AND 65536),         -- JSON object, never with a secret; NULL: nothing more to say
    prev    BLOB NOT NULL CHECK (length(prev) = 32),                 -- hash of row n - 1
    hash    BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)           -- SHA-256, see above
) STRICT;
CREATE INDEX ledger_kind ON ledger (kind, n);

CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;
-- Also keeps INSERT OR REPLACE from putting a row in another's place.
CREATE TRIGGER ledger_only_at_end BEFORE INSERT ON ledger
WHEN new.n IS NOT (SELECT coalesce(max(n), 0) + 1 FROM ledger)
    OR (new.n > 1 AND new.prev IS NOT (SELECT hash FROM ledger WHERE n = new.n - 1))
    OR EXISTS (SELECT 1 FROM ledger WHERE id = new.id OR hash = new.hash) BEGIN
    SELECT raise(ABORT, 'a row of the ledger goes to its end, with the hash of the row before');
END;

-- Each table is either in retention or here: a migration that makes one says so in the same file.
CREATE TABLE retention_exempt (
    table_name TEXT NOT NULL PRIMARY KEY,                            -- the table
    kept       TEXT NOT NULL CHECK (kept IN ('bounded', 'parent', 'owner', 'forever')), -- bounded: one row for each thing there is. parent: goes with the row it points at. owner: its module deletes by bounds of its own. forever: grows, and stays
    reason     TEXT NOT NULL CHECK (length(reason) > 0)              -- what bounds it, or why it may grow
) STRICT;
INSERT INTO retention_exempt (table_name, kept, reason) VALUES
    ('retention', 'bounded', 'one row for each growing table'),
    ('retention_exempt', 'bounded', 'one row for each other table'),
    ('schema_migration', 'bounded', 'one row for each migration'),
    ('ledger', 'forever', 'a chain with a part cut off proves nothing; a few rows a day'),
    ('auth_token', 'owner', 'token_purge deletes a month after a token was revoked or expired'),
    ('module_state', 'bounded', 'one row for each module'),
    ('setting', 'bounded', 'one row for each name that the program uses'),
    ('model', 'bounded', 'one row for each model file that a person keeps'),
    ('model_forgotten', 'bounded', 'one row for each file that a person took out'),
    ('model_registry', 'bounded', 'one row'),
    ('model_pin', 'parent', 'goes with its model'),
    ('model_pulled', 'parent', 'goes with its model'),
    ('model_external', 'bounded', 'one row for each model that a configured source offers'),
    ('pull_file', 'parent', 'goes with its pull'),
    ('tool', 'bounded', 'one row for each known or configured tool'),
    ('provider', 'bounded', 'one row for each provider that a person added'),
    ('learned', 'owner', 'Switch keeps at most as many as its configuration allows (max_rows of the learner)'),
    ('token_limit', 'parent', 'goes with its token'),
    ('token_limit_version', 'bounded', 'one row'),
    ('operator_session', 'owner', 'operator.max_sessions and operator.session_ttl_ms'),
    ('operator_message', 'parent', 'goes with its session'),
    ('operator_file', 'owner', 'goes with its session; files that were never sent go after a day'),
    ('operator_tool_call', 'parent', 'goes with its message'),
    ('operator_feedback', 'parent', 'goes with its message'),
    ('operator_message_words', 'owner', 'holds the words of operator_message, nothing of its own'),
    ('operator_session_words', 'owner', 'holds the words of operator_session, nothing of its own'),
    ('operator_browser_shot', 'parent', 'goes with its task'),
    ('metric_series', 'bounded', 'one row for each name that is measured, at most 1024');
