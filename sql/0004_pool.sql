-- The pool of loaded models: what is pinned.

-- Models that stay once they are loaded.
CREATE TABLE model_pin (
    model_id  TEXT NOT NULL PRIMARY KEY REFERENCES model (id) ON DELETE CASCADE, -- the model
    pinned_at INTEGER NOT NULL,                                                  -- epoch ms
    pinned_by TEXT NOT NULL                                                      -- name of the token, session or module that asked
) STRICT;

-- A pin shows in the list of models, so it is a change of the registry.
CREATE TRIGGER model_pinned AFTER INSERT ON model_pin BEGIN
    UPDATE model_registry SET version = version + 1;
END;
CREATE TRIGGER model_unpinned AFTER DELETE ON model_pin BEGIN
    UPDATE model_registry SET version = version + 1;
END;
