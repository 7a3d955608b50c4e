// Templates, by llama.cpp's chat code.
//
// The library's one call for all of it analyses the template anew each time (some 10 ms), renders it three
// times and writes warnings to stderr. So its parts are put together here: the analysis is done once, at
// load, and a chat without tools of a model that does not think is one rendering and nothing else. The
// adjustments of messages that the library makes inside of that call are made here likewise.
//
// A template without a format for tools gets ours (docs/engine.md): a system message lists the tools, the
// model answers {"tool_calls": [{"name": …, "arguments": {…}}]}, results come as messages of the user.
#include "engine/chat_internal.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

using autoparser::generation_params;

namespace
{

const char generic_start[] = "{\"tool_calls\"";

struct one_template {
    std::unique_ptr<common_chat_template> tmpl;
    autoparser::autoparser analysis;
    bool special = false;   // the library has code of its own for it
    bool tools = false;     // it has a format for tools
    bool plain = false;     // an answer without tools is its text
    bool short_ids = false; // it wants ids of calls to be nine letters or digits
};

const char generic_system[] =
    "You can call tools. To call one or more of them, answer with one JSON object and nothing else:\n"
    "{\"tool_calls\": [{\"name\": \"NAME\", \"arguments\": {ARGUMENTS}}]}\n"
    "The arguments follow the tool's JSON schema. The results come in the next message. Call a tool only "
    "when "
    "it helps; otherwise answer in plain text.\nThe tools, as JSON:\n";

} // namespace

struct chat_format {
    one_template plain_chat, tool_chat;
    bool two = false; // tool_chat is another template
    bool add_bos = false, add_eos = false;

    const one_template &of(bool with_tools) const
    {
        return with_tools && two ? tool_chat : plain_chat;
    }
};

namespace
{

// ---- messages ----

std::string short_id(const std::string &id)
{
    if (id.size() == 9 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c); }))
        return id;
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t hash =
        1469598103934665603ull; // FNV-1a: the same id gives the same short one, and no more is asked
    for (char c : id)
        hash = (hash ^ (unsigned char)c) * 1099511628211ull;
    std::string out;
    for (int i = 0; i < 9; i++, hash /= 62)
        out += digits[hash % 62];
    return out;
}

common_json call_json(const chat_call &call, const one_template &t, const jinja::caps &caps)
{
    common_json function = common_json::object();
    function["name"] = std::string(call.name);
    if (caps.supports_object_arguments)
        function["arguments"] = common_json::parse(call.arguments);
    else
        function["arguments"] = std::string(call.arguments);
    common_json out = common_json::object();
    out["type"] = "function";
    out["function"] = function;
    if (call.id && *call.id)
        out["id"] = t.short_ids ? short_id(call.id) : std::string(call.id);
    return out;
}

common_json message_json(const chat_message &m, const one_template &t)
{
    const jinja::caps &caps = t.tmpl->caps;
    common_json out = common_json::object();
    out["role"] = std::string(m.role);
    out["content"] = std::string(m.content);
    if (m.reasoning && *m.reasoning)
        out["reasoning_content"] = std::string(m.reasoning);
    if (m.name && *m.name)
        out["name"] = std::string(m.name);
    if (m.call_id && *m.call_id)
        out["tool_call_id"] = t.short_ids ? short_id(m.call_id) : std::string(m.call_id);
    if (m.call_count > 0) {
        common_json calls = common_json::array();
        for (size_t i = 0; i < m.call_count; i++)
            calls.push_back(common_json_value(call_json(m.calls[i], t, caps)));
        out["tool_calls"] = calls;
    }
    return out;
}

std::string generic_calls(const chat_message &m)
{
    common_json calls = common_json::array();
    for (size_t i = 0; i < m.call_count; i++) {
        common_json call = common_json::object();
        call["name"] = std::string(m.calls[i].name);
        call["arguments"] = common_json::parse(m.calls[i].arguments);
        calls.push_back(common_json_value(call));
    }
    common_json all = common_json::object();
    all["tool_calls"] = calls;
    return all.dump();
}

