/* The known tools. Only flags that their makers document are here; what could not be confirmed is left out.
 *
 * claude:  code.claude.com/docs/en/cli-reference, /headless: -p, --output-format stream-json (which wants
 *          --verbose), --include-partial-messages, --model; prompt by stdin; usage in the last event
 * codex:   developers.openai.com/codex/noninteractive: exec, --json, --ephemeral, --skip-git-repo-check,
 *          --sandbox, --model, "-" for stdin; `login status` tells by its exit status
 * gemini:  geminicli.com/docs/cli/headless: headless by stdin, --output-format stream-json, --model
 * qwen:    qwenlm.github.io/qwen-code-docs/en/users/features/headless: the same; events as claude's
 * copilot: docs.github.com, Copilot CLI programmatic reference: -p, -s, --model; cli.github.com/manual says
 *          that `gh copilot -- …` runs it, and downloads it where it is missing: so only a gh that has it
 * ollama:  its documentation of `run MODEL`, with the prompt by stdin
 * llm:     llm.datasette.io/en/stable/help.html: prompt, --no-log, -m; prompt by stdin
 *
 * Each gets its prompt by stdin where it can: no limit on its length, nothing in the list of processes. */
#include "hermes/tools/known.h"

#include <string.h>

#include "base/str.h"

#define LIST(...)     ((const char *const[]){__VA_ARGS__, NULL})
#define BINARIES(...) ((const struct tool_binary[]){__VA_ARGS__, {0}})
#define RULES(...)    ((const struct tool_rule[]){__VA_ARGS__, {0}})
#define ON1(p, v)                                                                                            \
    {                                                                                                        \
        {p, v},                                                                                              \
        {                                                                                                    \
            NULL, NULL                                                                                       \
        }                                                                                                    \
    }
#define ON2(p, v, q, w)                                                                                      \
    {                                                                                                        \
        {p, v},                                                                                              \
        {                                                                                                    \
            q, w                                                                                             \
        }                                                                                                    \
    }

/* Claude Code's events, which Qwen Code has too. */
#define CLAUDE_RULES                                                                                         \
    RULES({TOOL_FIELD_DELTA, "/event/delta/text",                                                            \
           ON2("/type", "stream_event", "/event/type", "content_block_delta")},                              \
          {TOOL_FIELD_ERROR, "/result", ON2("/type", "result", "/is_error", "true")},                        \
          {TOOL_FIELD_TEXT, "/result", ON2("/type", "result", "/is_error", "false")},                        \
          {TOOL_FIELD_PROMPT_TOKENS, "/usage/input_tokens", ON1("/type", "result")},                         \
          {TOOL_FIELD_PROMPT_TOKENS, "/usage/cache_read_input_tokens", ON1("/type", "result")},              \
          {TOOL_FIELD_PROMPT_TOKENS, "/usage/cache_creation_input_tokens", ON1("/type", "result")},          \
          {TOOL_FIELD_COMPLETION_TOKENS, "/usage/output_tokens", ON1("/type", "result")},                    \
          {TOOL_FIELD_CACHED_TOKENS, "/usage/cache_read_input_tokens", ON1("/type", "result")})

