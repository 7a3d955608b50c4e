-- Intents: what people and programs wanted done, and what became of it. Operator alone writes here.

CREATE TABLE operator_intent (
    id          TEXT NOT NULL UNIQUE CHECK (length(id) = 26),                         -- ULID
    at          INTEGER NOT NULL,                                                     -- epoch ms when it came
    session_id  TEXT CHECK (length(session_id) = 26),                                 -- session it belongs to, as the caller said; NULL: none
    principal   TEXT,                                                                 -- name of the token or session that asked
    intent_type TEXT NOT NULL CHECK (length(intent_type) BETWEEN 1 AND 64),           -- as given, else as detected
    target      TEXT NOT NULL CHECK (length(target) BETWEEN 1 AND 64),                -- who should do it
    message     TEXT NOT NULL,                                                        -- the text, cut
    mode        TEXT NOT NULL CHECK (mode IN ('chat', 'code', 'mix', 'audio', 'analysis', 'task', 'browse', 'spawn', 'system')), -- as detected
    ops         TEXT NOT NULL CHECK (length(ops) > 1),                                -- as detected: JSON array of texts
    matched     TEXT NOT NULL CHECK (length(matched) > 1),                            -- words that said so: JSON array of texts
    confidence  REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),                     -- of the detection
    language    TEXT NOT NULL CHECK (language IN ('en', 'es', 'unknown')),            -- of the text
    status      INTEGER NOT NULL CHECK (status BETWEEN 100 AND 599),                  -- HTTP status that the caller got
    error       TEXT,                                                                 -- why it failed; NULL: it did not
    total_ms    REAL CHECK (total_ms >= 0)                                            -- until the answer
) STRICT;
CREATE INDEX operator_intent_at ON operator_intent (at);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('operator_intent', 'at', 7776000000, 100000);
