-- The predecessor's canonical schema of December 2025: 50 tables, as its ORM made them (no indices, no defaults, no CHECK).

CREATE TABLE tasks (
    id INTEGER NOT NULL PRIMARY KEY,
    uuid VARCHAR(36) NOT NULL UNIQUE,
    name VARCHAR(255) NOT NULL,
    module VARCHAR(50) NOT NULL,
    action VARCHAR(100) NOT NULL,
    status VARCHAR(20),
    created_at DATETIME,
    updated_at DATETIME,
    result TEXT,
    error TEXT
);
CREATE TABLE context (
    id INTEGER NOT NULL PRIMARY KEY,
    task_id VARCHAR(36) NOT NULL,
    key VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    scope VARCHAR(50),
    created_at DATETIME
);
CREATE TABLE reports (
    id INTEGER NOT NULL PRIMARY KEY,
    task_id VARCHAR(36) NOT NULL,
    report_type VARCHAR(50) NOT NULL,
    summary TEXT,
    details TEXT,
    metrics TEXT,
    created_at DATETIME
);
CREATE TABLE spawns (
    id INTEGER NOT NULL PRIMARY KEY,
    uuid VARCHAR(36) NOT NULL UNIQUE,
    name VARCHAR(255) NOT NULL,
    cmd VARCHAR(500) NOT NULL,
    pid INTEGER,
    status VARCHAR(20),
    started_at DATETIME,
    ended_at DATETIME,
    exit_code INTEGER,
    stdout TEXT,
    stderr TEXT,
    parent_task_id VARCHAR(36),
    created_at DATETIME
);
CREATE TABLE intents_log (
    id INTEGER NOT NULL PRIMARY KEY,
    source VARCHAR(64) NOT NULL,
    payload_json TEXT NOT NULL,
    created_at DATETIME,
    processed_by_madre_at DATETIME,
    result_status VARCHAR(32),
    notes TEXT
);
CREATE TABLE daughter_tasks (
    id INTEGER NOT NULL PRIMARY KEY,
    intent_id VARCHAR(36),
    source VARCHAR(64) NOT NULL,
    priority INTEGER,
    status VARCHAR(32),
    task_type VARCHAR(50) NOT NULL,
    description TEXT,
    created_at DATETIME,
    updated_at DATETIME,
    finished_at DATETIME,
    max_retries INTEGER,
    current_retry INTEGER,
    metadata_json TEXT,
    plan_json TEXT
);
CREATE TABLE daughters (
    id INTEGER NOT NULL PRIMARY KEY,
    task_id INTEGER NOT NULL,
    name VARCHAR(128) NOT NULL,
    purpose TEXT,
    tools_json TEXT,
    ttl_seconds INTEGER,
    started_at DATETIME,
    last_heartbeat_at DATETIME,
    ended_at DATETIME,
    status VARCHAR(32),
    mutation_level INTEGER,
    error_last TEXT
);
CREATE TABLE daughter_attempts (
    id INTEGER NOT NULL PRIMARY KEY,
    daughter_id INTEGER NOT NULL,
    attempt_number INTEGER,
    started_at DATETIME,
    finished_at DATETIME,
    status VARCHAR(32),
    error_message VARCHAR(500),
    tokens_used_cli INTEGER,
    tokens_used_local INTEGER,
    switch_model_used VARCHAR(128),
    cli_provider_used VARCHAR(128),
    created_at DATETIME
);
CREATE TABLE module_health (
    id INTEGER NOT NULL PRIMARY KEY,
    module VARCHAR(50) NOT NULL,
    status VARCHAR(20),
    last_ping DATETIME,
    error_count INTEGER,
    uptime_seconds FLOAT,
    updated_at DATETIME
);
CREATE TABLE system_state (
    id INTEGER NOT NULL PRIMARY KEY,
    key VARCHAR(128) NOT NULL UNIQUE,
    value TEXT,
    updated_at DATETIME,
    memory_pressure FLOAT,
    cpu_pressure FLOAT,
    switch_queue_level FLOAT,
    hermes_update_required BOOLEAN,
    shub_pipeline_state VARCHAR(64),
    operator_active BOOLEAN,
    system_load_score FLOAT,
    model_rotation_state VARCHAR(128),
    audio_pipeline_state VARCHAR(128),
    pending_tasks INTEGER,
    active_children INTEGER,
    last_operator_activity DATETIME,
    power_mode VARCHAR(32)
);
CREATE TABLE scheduler_history (
    id INTEGER NOT NULL PRIMARY KEY,
    timestamp DATETIME,
    action VARCHAR(64) NOT NULL,
    reason TEXT,
    metrics TEXT
);
CREATE TABLE madre_policies (
    id INTEGER NOT NULL PRIMARY KEY,
    module VARCHAR(64) NOT NULL,
    error_threshold INTEGER,
    idle_seconds INTEGER,
    enable_autosuspend BOOLEAN,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE madre_actions (
    id INTEGER NOT NULL PRIMARY KEY,
    module VARCHAR(64) NOT NULL,
    action VARCHAR(64) NOT NULL,
    reason VARCHAR(255),
    created_at DATETIME
);
CREATE TABLE power_events (
    id INTEGER NOT NULL PRIMARY KEY,
    module VARCHAR(64) NOT NULL,
    action VARCHAR(32) NOT NULL,
    reason VARCHAR(255),
    cpu_usage FLOAT,
    ram_usage FLOAT,
    activity_score FLOAT,
    timestamp DATETIME
);
CREATE TABLE hijas_runtime (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(128) NOT NULL,
    state VARCHAR(32),
    pid INTEGER,
    last_heartbeat DATETIME,
    meta_json TEXT,
    birth_context TEXT,
    death_context TEXT,
    intent_type VARCHAR(64),
    ttl INTEGER,
    killed_by VARCHAR(128),
    purpose VARCHAR(256),
    module_creator VARCHAR(64),
    born_at DATETIME,
    died_at DATETIME
);
CREATE TABLE system_events (
    id INTEGER NOT NULL PRIMARY KEY,
    timestamp DATETIME,
    source VARCHAR(64) NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    payload TEXT,
    severity VARCHAR(16)
);
CREATE TABLE hijas_state (
    id INTEGER NOT NULL PRIMARY KEY,
    hija_id VARCHAR(64) NOT NULL UNIQUE,
    module VARCHAR(64) NOT NULL,
    status VARCHAR(32),
    cpu_usage FLOAT,
    ram_usage FLOAT,
    pid INTEGER,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE task_queue (
    id INTEGER NOT NULL PRIMARY KEY,
    source VARCHAR(64) NOT NULL,
    priority INTEGER,
    payload TEXT NOT NULL,
    status VARCHAR(32),
    enqueued_at DATETIME,
    dequeued_at DATETIME
);
CREATE TABLE switch_queue_v2 (
    id INTEGER NOT NULL PRIMARY KEY,
    source VARCHAR(64) NOT NULL,
    priority INTEGER,
    task_type VARCHAR(50) NOT NULL,
    payload_hash VARCHAR(64) NOT NULL,
    status VARCHAR(32),
    created_at DATETIME,
    started_at DATETIME,
    finished_at DATETIME,
    result_size INTEGER,
    error_message VARCHAR(500)
);
CREATE TABLE ia_decisions (
    id INTEGER NOT NULL PRIMARY KEY,
    prompt_hash VARCHAR(64) NOT NULL,
    provider VARCHAR(50) NOT NULL,
    task_type VARCHAR(50),
    prompt TEXT NOT NULL,
    response TEXT,
    latency_ms INTEGER,
    success BOOLEAN,
    confidence FLOAT,
    meta_json TEXT,
    created_at DATETIME
);
CREATE TABLE model_usage_stats (
    id INTEGER NOT NULL PRIMARY KEY,
    model_or_cli_name VARCHAR(255) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    task_type VARCHAR(50) NOT NULL,
    tokens_used INTEGER,
    latency_ms INTEGER,
    success BOOLEAN,
    error_message VARCHAR(500),
    user_id VARCHAR(100),
    created_at DATETIME
);
CREATE TABLE model_registry (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    path VARCHAR(500) NOT NULL,
    provider VARCHAR(50) NOT NULL,
    type VARCHAR(50) NOT NULL,
    size_bytes INTEGER NOT NULL,
    tags TEXT,
    last_used DATETIME,
    score FLOAT,
    available BOOLEAN,
    meta_json TEXT,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE models_local (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    path VARCHAR(512) NOT NULL,
    size_mb INTEGER,
    hash VARCHAR(128),
    category VARCHAR(64),
    status VARCHAR(32),
    compatibility VARCHAR(64),
    downloaded_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE local_models_v2 (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    engine VARCHAR(50) NOT NULL,
    path VARCHAR(512) NOT NULL,
    size_bytes INTEGER NOT NULL,
    task_type VARCHAR(50) NOT NULL,
    max_context INTEGER,
    enabled BOOLEAN,
    last_used_at DATETIME,
    usage_count INTEGER,
    compatibility VARCHAR(64),
    meta_info TEXT,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE models_remote_cli (
    id INTEGER NOT NULL PRIMARY KEY,
    provider VARCHAR(128) NOT NULL,
    token VARCHAR(256) NOT NULL UNIQUE,
    limit_daily INTEGER,
    limit_weekly INTEGER,
    renew_at DATETIME,
    task_type VARCHAR(64),
    status VARCHAR(32),
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE cli_registry (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL UNIQUE,
    bin_path VARCHAR(500),
    available BOOLEAN,
    last_checked DATETIME,
    cli_type VARCHAR(50) NOT NULL,
    token_config_key VARCHAR(100),
    rate_limit_daily INTEGER,
    used_today INTEGER,
    notes TEXT,
    updated_at DATETIME
);
CREATE TABLE cli_providers (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL UNIQUE,
    base_url VARCHAR(500),
    api_key_env VARCHAR(100) NOT NULL,
    task_types VARCHAR(255),
    daily_limit_tokens INTEGER,
    monthly_limit_tokens INTEGER,
    tokens_used_today INTEGER,
    tokens_used_month INTEGER,
    reset_hour_utc INTEGER,
    enabled BOOLEAN,
    last_reset_at DATETIME,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE engines (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(128) NOT NULL UNIQUE,
    engine_type VARCHAR(32) NOT NULL,
    domain VARCHAR(64) NOT NULL,
    endpoint VARCHAR(256) NOT NULL,
    version VARCHAR(32),
    quota_tokens_per_day INTEGER,
    quota_used_today INTEGER,
    quota_reset_at DATETIME,
    latency_ms FLOAT,
    cost_per_call FLOAT,
    enabled BOOLEAN,
    last_used DATETIME,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE tokens_usage (
    id INTEGER NOT NULL PRIMARY KEY,
    token_id VARCHAR(256) NOT NULL,
    used_at DATETIME,
    used_count INTEGER,
    source VARCHAR(64)
);
CREATE TABLE hermes_ingest (
    id INTEGER NOT NULL PRIMARY KEY,
    path VARCHAR(512) NOT NULL,
    size_bytes INTEGER,
    duration_sec FLOAT,
    status VARCHAR(32),
    created_at DATETIME
);
CREATE TABLE hormiga_state (
    id INTEGER NOT NULL PRIMARY KEY,
    ant_id VARCHAR(64) NOT NULL UNIQUE,
    role VARCHAR(32) NOT NULL,
    status VARCHAR(20),
    last_scan_at DATETIME,
    mutation_level INTEGER,
    cpu_percent FLOAT,
    ram_percent FLOAT,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE incidents (
    id INTEGER NOT NULL PRIMARY KEY,
    ant_id VARCHAR(64) NOT NULL,
    incident_type VARCHAR(64) NOT NULL,
    severity VARCHAR(20),
    location VARCHAR(255),
    details TEXT,
    status VARCHAR(20),
    detected_at DATETIME,
    resolved_at DATETIME,
    queen_decision VARCHAR(255)
);
CREATE TABLE pheromone_log (
    id INTEGER NOT NULL PRIMARY KEY,
    pheromone_type VARCHAR(64) NOT NULL,
    intensity INTEGER,
    source_incident_ids TEXT,
    madre_intent_id VARCHAR(64),
    switch_consultation_id VARCHAR(64),
    payload TEXT,
    created_at DATETIME,
    executed_at DATETIME
);
CREATE TABLE feromona_events (
    id INTEGER NOT NULL PRIMARY KEY,
    type VARCHAR(64) NOT NULL,
    intensity INTEGER,
    module VARCHAR(64) NOT NULL,
    payload TEXT,
    timestamp DATETIME
);
CREATE TABLE drift_reports (
    id INTEGER NOT NULL PRIMARY KEY,
    module VARCHAR(64) NOT NULL,
    details TEXT NOT NULL,
    severity VARCHAR(32),
    timestamp DATETIME,
    resolved BOOLEAN
);
CREATE TABLE audit_logs (
    id INTEGER NOT NULL PRIMARY KEY,
    component VARCHAR(64) NOT NULL,
    level VARCHAR(16),
    message TEXT NOT NULL,
    created_at DATETIME
);
CREATE TABLE sandbox_exec (
    id INTEGER NOT NULL PRIMARY KEY,
    action VARCHAR(128) NOT NULL,
    status VARCHAR(32),
    duration_ms FLOAT,
    error TEXT,
    created_at DATETIME
);
CREATE TABLE operator_session (
    id INTEGER NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    source VARCHAR(50) NOT NULL,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE operator_message (
    id INTEGER NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) NOT NULL,
    role VARCHAR(50) NOT NULL,
    content TEXT NOT NULL,
    message_metadata TEXT,
    created_at DATETIME
);
CREATE TABLE operator_tool_call (
    id INTEGER NOT NULL PRIMARY KEY,
    message_id INTEGER NOT NULL,
    tool_name VARCHAR(100) NOT NULL,
    status VARCHAR(50),
    duration_ms INTEGER,
    result TEXT,
    error TEXT,
    created_at DATETIME
);
CREATE TABLE operator_browser_task (
    id INTEGER NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) NOT NULL,
    url VARCHAR(500) NOT NULL,
    status VARCHAR(50),
    snapshot_path VARCHAR(255),
    result TEXT,
    error TEXT,
    created_at DATETIME,
    executed_at DATETIME
);
CREATE TABLE operator_switch_adjustment (
    id INTEGER NOT NULL PRIMARY KEY,
    session_id VARCHAR(64) NOT NULL,
    message_id INTEGER,
    before_config TEXT NOT NULL,
    after_config TEXT NOT NULL,
    reason TEXT NOT NULL,
    applied BOOLEAN,
    created_at DATETIME,
    applied_at DATETIME
);
CREATE TABLE operator_jobs (
    id INTEGER NOT NULL PRIMARY KEY,
    job_id VARCHAR(64) NOT NULL UNIQUE,
    intent VARCHAR(64) NOT NULL,
    status VARCHAR(32),
    payload TEXT,
    result TEXT,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE shub_projects (
    id INTEGER NOT NULL PRIMARY KEY,
    project_id VARCHAR(64) NOT NULL UNIQUE,
    name VARCHAR(255) NOT NULL,
    sample_rate INTEGER,
    created_at DATETIME,
    updated_at DATETIME
);
CREATE TABLE shub_tracks (
    id INTEGER NOT NULL PRIMARY KEY,
    project_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    role VARCHAR(64),
    file_path VARCHAR(512),
    duration_sec FLOAT,
    created_at DATETIME
);
CREATE TABLE shub_analysis (
    id INTEGER NOT NULL PRIMARY KEY,
    track_id INTEGER NOT NULL,
    rms FLOAT,
    peak FLOAT,
    lufs FLOAT,
    noise_floor FLOAT,
    dynamic_range FLOAT,
    clipping INTEGER,
    notes TEXT,
    created_at DATETIME
);
CREATE TABLE shub_fx_chains (
    id INTEGER NOT NULL PRIMARY KEY,
    track_id INTEGER NOT NULL,
    chain_name VARCHAR(255) NOT NULL,
    steps_json TEXT NOT NULL,
    created_at DATETIME
);
CREATE TABLE shub_presets (
    id INTEGER NOT NULL PRIMARY KEY,
    fx_chain_id INTEGER NOT NULL,
    rpp_snippet TEXT,
    version VARCHAR(32),
    created_at DATETIME
);
CREATE TABLE forensic_ledger (
    id INTEGER NOT NULL PRIMARY KEY,
    event VARCHAR(255) NOT NULL,
    payload TEXT,
    hash VARCHAR(64) NOT NULL,
    created_at DATETIME
);
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY,
    source VARCHAR(64) NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    payload TEXT,
    created_at DATETIME
);
