/* The way of a chat from JSON to tokens.
 *
 *   messages ── checked, mended, marked ─┐
 *   tools    ── checked, marked ─────────┼─ template ── tokens ── fits? ── no: without the oldest turn, again
 *   variables, thinking, prefill ────────┘
 *
 * How much must be left out is searched by halving, so that a hundred turns cost seven renderings. */
#include "engine/chat_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/gbnf_join.h"
#include "engine/template.h"

static bool no_memory(struct request_fault *fault)
{
    fault_set(fault, "out_of_memory", NULL, "out of memory");
    return false;
}

/* ---- variables of the template ---- */

static bool variable_reserved(const char *name)
{
    static const char *const reserved[] = {"messages",  "tools",     "documents",
                                           "bos_token", "eos_token", "add_generation_prompt"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcmp(name, reserved[i]) == 0)
            return true;
    }
    return false;
}

static bool variables_check(yyjson_val *object, struct request_fault *fault)
{
    size_t i, max;
    yyjson_val *key, *value;
    if (!yyjson_is_obj(object)) {
        fault_set(fault, "invalid_value", "/chat_template_kwargs", "must be an object");
        return false;
    }
    yyjson_obj_foreach(object, i, max, key, value)
    {
        char where[96];
        const char *name = yyjson_get_str(key) ? yyjson_get_str(key) : "";
        (void)snprintf(where, sizeof where, "/chat_template_kwargs/%.48s", name);
        if (variable_reserved(name)) {
            fault_set(fault, "invalid_value", where, "is set by the engine");
            return false;
        }
        if (strcmp(name, "enable_thinking") == 0 && !yyjson_is_bool(value)) {
            fault_set(fault, "invalid_value", where, "must be true or false");
            return false;
        }
    }
    return true;
}

static bool variables_read(const struct openai_chat_request *q, struct chat_request *r, struct arena *a,
                           struct request_fault *fault)
{
    yyjson_val *given = q->chat_template_kwargs;
    struct buf text = BUF_INIT;
    if (yyjson_is_null(given))
        given = NULL;
    if (given && !variables_check(given, fault))
        return false;
    yyjson_val *thinking = yyjson_obj_get(given, "enable_thinking");
    const bool effort = q->has_reasoning_effort && q->reasoning_effort != OPENAI_REASONING_EFFORT_NONE;
    r->input.thinking = thinking ? yyjson_get_bool(thinking) : !q->has_reasoning_effort || effort;
    if (!given && !effort)
        return true;
    const char *protected = given ? json_protect(&r->marks, given, a) : "{}";
    const size_t len = protected ? strlen(protected) : 0;
    if (!protected)
        return no_memory(fault);
    (void)buf_append(&text, protected, len - 1);
    if (effort && !yyjson_obj_get(given, "reasoning_effort"))
        (void)buf_printf(&text, "%s\"reasoning_effort\":\"%s\"", len > 2 ? "," : "",
                         openai_reasoning_effort_names[q->reasoning_effort]);
    (void)buf_putc(&text, '}');
    r->input.variables = text.failed ? NULL : arena_strndup(a, text.data, text.len);
    buf_free(&text);
    return r->input.variables ? true : no_memory(fault);
}

static void continuation_read(const struct openai_chat_request *q, struct chat_request *r)
{
    const struct chat_message *last = &r->history.messages[r->history.count - 1];
    if (q->has_continue_final_message && !q->continue_final_message)
        return;
    if (strcmp(last->role, "assistant") != 0 || last->call_count > 0)
        return;
    r->input.go_on = last->reasoning && !*last->content ? CHAT_CONTINUE_REASONING : CHAT_CONTINUE_CONTENT;
}

/* ---- the prompt ---- */

static bool prompt_fault(int rc, const struct error *err, struct request_fault *fault)
{
    if (rc == VX11_EUNSUPPORTED)
        fault_set(fault, "no_chat_template", NULL, "%s", err->text);
    else if (rc == VX11_EINVALID)
        fault_set(fault, "invalid_value", "messages", "%s", err->text);
    else
        fault_set(fault, "prompt_failed", "messages", "%s", err->text);
    return false;
}