const struct tool_def tools_known[] = {
    {
        .name = "claude",
        .title = "Claude Code",
        .binaries = BINARIES({"claude", NULL, NULL}),
        .args = LIST("-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages",
                     "{model_args}"),
        .model_args = LIST("--model", "{model}"),
        .prompt_by_stdin = true,
        .output = TOOL_OUTPUT_JSONL,
        .streams = true,
        .rules = CLAUDE_RULES,
        .version_args = LIST("--version"),
        .auth_env = LIST("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN",
                         "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
        .auth_files = LIST(".claude/.credentials.json"),
        .login_hint = "run claude once and log in, or set ANTHROPIC_API_KEY",
        .login_words = LIST("Please run /login", "Invalid API key"),
        .env = LIST("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL",
                    "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX",
                    "CLAUDE_CONFIG_DIR"),
        .writable = LIST("~/.claude", "~/.claude.json"),
        .timeout_ms = 300000,
    },
    {
        .name = "codex",
        .title = "Codex CLI",
        .binaries = BINARIES({"codex", NULL, NULL}),
        .args = LIST("exec", "--json", "--ephemeral", "--skip-git-repo-check", "--sandbox", "read-only",
                     "{model_args}", "-"),
        .model_args = LIST("--model", "{model}"),
        .prompt_by_stdin = true,
        .output = TOOL_OUTPUT_JSONL,
        .streams = true,
        .rules = RULES(
            {TOOL_FIELD_MESSAGE, "/item/text", ON2("/type", "item.completed", "/item/type", "agent_message")},
            {TOOL_FIELD_ERROR, "/error/message", ON1("/type", "turn.failed")},
            {TOOL_FIELD_ERROR, "/message", ON1("/type", "error")},
            {TOOL_FIELD_PROMPT_TOKENS, "/usage/input_tokens", ON1("/type", "turn.completed")},
            {TOOL_FIELD_COMPLETION_TOKENS, "/usage/output_tokens", ON1("/type", "turn.completed")},
            {TOOL_FIELD_CACHED_TOKENS, "/usage/cached_input_tokens", ON1("/type", "turn.completed")}),
        .version_args = LIST("--version"),
        .auth_args = LIST("login", "status"),
        .auth_env = LIST("CODEX_API_KEY"),
        .auth_certain = true,
        .login_hint = "run codex login, or set CODEX_API_KEY",
        .env = LIST("CODEX_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_HOME"),
        .writable = LIST("~/.codex"),
        .timeout_ms = 300000,
    },
    {
        .name = "copilot",
        .title = "GitHub Copilot CLI",
        .binaries =
            BINARIES({"copilot", NULL, NULL}, {"gh", LIST("copilot", "--"), ".local/share/gh/copilot"}),
        .args = LIST("-s", "{model_args}", "-p", "{prompt}"),
        .model_args = LIST("--model", "{model}"),
        .output = TOOL_OUTPUT_TEXT,
        .streams = true,
        .version_args = LIST("--version"),
        .auth_env = LIST("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"),
        .login_hint = "run copilot login, or set COPILOT_GITHUB_TOKEN",
        .env = LIST("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "GH_HOST"),
        .writable = LIST("~/.copilot"),
        .readable = LIST("~/.config/gh", "~/.local/share/gh"),
        .timeout_ms = 300000,
    },
    {
        .name = "gemini",
        .title = "Gemini CLI",
        .binaries = BINARIES({"gemini", NULL, NULL}),
        .args = LIST("--output-format", "stream-json", "{model_args}"),
        .model_args = LIST("--model", "{model}"),
        .prompt_by_stdin = true,
        .output = TOOL_OUTPUT_JSONL,
        .streams = true,
        .rules = RULES({TOOL_FIELD_DELTA, "/content", ON2("/type", "message", "/role", "assistant")},
                       {TOOL_FIELD_ERROR, "/error/message", ON2("/type", "result", "/status", "error")},
                       {TOOL_FIELD_PROMPT_TOKENS, "/stats/input_tokens", ON1("/type", "result")},
                       {TOOL_FIELD_COMPLETION_TOKENS, "/stats/output_tokens", ON1("/type", "result")}),
        .version_args = LIST("--version"),
        .auth_env = LIST("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
        .auth_files = LIST(".gemini/oauth_creds.json"),
        .login_hint = "run gemini once and log in, or set GEMINI_API_KEY",
        .env = LIST("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS",
                    "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI"),
        .writable = LIST("~/.gemini"),
        .timeout_ms = 300000,
    },
    {
        .name = "llm",
        .title = "llm",
        .binaries = BINARIES({"llm", NULL, NULL}),
        .args = LIST("prompt", "--no-log", "{model_args}"),
        .model_args = LIST("-m", "{model}"),
        .prompt_by_stdin = true,
        .output = TOOL_OUTPUT_TEXT,
        .streams = true,
        .version_args = LIST("--version"),
        .auth_env = LIST("OPENAI_API_KEY"),
        .auth_files = LIST(".config/io.datasette.llm/keys.json"),
        .login_hint = "run llm keys set NAME",
        .env = LIST("OPENAI_API_KEY", "LLM_MODEL", "LLM_USER_PATH"),
        .writable = LIST("~/.config/io.datasette.llm"),
    },
    {
        .name = "ollama",
        .title = "Ollama",
        .binaries = BINARIES({"ollama", NULL, NULL}),
        .args = LIST("run", "{model_args}"),
        .model_args = LIST("{model}"),
        .prompt_by_stdin = true,
        .model_required = true,
        .output = TOOL_OUTPUT_TEXT,
        .streams = true,
        .version_args = LIST("--version"),
        .auth_none = true,
        .env = LIST("OLLAMA_HOST"),
        .writable = LIST("~/.ollama"),
        .timeout_ms = 300000,
    },
    {
        .name = "qwen",
        .title = "Qwen Code",
        .binaries = BINARIES({"qwen", NULL, NULL}),
        .args = LIST("--output-format", "stream-json", "--include-partial-messages", "{model_args}"),
        .model_args = LIST("--model", "{model}"),
        .prompt_by_stdin = true,
        .output = TOOL_OUTPUT_JSONL,
        .streams = true,
        .rules = CLAUDE_RULES,
        .version_args = LIST("--version"),
        .auth_env = LIST("OPENAI_API_KEY", "DASHSCOPE_API_KEY"),
        .auth_files = LIST(".qwen/oauth_creds.json"),
        .login_hint = "run qwen once and log in, or set OPENAI_API_KEY",
        .env = LIST("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "DASHSCOPE_API_KEY"),
        .writable = LIST("~/.qwen"),
        .timeout_ms = 300000,
    },
};
const size_t tools_known_count = COUNT_OF(tools_known);

const struct tool_def *tool_known(const char *name)
{
    for (size_t i = 0; i < tools_known_count; i++)
        if (strcmp(tools_known[i].name, name) == 0)
            return &tools_known[i];
    return NULL;
}