std::string generic_result(const chat_message &m)
{
    common_json result = common_json::object();
    if (m.name && *m.name)
        result["name"] = std::string(m.name);
    result["content"] = std::string(m.content);
    common_json all = common_json::object();
    all["tool_result"] = result;
    return all.dump();
}

common_json text_message(const char *role, const std::string &content)
{
    common_json out = common_json::object();
    out["role"] = role;
    out["content"] = content;
    return out;
}

// Calls and their results as plain messages, for templates that know neither. Results that follow each other
// become one message, since many templates want user and assistant in turns.
common_json messages_generic(const chat_input &in, const one_template &t, const common_json &tools)
{
    common_json out = common_json::array();
    std::string system;
    if (tools.is_array() && in.tool_choice != CHAT_TOOLS_NONE)
        system = generic_system + tools.dump();
    size_t from = 0;
    if (!system.empty()) {
        if (in.message_count > 0 && std::strcmp(in.messages[0].role, "system") == 0) {
            system = std::string(in.messages[0].content) + "\n\n" + system;
            from = 1;
        }
        out.push_back(common_json_value(text_message("system", system)));
    }
    bool results = false; // the last message is made of results
    for (size_t i = from; i < in.message_count; i++) {
        const chat_message &m = in.messages[i];
        if (std::strcmp(m.role, "tool") == 0) {
            if (results)
                out.back()["content"] =
                    out.back().at("content").get<std::string>() + "\n" + generic_result(m);
            else
                out.push_back(common_json_value(text_message("user", generic_result(m))));
            results = true;
            continue;
        }
        if (results && std::strcmp(m.role, "user") == 0) {
            out.back()["content"] = out.back().at("content").get<std::string>() + "\n" + m.content;
        } else if (m.call_count > 0) {
            std::string content = m.content;
            content += (content.empty() ? "" : "\n") + generic_calls(m);
            out.push_back(common_json_value(text_message(m.role, content)));
        } else {
            out.push_back(common_json_value(message_json(m, t)));
        }
        results = false;
    }
    return out;
}

// A template that knows no system messages gets them at the head of the next message of the user.
common_json system_merged(const common_json &messages)
{
    common_json out = common_json::array();
    std::string pending;
    for (size_t i = 0; i < messages.size(); i++) {
        common_json m = messages[i];
        const std::string role = m.at("role");
        const std::string content = m.at("content");
        if (role == "system") {
            pending += (pending.empty() ? "" : "\n") + content;
            continue;
        }
        if (!pending.empty() && role == "user") {
            m["content"] = pending.append("\n").append(content);
            pending.clear();
        }
        out.push_back(common_json_value(m));
    }
    if (!pending.empty())
        out.push_back(common_json_value(text_message("user", pending)));
    return out;
}

std::string trimmed(const std::string &text)
{
    const char *white = " \t\r\n\f\v";
    const size_t first = text.find_first_not_of(white);
    return first == std::string::npos ? std::string()
                                      : text.substr(first, text.find_last_not_of(white) - first + 1);
}

void messages_trim(common_json &messages)
{
    for (size_t i = 0; i < messages.size(); i++) {
        common_json &m = messages[i];
        for (const char *key : {"content", "reasoning_content"}) {
            if (m.contains(key))
                m[key] = trimmed(m.at(key).get<std::string>());
        }
    }
}

// ---- what the template is given ----

void dates_add(common_json &variables)
{
    char text[32];
    const time_t now = time(nullptr);
    struct tm day;
    if (!localtime_r(&now, &day))
        return;
    if (strftime(text, sizeof text, "%b %d %Y", &day) > 0)
        variables["datetime"] = std::string(text);
    if (strftime(text, sizeof text, "%d %b %Y", &day) > 0)
        variables["date_string"] = std::string(text);
}

