/* Declared: the columns that hold JSON, and the ids that SQLite does not watch. */
#include "store/check/declared.h"

#include "base/str.h"

/* clang-format off */
const struct declared_json declared_json[] = {
    {"setting", "value", DECLARED_JSON, NULL},
    {"event", "payload", DECLARED_OBJECT, NULL},
    {"decision", "alternatives", DECLARED_ARRAY, NULL},
    {"decision", "candidates", DECLARED_OBJECT, NULL},
    {"decision", "story", DECLARED_ARRAY, NULL},
    {"tool", "argv", DECLARED_ARRAY, NULL},
    {"provider", "settings", DECLARED_OBJECT, NULL},
    {"exec_job", "request", DECLARED_OBJECT, NULL},
    {"job", "payload", DECLARED_OBJECT, NULL},
    {"job", "result", DECLARED_JSON, NULL},
    {"operator_message", "error", DECLARED_OBJECT, NULL},
    {"operator_message", "metadata", DECLARED_JSON, NULL},
    {"operator_tool_call", "arguments", DECLARED_FREE, "kept as the model gave them, which need not be JSON"},
    {"operator_tool_call", "result", DECLARED_JSON, NULL},
    {"operator_switch_adjustment", "before_config", DECLARED_JSON, NULL},
    {"operator_switch_adjustment", "after_config", DECLARED_JSON, NULL},
    {"operator_intent", "ops", DECLARED_ARRAY, NULL},
    {"operator_intent", "matched", DECLARED_ARRAY, NULL},
    {"operator_browser_task", "request", DECLARED_OBJECT, NULL},
    {"operator_browser_task", "steps", DECLARED_ARRAY, NULL},
    {"operator_browser_task", "result", DECLARED_JSON, NULL},
    {"ledger", "detail", DECLARED_OBJECT, NULL},
    {"chore", "output", DECLARED_JSON, NULL},
    {"maintenance_run", "report", DECLARED_OBJECT, NULL},
    {"import_run", "report", DECLARED_JSON, NULL},
    {"doctor_report", "report", DECLARED_OBJECT, NULL},
};
const size_t declared_json_count = COUNT_OF(declared_json);

const struct declared_reference declared_references[] = {
    {"retention", "table_name", "sqlite_schema", "name", false, NULL},
    {"retention_exempt", "table_name", "sqlite_schema", "name", false, NULL},
    {"operator_message", "replaced_by", "operator_message", "id", false, NULL},
    /* The full-text index and what it was made of. */
    {"operator_message_words_docsize", "id", "operator_message", "n", false, NULL},
    {"operator_message", "n", "operator_message_words_docsize", "id", false, "indexed = 0"},
    {"operator_session_words_docsize", "id", "operator_session", "n", false, NULL},
    {"operator_session", "n", "operator_session_words_docsize", "id", false, NULL},
    /* These outlive what they name. */
    {"feedback", "request_id", "decision", "request_id", true, NULL},
    {"request_body", "request_id", "decision", "request_id", true, NULL},
    {"operator_message", "request_id", "decision", "request_id", true, NULL},
    {"tool_run", "request_id", "decision", "request_id", true, NULL},
    {"operator_session", "branch_session", "operator_session", "id", true, NULL},
    {"operator_session", "branch_message", "operator_message", "id", true, NULL},
    {"operator_switch_adjustment", "session_id", "operator_session", "id", true, NULL},
    {"operator_switch_adjustment", "message_id", "operator_message", "id", true, NULL},
    {"operator_intent", "session_id", "operator_session", "id", true, NULL},
    {"operator_browser_task", "session_id", "operator_session", "id", true, NULL},
    {"decision", "principal_id", "auth_token", "id", true, NULL},
    {"usage", "principal_id", "auth_token", "id", true, NULL},
    {"job", "principal_id", "auth_token", "id", true, NULL},
    {"tool_run", "principal_id", "auth_token", "id", true, NULL},
    {"token_limit", "account", "auth_token", "id", true, NULL},
    {"pull", "model", "model", "name", true, NULL},
};
const size_t declared_reference_count = COUNT_OF(declared_references);
/* clang-format on */