/* The prompt of that history, in place of the one before. */
static bool prompt_render(const struct engine *e, struct chat_request *r, const struct history *h,
                          struct request_fault *fault)
{
    struct error err = {0};
    chat_prompt_free(r->chat);
    r->chat = NULL;
    r->prompt.len = 0;
    r->input.messages = h->messages;
    r->input.message_count = h->count;
    const int rc = prompt_make(e->model, &r->input, &r->marks, &r->chat, &r->prompt, &err);
    if (rc != 0)
        return prompt_fault(rc, &err, fault);
    if (r->prompt.len == 0) {
        fault_set(fault, "invalid_value", "messages", "the prompt has no tokens");
        return false;
    }
    return true;
}

/* ---- a conversation that does not fit ---- */

/* Tokens that are held free for the answer: what it asks for, but no more than a quarter of the context,
 * since the answer may push the oldest tokens out as it goes on. */
static size_t answer_reserve(const struct model *m, int64_t max_tokens)
{
    const int64_t quarter = m->context_length / 4 > 0 ? m->context_length / 4 : 1;
    return (size_t)(max_tokens > 0 && max_tokens < quarter ? max_tokens : quarter);
}

/* How many tokens at the start do not depend on the turns: the system messages, with what the template puts
 * around and after them. */
static size_t keep_measure(const struct engine *e, const struct chat_request *r)
{
    static const char *const others[] = {"a", "1"};
    struct error err = {0};
    size_t keep = r->prompt.len;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct tokens t = TOKENS_INIT;
        struct chat_prompt *chat = NULL;
        struct chat_message messages[16];
        const size_t n = r->history.systems < 15 ? r->history.systems : 15;
        memcpy(messages, r->history.messages, n * sizeof *messages);
        messages[n] = (struct chat_message){.role = "user", .content = others[i]};
        struct chat_input in = r->input;
        in.messages = messages;
        in.message_count = n + 1;
        in.go_on = CHAT_CONTINUE_NOT;
        size_t same = 0;
        if (prompt_make(e->model, &in, &r->marks, &chat, &t, &err) == 0) {
            while (same < t.len && same < keep && t.data[same] == r->prompt.data[same])
                same++;
        }
        keep = same;
        chat_prompt_free(chat);
        tokens_free(&t);
    }
    return keep;
}

static bool never_fits(const struct model *m, size_t tokens, size_t reserve, struct request_fault *fault)
{
    fault_set(fault, "context_length_exceeded", "messages",
              "the context is %d tokens: the system message and the last question alone are %zu, and %zu are "
              "held free for the answer",
              (int)m->context_length, tokens, reserve);
    return false;
}

static bool prompt_shift(const struct engine *e, struct chat_request *r, int64_t max_tokens, struct arena *a,
                         struct request_fault *fault)
{
    const struct model *m = e->model;
    const size_t reserve = answer_reserve(m, max_tokens), most = (size_t)m->context_length - reserve;
    const size_t before = r->prompt.len;
    struct history_cut *cuts = arena_array(a, r->history.count + 1, sizeof *cuts);
    struct history less = r->history;
    if (!cuts)
        return no_memory(fault);
    if (before > most) {
        size_t low = 0, high = history_cuts(&r->history, cuts), done = SIZE_MAX;
        if (!history_without(&r->history, cuts, high, a, &less))
            return no_memory(fault);
        if (!prompt_render(e, r, &less, fault))
            return false;
        done = high;
        if (r->prompt.len > most)
            return never_fits(m, r->prompt.len, reserve, fault);
        while (low < high) { /* the fewest cuts that suffice are in (low, high] */
            const size_t middle = low + (high - low) / 2;
            if (!history_without(&r->history, cuts, middle, a, &less))
                return no_memory(fault);
            if (!prompt_render(e, r, &less, fault))
                return false;
            done = middle;
            if (r->prompt.len > most)
                low = middle + 1;
            else
                high = middle;
        }
        if (!history_without(&r->history, cuts, high, a, &less))
            return no_memory(fault);
        if (done != high && !prompt_render(e, r, &less, fault))
            return false;
        r->shift.messages = r->history.count - less.count;
        r->shift.tokens = before - r->prompt.len;
    }
    r->keep = keep_measure(e, r);
    return true;
}

/* ---- all of it ---- */