common_json tools_json(const char *text)
{
    common_json out = common_json::array();
    const common_json in = common_json::parse(text);
    for (size_t i = 0; i < in.size(); i++) {
        const common_json &function = in[i].at("function");
        common_json f = common_json::object();
        f["name"] = function.at("name");
        f["description"] = function.value("description", "");
        f["parameters"] = common_chat_tool_parameters(function);
        common_json tool = common_json::object();
        tool["type"] = "function";
        tool["function"] = f;
        out.push_back(common_json_value(tool));
    }
    return out;
}

common_chat_msg continued(const chat_message &m)
{
    common_chat_msg out;
    out.role = m.role;
    out.content = m.content;
    out.reasoning_content = m.reasoning ? m.reasoning : "";
    return out;
}

generation_params params_of(const chat_format &f, const one_template &t, const chat_input &in, bool generic)
{
    generation_params p;
    chat_input given = in;
    if (in.go_on != CHAT_CONTINUE_NOT && in.message_count > 0) {
        given.message_count--;
        p.continue_msg = continued(in.messages[in.message_count - 1]);
        p.continue_final_message = in.go_on == CHAT_CONTINUE_REASONING ? COMMON_CHAT_CONTINUATION_REASONING
                                                                       : COMMON_CHAT_CONTINUATION_CONTENT;
    }
    p.tools = in.tools ? tools_json(in.tools) : common_json();
    if (generic) {
        p.messages = messages_generic(given, t, p.tools);
        p.tools = common_json();
    } else {
        p.messages = common_json::array();
        for (size_t i = 0; i < given.message_count; i++)
            p.messages.push_back(common_json_value(message_json(given.messages[i], t)));
    }
    if (!t.tmpl->caps.supports_system_role)
        p.messages = system_merged(p.messages);
    // As the library does for StepFun, which loops when white space is left around messages.
    if (t.tmpl->src.find("You have access to the following functions in JSONSchema format") !=
        std::string::npos)
        messages_trim(p.messages);
    p.tool_choice = in.tool_choice == CHAT_TOOLS_REQUIRED ? COMMON_CHAT_TOOL_CHOICE_REQUIRED
                    : in.tool_choice == CHAT_TOOLS_NONE   ? COMMON_CHAT_TOOL_CHOICE_NONE
                                                          : COMMON_CHAT_TOOL_CHOICE_AUTO;
    p.parallel_tool_calls = in.parallel;
    p.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    p.enable_thinking = in.thinking;
    p.add_generation_prompt = in.go_on == CHAT_CONTINUE_NOT;
    p.add_bos = f.add_bos;
    p.add_eos = f.add_eos;
    p.mark_input = false;
    p.extra_context = common_json::object();
    dates_add(p.extra_context);
    if (in.variables) {
        const common_json variables = common_json::parse(in.variables);
        for (const auto &[key, value] : variables.items())
            p.extra_context[key] = value;
    }
    return p;
}

// ---- formats ----

void thought_fill(const one_template &t, common_chat_params &out)
{
    const autoparser::analyze_reasoning &reasoning = t.analysis.reasoning;
    out.supports_thinking = reasoning.mode != autoparser::reasoning_mode::NONE;
    const std::string end = trimmed(reasoning.end);
    if (!end.empty())
        out.thinking_end_tags = {end};
}

