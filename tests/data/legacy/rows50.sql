-- Rows in the shape of the canonical 50 tables: what comes over, what is merged, what is left, and why.
INSERT INTO operator_session (id, session_id, user_id, source, created_at, updated_at) VALUES
    (1, 'session-a', 'local', 'web', '2025-12-15 19:12:00.123456', '2025-12-15 19:20:00.000000'),
    (2, 'session-b', 'local', 'cli', '2025-12-16T08:00:00Z', NULL),
    (3, 'session-empty', 'local', 'somewhere', '2025-12-16 09:00:00', NULL),
    (4, 'session-timeless', 'local', 'web', 'yesterday', NULL);
INSERT INTO operator_message (id, session_id, role, content, message_metadata, created_at) VALUES
    (1, 'session-a', 'user', 'How do ants find the kitchen?', '{"mode":"chat"}', '2025-12-15 19:12:01.000001'),
    (2, 'session-a', 'assistant', 'By pheromones, mostly.', 'not json', '2025-12-15 19:12:05.500000'),
    (3, 'session-b', 'user', 'Hola, ¿qué tal?', NULL, '2025-12-16 08:00:01'),
    (4, 'session-gone', 'user', 'Nobody asked me', NULL, '2025-12-16 08:00:02'),
    (5, 'session-a', 'oracle', 'I am no role', NULL, '2025-12-16 08:00:03'),
    (6, 'session-a', 'user', 'When was this?', NULL, '32nd of May'),
    (7, 'session-a', 'user', CAST(x'ff00fe' AS TEXT), NULL, '2025-12-16 08:00:04');
INSERT INTO operator_tool_call (id, message_id, tool_name, status, duration_ms, result, error, created_at) VALUES
    (1, 2, 'search', 'ok', 120, '{"hits":3}', NULL, '2025-12-15 19:12:04'),
    (2, 2, 'search', 'error', 80, NULL, 'no network', '2025-12-15 19:12:04.5'),
    (3, 4, 'search', 'ok', 5, 'plain text', NULL, '2025-12-16 08:00:02');
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
INSERT INTO incidents (ant_id, incident_type, severity, location, details, status, detected_at, resolved_at, queen_decision)
    SELECT 'scanner_fs', 'fs_drift', CASE i % 3 WHEN 0 THEN 'warning' ELSE 'error' END, 'docs/' || (i % 20), 'seen ' || i,
        'open', strftime('%Y-%m-%d %H:%M:%S', 1765800000 + i, 'unixepoch') || '.000000', NULL, NULL FROM n;
INSERT INTO incidents (ant_id, incident_type, severity, location, details, status, detected_at, resolved_at, queen_decision) VALUES
    ('scanner_memory', 'memory_leak', 'critical', NULL, 'rss grows', 'resolved', '2025-12-17 10:00:00.000000', '2025-12-17T11:00:00Z', 'restart'),
    ('scanner_memory', 'memory_leak', 'critical', NULL, 'rss grows', 'acknowledged', 'never', NULL, NULL);
INSERT INTO model_registry (name, path, provider, type, size_bytes) VALUES ('nowhere', '/nonexistent/model.gguf', 'local', 'llm', 100);
INSERT INTO cli_providers (name, base_url, api_key_env) VALUES ('deepseek', 'https://api.example.com/v1', 'DEEPSEEK_API_KEY');
INSERT INTO models_remote_cli (provider, token) VALUES ('somebody', 'secret-token-that-must-stay-there');
INSERT INTO tasks (uuid, name, module, action) VALUES ('u-1', 'a task', 'madre', 'plan');
INSERT INTO switch_queue_v2 (source, task_type, payload_hash) VALUES ('operator', 'chat', 'abc'), ('operator', 'chat', 'def');
INSERT INTO ia_decisions (prompt_hash, provider, prompt) VALUES ('h', 'local', 'p');
INSERT INTO forensic_ledger (event, hash) VALUES ('e', 'h');
