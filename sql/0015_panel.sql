-- How large the database was, for the page's charts of its growth. Operator alone writes here.

-- The file, every ten minutes.
CREATE TABLE database_sample (
    at         INTEGER NOT NULL,                              -- epoch ms
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),      -- of the file
    wal_bytes  INTEGER NOT NULL CHECK (wal_bytes >= 0),       -- of the write-ahead log beside it
    free_bytes INTEGER NOT NULL CHECK (free_bytes >= 0)       -- of pages that hold nothing
) STRICT;
CREATE INDEX database_sample_at ON database_sample (at);

-- Each table, once an hour.
CREATE TABLE database_table_sample (
    at         INTEGER NOT NULL,                              -- epoch ms
    table_name TEXT NOT NULL CHECK (length(table_name) > 0),  -- which
    row_count  INTEGER NOT NULL CHECK (row_count >= 0),       -- its rows
    bytes      INTEGER CHECK (bytes >= 0)                     -- pages of it and of its indices; NULL: SQLite does not tell
) STRICT;
CREATE INDEX database_table_sample_table ON database_table_sample (table_name, at);
CREATE INDEX database_table_sample_at ON database_table_sample (at);

INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('database_sample', 'at', 31536000000, 60000);
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES ('database_table_sample', 'at', 31536000000, 1000000);