// Ours, for a template that has none for tools.
common_chat_params generic_params(const one_template &t, generation_params p, const common_json &tools)
{
    const autoparser::analyze_reasoning &reasoning = t.analysis.reasoning;
    p.tools = common_json();
    common_chat_params out = autoparser::peg_generator::generate_parser(*t.tmpl, p, t.analysis);
    const bool required = p.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    const std::string begun = common_chat_template_generation_prompt(*t.tmpl, p);
    common_peg_arena arena = build_chat_peg_parser([&](common_chat_peg_builder &b) {
        autoparser::parser_build_context context(b, p);
        context.extracting_reasoning = reasoning.mode != autoparser::reasoning_mode::NONE;
        const common_peg_parser thought = reasoning.build_parser(context);
        const common_peg_parser calls =
            b.standard_json_tools("", "", tools, p.parallel_tool_calls, true, "name", "arguments");
        const common_peg_parser section =
            b.trigger_rule("tool-section", b.literal(generic_start) + b.space() + b.literal(":") + b.space() +
                                               b.literal("[") + b.space() + calls + b.space() +
                                               b.literal("]") + b.space() + b.literal("}"));
        const common_peg_parser head = b.prefix(begun, reasoning.start);
        if (required)
            return head + thought + b.space() + section + b.space() + b.end();
        return head + thought + b.optional(b.content(b.until(generic_start))) + b.optional(section) +
               b.space() + b.end();
    });
    thought_fill(t, out);
    out.parser = arena.save();
    out.grammar_lazy = !required;
    out.grammar = build_grammar(
        [&](const common_grammar_builder &builder) { arena.build_grammar(builder, !required); });
    out.grammar_triggers.clear();
    if (!required)
        out.grammar_triggers.push_back({COMMON_GRAMMAR_TRIGGER_TYPE_WORD, generic_start, LLAMA_TOKEN_NULL});
    return out;
}

// Calls without a mark before them (Llama 3: {"name": …, "parameters": …}), for which the library gives no
// grammar when the model is free to call or not: one that begins with the first key.
void bare_calls_fill(const one_template &t, const generation_params &p, common_chat_params &out)
{
    generation_params required = p;
    required.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    const common_peg_arena arena = t.analysis.build_parser(required, out.generation_prompt);
    out.grammar =
        build_grammar([&](const common_grammar_builder &builder) { arena.build_grammar(builder, true); });
    out.grammar_lazy = true;
    out.grammar_triggers = {{COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN,
                             "^\\s*(\\{\\s*\"(?:name|type|function)\"\\s*:)", LLAMA_TOKEN_NULL}};
}

common_chat_params format_params(const one_template &t, generation_params &p)
{
    if (t.special) {
        if (auto special = common_chat_try_specialized_template(*t.tmpl, t.tmpl->src, p))
            return *special;
    }
    common_chat_params out = autoparser::peg_generator::generate_parser(*t.tmpl, p, t.analysis);
    thought_fill(t, out);
    if (p.tools.is_array() && p.tool_choice == COMMON_CHAT_TOOL_CHOICE_AUTO && out.grammar.empty() &&
        t.analysis.tools.format.mode == autoparser::tool_format::JSON_NATIVE)
        bare_calls_fill(t, p, out);
    return out;
}

// ---- the result ----

struct prompt_store : chat_prompt { // what the caller holds, and what its pointers point to
    std::string text_store, begun_store, grammar_store, end_store, thought_store;
    std::vector<std::string> words_store, patterns_store, shown_store, stops_store;
    std::vector<const char *> words_c, patterns_c, shown_c, stops_c;
    chat_rules rules_store;

    prompt_store() : chat_prompt()
    {
    }
};

void list_fill(const std::vector<std::string> &in, std::vector<const char *> &store, const char *const **out,
               size_t *count)
{
    for (const std::string &s : in)
        store.push_back(s.c_str());
    *out = store.data();
    *count = store.size();
}

void triggers_fill(prompt_store &s, const common_chat_params &p)
{
    for (const common_grammar_trigger &t : p.grammar_triggers) {
        if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD)
            s.words_store.push_back(t.value);
        else if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN)
            s.patterns_store.push_back(t.value);
        else if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL && !t.value.empty())
            s.patterns_store.push_back((t.value.front() == '^' ? "" : "^") + t.value +
                                       (t.value.back() == '$' ? "" : "$"));
        else
            throw std::runtime_error("the template's grammar has a trigger of an unknown kind");
    }
}