static bool input_read(const struct engine *e, const struct openai_chat_request *q, struct arena *a,
                       struct chat_request *out, struct request_fault *fault)
{
    prompt_marks(e->model, &out->marks, a);
    if (!response_format_read(e->model, q->response_format, q->grammar, a, &out->format, fault) ||
        !tools_read(q, &out->marks, a, &out->tools, fault) ||
        !history_read(q->messages, q->messages_count, &out->marks, a, &out->history, fault) ||
        !variables_read(q, out, a, fault))
        return false;
    out->input.tools = out->tools.shown;
    out->input.tools_exact = out->tools.exact;
    out->input.tool_choice = out->tools.choice;
    out->input.parallel = out->tools.parallel;
    out->input.bound = out->format.gbnf != NULL;
    continuation_read(q, out);
    return true;
}

bool chat_request_read(const struct engine *e, const struct openai_chat_request *q, int64_t max_tokens,
                       struct arena *a, struct chat_request *out, struct request_fault *fault)
{
    struct error err = {0};
    const bool shift = q->has_context_overflow && q->context_overflow == OPENAI_CONTEXT_OVERFLOW_SHIFT;
    *out = (struct chat_request){.prompt = TOKENS_INIT};
    if (template_ready(e->model, &err) != 0)
        return prompt_fault(VX11_EUNSUPPORTED, &err, fault);
    if (!input_read(e, q, a, out, fault))
        return false;
    if (!shift && !request_text_fits(e->model, out->history.bytes, fault))
        return false;
    if (!prompt_render(e, out, &out->history, fault))
        return false;
    return shift ? prompt_shift(e, out, max_tokens, a, fault)
                 : request_fits(e->model, out->prompt.len, max_tokens, fault);
}

void chat_request_free(struct chat_request *r)
{
    chat_prompt_free(r->chat);
    r->chat = NULL;
    tokens_free(&r->prompt);
}

/* ---- what the generation needs ---- */

/* The one token that a text is; LLAMA_TOKEN_NULL when it is none or several. */
static llama_token token_of(const struct model *m, const char *text)
{
    struct tokens t = TOKENS_INIT;
    struct error err = {0};
    llama_token token = LLAMA_TOKEN_NULL;
    if (tokenize(m, text, strlen(text), false, true, &t, &err) == 0 && t.len == 1)
        token = t.data[0];
    tokens_free(&t);
    return token;
}

/* A literal text as a regular expression. */
static const char *pattern_of(const char *word, struct arena *a)
{
    char *out = arena_alloc(a, strlen(word) * 2 + 1), *to = out;
    if (!out)
        return NULL;
    for (const char *p = word; *p; p++) {
        if (strchr(".^$|()*+?[]{}\\/-", *p))
            *to++ = '\\';
        *to++ = *p;
    }
    *to = '\0';
    return out;
}

static bool shown_fill(const struct model *m, const struct chat_prompt *chat, struct arena *a,
                       struct generation_options *out)
{
    llama_token *shown = arena_array(a, chat->shown_count + chat->word_count + 1, sizeof *shown);
    size_t n = 0;
    if (!shown)
        return false;
    for (size_t i = 0; i < chat->shown_count + chat->word_count; i++) {
        const char *text = i < chat->shown_count ? chat->shown[i] : chat->words[i - chat->shown_count];
        const llama_token token = token_of(m, text);
        if (token != LLAMA_TOKEN_NULL)
            shown[n++] = token;
    }
    out->shown = shown;
    out->shown_count = n;
    return true;
}

static bool triggers_fill(const struct model *m, const struct chat_prompt *chat, struct arena *a,
                          struct sampling_grammar *out)
{
    const char **patterns = arena_array(a, chat->word_count + chat->pattern_count + 1, sizeof *patterns);
    llama_token *tokens = arena_array(a, chat->word_count + 1, sizeof *tokens);
    if (!patterns || !tokens)
        return false;
    for (size_t i = 0; i < chat->pattern_count; i++)
        patterns[out->trigger_pattern_count++] = arena_strdup(a, chat->patterns[i]);
    for (size_t i = 0; i < chat->word_count; i++) {
        const llama_token token = token_of(m, chat->words[i]);
        if (token != LLAMA_TOKEN_NULL)
            tokens[out->trigger_token_count++] = token;
        else
            patterns[out->trigger_pattern_count++] = pattern_of(chat->words[i], a);
    }
    for (size_t i = 0; i < out->trigger_pattern_count; i++) {
        if (!patterns[i])
            return false;
    }
    out->trigger_patterns = patterns;
    out->trigger_tokens = tokens;
    return true;
}

