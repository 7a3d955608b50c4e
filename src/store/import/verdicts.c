/* Verdicts: what becomes of each table that a predecessor is known to have had. */
#include <string.h>

#include "base/str.h"
#include "store/import/import_internal.h"

#define MADRE                                                                                                \
    "Madre's tasks and daughters belong to processes that are gone; nothing here could go on with them"
#define SPAWNER "it describes child processes that are gone"
#define FIGURES                                                                                              \
    "the predecessor counted constants as measurements (50 tokens, success, confidence 0.95); taken over, "  \
    "they would "                                                                                            \
    "be taken for measured"
#define QUEUE    "a queue of hashes or of entries that its own consumer had put there: none can be run again"
#define LOG      "a log of the predecessor's; events here are kept for days only, and the file itself remains"
#define SHUB     "Shub's tables come with Shub; the predecessor never wrote into these"
#define AGENT    "bookkeeping of a developer's agent, nothing of the system's own"
#define NOBODY   "nothing in the predecessor wrote or read it"
#define SETTINGS "settings of the predecessor's; they mean nothing to the modules here"

static const struct verdict verdicts[] = {
    {"operator_session", "operator_session", import_sessions, NULL, 1},
    {"operator_message", "operator_message", import_messages, NULL, 2},
    {"operator_tool_call", "operator_tool_call", import_tool_calls, NULL, 3},
    {"incidents", "incident", import_incidents, NULL, 4},
    {"model_registry", NULL, import_models, NULL, 5},
    {"models_local", NULL, import_models, NULL, 5},
    {"local_models_v2", NULL, import_models, NULL, 5},
    {"cli_providers", NULL, import_providers, NULL, 6},
    /* Madre */
    {"tasks", NULL, NULL, MADRE, 9},
    {"context", NULL, NULL, MADRE, 9},
    {"reports", NULL, NULL, NOBODY, 9},
    {"spawns", NULL, NULL, SPAWNER, 9},
    {"intents_log", NULL, NULL, MADRE, 9},
    {"daughter_tasks", NULL, NULL, MADRE, 9},
    {"daughters", NULL, NULL, MADRE, 9},
    {"daughter_attempts", NULL, NULL, MADRE, 9},
    {"module_health", NULL, NULL, "nothing ever wrote a measurement into it", 9},
    {"module_status", NULL, NULL, LOG, 9},
    {"system_state", NULL, NULL, "the state of a system that has ended, many of its values constants", 9},
    {"scheduler_history", NULL, NULL, LOG, 9},
    {"madre_policies", NULL, NULL, SETTINGS, 9},
    {"madre_actions", NULL, NULL, LOG, 9},
    {"power_events", NULL, NULL, LOG, 9},
    /* Spawner */
    {"hijas_runtime", NULL, NULL, SPAWNER, 9},
    {"hijas_state", NULL, NULL, SPAWNER, 9},
    {"system_events", NULL, NULL, LOG, 9},
    /* Switch */
    {"task_queue", NULL, NULL, QUEUE, 9},
    {"switch_queue_v2", NULL, NULL, QUEUE, 9},
    {"ia_decisions", NULL, NULL, FIGURES, 9},
    {"model_usage_stats", NULL, NULL, FIGURES, 9},
    {"cli_usage_stats", NULL, NULL, FIGURES, 9},
    {"chat_providers_stats", NULL, NULL, FIGURES, 9},
    {"routing_events", NULL, NULL, LOG, 9},
    {"fluzo_signals", NULL, NULL, "the host is measured anew here", 9},
    {"cli_onboarding_state", NULL, NULL, SETTINGS, 9},
    /* Hermes */
    {"models_remote_cli", NULL, NULL,
     "it may hold tokens in plain text, which are never read; providers are set up in config.yaml", 9},
    {"cli_registry", NULL, NULL, "`vx11 tools detect` finds the programs of this machine", 9},
    {"engines", NULL, NULL, NOBODY, 9},
    {"tokens_usage", NULL, NULL, NOBODY, 9},
    {"hermes_ingest", NULL, NULL, NOBODY, 9},
    /* Hormiguero, Manifestator, MCP */
    {"hormiga_state", NULL, NULL, "the ants of a colony that has ended", 9},
    {"pheromone_log", NULL, NULL, "one for each copy of an incident; the incidents themselves are merged", 9},
    {"feromona_events", NULL, NULL, NOBODY, 9},
    {"drift_reports", NULL, NULL, "drift is measured against baselines that do not exist here", 9},
    {"manifestator_*", NULL, NULL, "drift is measured against baselines that do not exist here", 9},
    {"audit_logs", NULL, NULL, LOG, 9},
    {"sandbox_exec", NULL, NULL, LOG, 9},
    /* Operator */
    {"operator_browser_task", NULL, NULL,
     "the predecessor's route could not write it as declared, and its screenshots are not in the file", 9},
    {"operator_switch_adjustment", NULL, NULL, SETTINGS, 9},
    {"operator_jobs", NULL, NULL, NOBODY, 9},
    {"operator_*", NULL, NULL, SETTINGS, 9},
    /* Shub */
    {"shub_*", NULL, NULL, SHUB, 9},
    {"shubpro_*", NULL, NULL, SHUB, 9},
    /* shared, and what others put there */
    {"forensic_ledger", NULL, NULL,
     "its hashes do not depend on one another: it proves nothing, and cannot be part of a chain", 9},
    {"events", NULL, NULL, NOBODY, 9},
    {"vx11_events", NULL, NULL, NOBODY, 9},
    {"vx11_migration_log", NULL, NULL, "it tells of the file's own changes", 9},
    {"queen_tasks", NULL, NULL, NOBODY, 9},
    {"ants", NULL, NULL, NOBODY, 9},
    {"copilot_*", NULL, NULL, AGENT, 9},
    {"canonical_*", NULL, NULL, AGENT, 9},
    {"inee_*", NULL, NULL, AGENT, 9},
    {"rails_*", NULL, NULL, AGENT, 9},
    {"reward_*", NULL, NULL, AGENT, 9},
    {"madre_*", NULL, NULL, "an older copy that the predecessor had merged into its later tables", 9},
    {"hermes_*", NULL, NULL, "an older copy that the predecessor had merged into its later tables", 9},
    {"hive_*", NULL, NULL, "an older copy that the predecessor had merged into its later tables", 9},
};

const struct verdict *verdict_of(const char *table)
{
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        const char *name = verdicts[i].table;
        const size_t len = strlen(name);
        if (name[len - 1] == '*' ? strncmp(table, name, len - 1) == 0 : strcmp(table, name) == 0)
            return &verdicts[i];
    }
    return NULL;
}