chat_prompt *prompt_make(std::unique_ptr<prompt_store> s)
{
    s->text = s->text_store.c_str();
    s->len = s->text_store.size();
    s->begun = s->begun_store.c_str();
    s->grammar = s->grammar_store.empty() ? nullptr : s->grammar_store.c_str();
    s->thought_end = s->end_store.empty() ? nullptr : s->end_store.c_str();
    s->thought = s->thought_store.empty() ? nullptr : s->thought_store.c_str();
    list_fill(s->words_store, s->words_c, &s->words, &s->word_count);
    list_fill(s->patterns_store, s->patterns_c, &s->patterns, &s->pattern_count);
    list_fill(s->shown_store, s->shown_c, &s->shown, &s->shown_count);
    list_fill(s->stops_store, s->stops_c, &s->stops, &s->stop_count);
    s->rules = s->plain ? nullptr : &s->rules_store;
    return s.release();
}

bool names(const std::string &line, const std::string &name)
{
    const auto of_name = [](char c) { return std::isalnum((unsigned char)c) || c == '-' || c == '_'; };
    for (size_t at = line.find(name); at != std::string::npos; at = line.find(name, at + 1)) {
        const size_t end = at + name.size();
        if ((at == 0 || !of_name(line[at - 1])) && (end == line.size() || !of_name(line[end])))
            return true;
    }
    return false;
}

// A lazy grammar's root lists every rule that a trigger may begin, with those that are parts of others. Alone
// they would let a call through without the marks around it, so only the outermost stay.
std::string outermost(const std::string &grammar)
{
    std::vector<std::string> lines, kept;
    std::string root, out;
    std::istringstream text(grammar);
    for (std::string line; std::getline(text, line);) {
        if (line.rfind("root ::= ", 0) == 0)
            root = line.substr(strlen("root ::= "));
        else
            lines.push_back(line);
    }
    if (root.find_first_of("()[]\"*+?") != std::string::npos) // no plain list
        return grammar;
    std::istringstream rules(root);
    for (std::string rule; rules >> rule;) {
        const auto is_part = [&](const std::string &line) {
            return line.rfind(rule + " ::=", 0) != 0 && names(line, rule);
        };
        if (rule != "|" && std::none_of(lines.begin(), lines.end(), is_part))
            kept.push_back(rule);
    }
    if (kept.empty())
        return grammar;
    for (const std::string &rule : kept)
        out += (out.empty() ? "root ::= " : " | ") + rule;
    for (const std::string &line : lines)
        out += "\n" + line;
    return out + "\n";
}

void params_take(prompt_store &s, const common_chat_params &p, const generation_params &asked)
{
    s.begun_store = p.generation_prompt;
    s.grammar_store = p.grammar_lazy ? outermost(p.grammar) : p.grammar;
    s.grammar_lazy = p.grammar_lazy;
    s.thinking = p.supports_thinking && asked.enable_thinking;
    s.shown_store = p.preserved_tokens;
    s.stops_store = p.additional_stops;
    if (!p.thinking_end_tags.empty())
        s.end_store = s.rules_store.thought_end = p.thinking_end_tags.front();
    triggers_fill(s, p);
    s.rules_store.params = common_chat_parser_params(p);
    s.rules_store.params.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    s.rules_store.params.is_continuation = asked.has_continuation();
    if (!p.parser.empty())
        s.rules_store.params.parser.load(p.parser);
}

// A thought before an answer that must follow a grammar of its own: whether it has begun, and what it looks
// like where the model may begin one or not.
void thought_take(prompt_store &s, const one_template &t, const common_chat_params &made)
{
    const std::string start = trimmed(t.special ? made.thinking_start_tag : t.analysis.reasoning.start);
    if (!s.thinking)
        return;
    const size_t open = start.empty() ? std::string::npos : s.begun_store.rfind(start);
    const std::string &end = s.end_store;
    s.thought_open =
        open != std::string::npos && (end.empty() || s.begun_store.find(end, open) == std::string::npos);
    if (s.thought_open || start.empty() || end.empty())
        return;
    const common_peg_arena arena = build_chat_peg_parser([&](common_chat_peg_builder &b) {
        return b.optional(b.literal(start) + b.until(end) + b.literal(end)) + b.space();
    });
    s.thought_store =
        build_grammar([&](const common_grammar_builder &builder) { arena.build_grammar(builder, false); });
}

