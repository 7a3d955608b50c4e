-- Models that have no file here: an engine of hermes.engines has them. Their row in model has a path that names the engine.

CREATE TABLE model_external (
    model_id TEXT NOT NULL PRIMARY KEY REFERENCES model (id) ON DELETE CASCADE, -- the model
    engine   TEXT NOT NULL CHECK (length(engine) BETWEEN 1 AND 64)              -- name of the engine
) STRICT;
CREATE INDEX model_external_engine ON model_external (engine);
