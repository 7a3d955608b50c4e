-- What `vx11 doctor` found, each time it looked.

CREATE TABLE doctor_report (
    id          TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),                                -- ULID
    at          INTEGER NOT NULL,                                                                 -- epoch ms when it began
    origin      TEXT NOT NULL CHECK (origin IN ('manual', 'scheduled')),                          -- manual: a person asked. scheduled: the supervisor did
    verdict     TEXT NOT NULL CHECK (verdict IN ('ready', 'ready_with_warnings', 'not_ready')),   -- what came of it
    checks      INTEGER NOT NULL CHECK (checks >= 0),                                             -- results in the report
    blocking    INTEGER NOT NULL CHECK (blocking >= 0),                                           -- of these, failed or unknown ones that stand in the way
    warnings    INTEGER NOT NULL CHECK (warnings >= 0),                                           -- failed or unknown ones that are warnings
    notes       INTEGER NOT NULL CHECK (notes >= 0),                                              -- failed or unknown ones that only inform
    unknown     INTEGER NOT NULL CHECK (unknown >= 0),                                            -- of all those, the ones that could not be measured
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),                                        -- of the whole look
    version     TEXT NOT NULL CHECK (length(version) BETWEEN 1 AND 64),                           -- VX11 that looked
    report      TEXT NOT NULL CHECK (length(report) BETWEEN 2 AND 1048576)                        -- JSON, as `vx11 doctor --json` printed it
) STRICT;
CREATE INDEX doctor_report_by_at ON doctor_report (at);
-- A look every hour for a month is 720 of them, some 30 KB each.
INSERT INTO retention (table_name, time_column, max_age_ms, max_rows, archive, tight_max_rows) VALUES ('doctor_report', 'at', 2592000000, 1000, 0, 200);