chat_prompt *apply(const chat_format &f, const chat_input &in)
{
    const bool with_tools = in.tools != nullptr;
    const one_template &t = f.of(with_tools);
    bool calls = with_tools;
    for (size_t i = 0; i < in.message_count && !calls; i++)
        calls = in.messages[i].call_count > 0 || std::strcmp(in.messages[i].role, "tool") == 0;
    const bool generic = calls && !t.tools;
    const bool choosing = with_tools && in.tool_choice != CHAT_TOOLS_NONE;
    std::unique_ptr<prompt_store> s(new prompt_store);
    generation_params p = params_of(f, t, in, generic);
    if (t.plain && !choosing && in.go_on == CHAT_CONTINUE_NOT) {
        s->text_store = common_chat_template_direct_apply(*t.tmpl, p);
        s->plain = true;
        return prompt_make(std::move(s));
    }
    // Names and schemas that spell control tokens are marked in what the model reads, but not in the grammar.
    const char *exact = in.tools_exact ? in.tools_exact : in.tools;
    common_chat_params made;
    if (generic && choosing)
        made = generic_params(t, p, tools_json(exact));
    else
        made = format_params(t, p);
    s->text_store = made.prompt;
    if (!generic && choosing && exact != in.tools) {
        chat_input other = in;
        other.tools = exact;
        generation_params exactly = params_of(f, t, other, false);
        made = format_params(t, exactly);
    }
    params_take(*s, made, p);
    if (in.bound)
        thought_take(*s, t, made);
    return prompt_make(std::move(s));
}

// ---- load ----

common_json probe_messages(const char *const (*pairs)[2], size_t n)
{
    common_json out = common_json::array();
    for (size_t i = 0; i < n; i++)
        out.push_back(common_json_value(text_message(pairs[i][0], pairs[i][1])));
    return out;
}

generation_params probe_params(const common_json &messages)
{
    generation_params p;
    p.messages = messages;
    p.tools = common_json();
    p.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    p.add_generation_prompt = true;
    p.mark_input = false;
    p.extra_context = common_json::object();
    dates_add(p.extra_context);
    return p;
}

void probe(const one_template &t)
{
    static const char *const turns[][2] = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
    for (size_t n : {(size_t)1, (size_t)3}) {
        const std::string text =
            common_chat_template_direct_apply(*t.tmpl, probe_params(probe_messages(turns, n)));
        if (text.find(n == 1 ? "a" : "c") == std::string::npos)
            throw std::runtime_error("it leaves out the user's message");
    }
}