static const char *begun_text(const struct chat_request *r, struct arena *a)
{
    struct buf text = BUF_INIT;
    const char *copy = NULL;
    if (marks_restore(&r->marks, r->chat->begun, strlen(r->chat->begun), &text) == 0)
        copy = arena_strndup(a, text.data ? text.data : "", text.len);
    buf_free(&text);
    return copy;
}

/* The grammar of calls, as the template's format has it. */
static bool calls_grammar(const struct engine *e, const struct chat_request *r, struct arena *a,
                          struct sampling_grammar *out)
{
    const struct chat_prompt *chat = r->chat;
    out->gbnf = chat->grammar;
    out->lazy = chat->grammar_lazy;
    if (!chat->grammar_lazy) {
        out->begun = begun_text(r, a); /* it covers all of the answer, with what the template began of it */
        return out->begun != NULL;
    }
    if (chat->thought_open)
        out->after = chat->thought_end;
    return triggers_fill(e->model, chat, a, out);
}

/* The caller's grammar, for the answer without its thought; where the model is free to call tools, calls or
 * that. */
static bool format_grammar(const struct chat_request *r, struct arena *a, struct sampling_grammar *out)
{
    const struct chat_prompt *chat = r->chat;
    const bool calls = chat->grammar != NULL;
    struct buf text = BUF_INIT;
    if (chat->thinking && (chat->thought_open || !chat->thought))
        out->after = chat->thought_end;
    const char *thought = chat->thinking && !out->after ? chat->thought : NULL;
    out->gbnf = r->format.gbnf;
    if (!calls && !thought && !out->after)
        return true;
    (void)buf_printf(&text, "root ::= %s%s%sformat-root%s\n", thought ? "thought-root " : "",
                     out->after ? "[ \\t\\r\\n]* " : "", calls ? "(calls-root | " : "", calls ? ")" : "");
    (void)gbnf_rename(r->format.gbnf, "format-", &text);
    if (calls)
        (void)gbnf_rename(chat->grammar, "calls-", &text);
    if (thought)
        (void)gbnf_rename(thought, "thought-", &text);
    out->gbnf = text.failed ? NULL : arena_strndup(a, text.data, text.len);
    buf_free(&text);
    return out->gbnf != NULL;
}

static bool grammar_fill(const struct engine *e, const struct chat_request *r, struct arena *a,
                         struct generation_options *o)
{
    struct sampling_grammar *out = &o->sampling.grammar;
    *out = (struct sampling_grammar){.shown = o->shown, .shown_count = o->shown_count};
    const bool must_call = r->chat->grammar && !r->chat->grammar_lazy;
    return r->format.gbnf && !must_call ? format_grammar(r, a, out)
           : r->chat->grammar           ? calls_grammar(e, r, a, out)
                                        : true;
}

static bool stops_fill(const struct chat_prompt *chat, struct arena *a, struct generation_options *out)
{
    const size_t n = out->stop_count + chat->stop_count;
    const char **stops = arena_array(a, n + 1, sizeof *stops);
    if (!stops)
        return false;
    for (size_t i = 0; i < n; i++)
        stops[i] = i < out->stop_count ? out->stops[i] : chat->stops[i - out->stop_count];
    out->stops = stops;
    out->stop_count = n;
    return true;
}

bool chat_request_options(const struct engine *e, const struct chat_request *r, struct arena *a,
                          struct generation_options *out, struct request_fault *fault)
{
    out->prompt = r->prompt.data;
    out->prompt_count = r->prompt.len;
    if (r->keep > 0) {
        out->shift = true;
        out->keep = r->keep;
    }
    if (!r->chat->plain && (!shown_fill(e->model, r->chat, a, out) || !stops_fill(r->chat, a, out)))
        return no_memory(fault);
    return grammar_fill(e, r, a, out) ? true : no_memory(fault);
}