bool takes_calls(const one_template &t, bool short_ids)
{
    const chat_call call = {short_ids ? "abcdefghi" : "call_01ARZ3NDEKTSV4RRFFQ69G5FAV", "f", "{\"x\": 1}"};
    const chat_message messages[] = {{"user", "a", nullptr, nullptr, nullptr, nullptr, 0},
                                     {"assistant", "", nullptr, nullptr, nullptr, &call, 1},
                                     {"tool", "b", nullptr, "f", call.id, nullptr, 0}};
    try {
        common_json list = common_json::array();
        for (const chat_message &m : messages)
            list.push_back(common_json_value(message_json(m, t)));
        (void)common_chat_template_direct_apply(*t.tmpl, probe_params(list));
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

// What the library mends in two known templates, which else refuse or break what they should take.
void source_mend(std::string &source)
{
    const auto replace = [&](const char *needs, const char *also, const std::string &what) {
        if (source.find(needs) == std::string::npos || source.find(also) == std::string::npos)
            return;
        for (size_t at = source.find(what); at != std::string::npos; at = source.find(what, at))
            source.replace(at, what.size(), "{%- if false %}");
    };
    replace("<|channel|>", "in message.content or",
            "{%- if \"<|channel|>analysis<|message|>\" in message.content or "
            "\"<|channel|>final<|message|>\" in message.content %}");
    replace(
        "[TOOL_CALLS]", "if (message['content'] is none or",
        "{%- if (message['content'] is none or message['content'] == '' or message['content']|length == 0) "
        "and (message['tool_calls'] is not defined or message['tool_calls'] is none or "
        "message['tool_calls']|length == 0) %}");
}

void template_read(one_template &t, std::string source, const chat_source &from)
{
    source_mend(source);
    t.tmpl.reset(new common_chat_template(source, from.bos ? from.bos : "", from.eos ? from.eos : ""));
    probe(t);
    static const char *const one[][2] = {{"user", "a"}};
    generation_params p = probe_params(probe_messages(one, 1));
    t.special = common_chat_try_specialized_template(*t.tmpl, t.tmpl->src, p).has_value();
    if (t.special) {
        t.tools = true;
        t.plain = false;
        return;
    }
    t.analysis.analyze_template(*t.tmpl);
    t.tools =
        t.tmpl->caps.supports_tool_calls && t.analysis.tools.format.mode != autoparser::tool_format::NONE;
    if (t.tools && !takes_calls(t, false)) {
        t.short_ids = takes_calls(t, true);
        t.tools = t.short_ids;
    }
    t.plain = t.analysis.reasoning.mode == autoparser::reasoning_mode::NONE &&
              t.analysis.content.mode == autoparser::content_mode::PLAIN &&
              t.analysis.additional_stops.empty();
}

// The library's reason in one line: what was wrong, and where in the template.
std::string reason_of(const std::string &what)
{
    const size_t error = what.rfind("Error: "), place = what.find("at line ");
    std::string out = error == std::string::npos ? what : what.substr(error + strlen("Error: "));
    const std::string said = "Jinja Exception: ";
    if (out.rfind(said, 0) == 0)
        out.erase(0, said.size());
    if (error != std::string::npos && place != std::string::npos && place < error) {
        const size_t end = what.find(" in source", place);
        if (end != std::string::npos && end - place < 64)
            out += " (" + what.substr(place + strlen("at "), end - place - strlen("at ")) + ")";
    }
    for (char &c : out)
        c = c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
    return trimmed(out);
}

template <typename F> int guarded(struct error *err, const char *what, int code, F &&run)
{
    try {
        run();
        return 0;
    } catch (const std::bad_alloc &) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    } catch (const std::exception &e) {
        return error_set(err, code, "%s: %.300s", what, reason_of(e.what()).c_str());
    } catch (...) {
        return error_set(err, code, "%s", what);
    }
}

} // namespace

extern "C" int chat_format_create(const struct chat_source *source, struct chat_format **out,
                                  struct error *err)
{
    // The library's log goes to stderr by a thread of its own: errors come as exceptions all the same.
    common_log_set_verbosity_thold(-1);
    return guarded(err, "the chat template cannot be applied", VX11_EUNSUPPORTED, [&] {
        std::unique_ptr<chat_format> f(new chat_format);
        f->add_bos = source->add_bos;
        f->add_eos = source->add_eos;
        template_read(f->plain_chat, source->text ? source->text : "", *source);
        f->two = source->tool_text && *source->tool_text;
        if (f->two)
            template_read(f->tool_chat, source->tool_text, *source);
        *out = f.release();
    });
}

extern "C" void chat_format_destroy(struct chat_format *f)
{
    delete f;
}

extern "C" struct chat_abilities chat_format_abilities(const struct chat_format *f)
{
    const one_template &t = f->of(true);
    return {t.tools, t.special || f->plain_chat.analysis.reasoning.mode != autoparser::reasoning_mode::NONE};
}

extern "C" int chat_format_apply(const struct chat_format *f, const struct chat_input *in,
                                 struct chat_prompt **out, struct error *err)
{
    return guarded(err, "the chat template refuses these messages", VX11_EINVALID,
                   [&] { *out = apply(*f, *in); });
}

extern "C" void chat_prompt_free(struct chat_prompt *p)
{
    delete static_cast<prompt_store *>(p);
}
