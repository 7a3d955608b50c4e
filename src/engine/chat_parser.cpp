// Answers: read by the rules that their prompt was made with.
//
// The library's parser reads a text from its beginning, so that each piece costs a reading of all that came
// before. A reading therefore waits until it costs no more than a twentieth of the time since the last one;
// what a reader sees is late by some milliseconds in very long answers, and never at the end.
#include "engine/chat_internal.h"

#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace
{

using moment = std::chrono::steady_clock::time_point;

enum { TIME_SHARE = 20 };

struct call_sent {
    bool header = false;
    size_t arguments = 0;
};

} // namespace

struct chat_parser {
    const chat_rules *rules;
    std::string text;
    std::string reasoning_given, content_given;
    std::vector<call_sent> calls;
    bool thinking = false;
    moment next{}; // no reading before that
};

namespace
{

struct sender {
    chat_delta_fn fn;
    void *ctx;
    int rc = 0;

    void send(const chat_delta &delta)
    {
        if (rc == 0)
            rc = fn(ctx, &delta);
    }
};

// What `now` adds to what was given. Nothing while it is not a continuation of that: a parser may take back a
// space at the end of what it has seen.
std::string added(const std::string &now, std::string &given)
{
    if (now.size() <= given.size() || now.compare(0, given.size(), given) != 0)
        return std::string();
    std::string more = now.substr(given.size());
    given = now;
    return more;
}

void calls_send(chat_parser &p, const common_chat_msg &m, bool ended, sender &to)
{
    if (p.calls.size() < m.tool_calls.size())
        p.calls.resize(m.tool_calls.size());
    for (size_t i = 0; i < m.tool_calls.size(); i++) {
        const common_chat_tool_call &call = m.tool_calls[i];
        call_sent &sent = p.calls[i];
        // A name may still grow until what follows it has begun.
        if (call.name.empty() || (!ended && call.arguments.empty() && i + 1 == m.tool_calls.size()))
            continue;
        if (!sent.header) {
            sent.header = true;
            to.send({nullptr, nullptr, (long)i, call.id.c_str(), call.name.c_str(), ""});
        }
        const std::string arguments = ended && call.arguments.empty() ? "{}" : call.arguments;
        if (arguments.size() > sent.arguments) {
            to.send({nullptr, nullptr, (long)i, nullptr, nullptr, arguments.c_str() + sent.arguments});
            sent.arguments = arguments.size();
        }
    }
}

void message_send(chat_parser &p, const common_chat_msg &m, bool ended, sender &to)
{
    p.thinking = !m.reasoning_content.empty() && m.content.empty() && m.tool_calls.empty();
    std::string thought = m.reasoning_content;
    if (!thought.empty()) // white space before the end of a thought is not of it
        thought.erase(thought.find_last_not_of(" \t\r\n") + 1);
    const std::string reasoning = added(thought, p.reasoning_given);
    if (!reasoning.empty())
        to.send({reasoning.c_str(), nullptr, -1, nullptr, nullptr, nullptr});
    const std::string content = added(m.content, p.content_given);
    if (!content.empty())
        to.send({nullptr, content.c_str(), -1, nullptr, nullptr, nullptr});
    calls_send(p, m, ended, to);
}

// The answer as far as it follows the rules; *broken when it is whole and does not.
common_chat_msg text_read(const chat_parser &p, bool whole, bool *broken)
{
    const common_chat_parser_params &params = p.rules->params;
    if (whole) {
        try {
            return common_chat_parse(p.text, false, params);
        } catch (const std::runtime_error &) {
            *broken = true;
        }
    }
    try {
        return common_chat_parse(p.text, true, params);
    } catch (const std::runtime_error &) {
        return common_chat_msg();
    }
}

// A whole answer that breaks the rules and calls nothing is text: all of it is given, also what stands after
// the place where the rules no longer matched.
void broken_mend(const chat_parser &p, common_chat_msg &m)
{
    const std::string &end = p.rules->thought_end;
    size_t from = 0;
    if (!m.reasoning_content.empty()) {
        const size_t at = end.empty() ? std::string::npos : p.text.find(end);
        if (at == std::string::npos)
            return;
        from = p.text.find_first_not_of(" \r\n", at + end.size());
    }
    const std::string &known = m.content.empty() ? p.content_given : m.content;
    const size_t at = known.empty() ? from : p.text.find(known, from);
    if (at != std::string::npos)
        m.content = p.text.substr(at);
}

int feed(chat_parser &p, bool ended, bool whole, sender &to)
{
    const moment start = std::chrono::steady_clock::now();
    if (!ended && start < p.next)
        return 0;
    bool broken = false;
    common_chat_msg m = text_read(p, whole, &broken);
    if (broken && m.tool_calls.empty() && p.calls.empty()) {
        broken_mend(p, m);
        broken = false;
    }
    message_send(p, m, ended, to);
    const moment now = std::chrono::steady_clock::now();
    p.next = now + (now - start) * TIME_SHARE;
    return to.rc != 0 ? to.rc : broken ? VX11_ESYNTAX : 0;
}

} // namespace

extern "C" struct chat_parser *chat_parser_create(const struct chat_prompt *p)
{
    try {
        std::unique_ptr<chat_parser> parser(new chat_parser);
        parser->rules = p->rules;
        if (p->rules->params.is_continuation) { // what the caller began is known to him
            bool broken = false;
            const common_chat_msg begun = text_read(*parser, false, &broken);
            parser->reasoning_given = begun.reasoning_content;
            parser->content_given = begun.content;
        }
        return parser.release();
    } catch (...) {
        return nullptr;
    }
}

extern "C" void chat_parser_destroy(struct chat_parser *parser)
{
    delete parser;
}

extern "C" int chat_parser_feed(struct chat_parser *parser, const char *text, size_t len, bool ended,
                                bool whole, chat_delta_fn fn, void *ctx, struct error *err)
{
    try {
        sender to = {fn, ctx};
        parser->text.append(text ? text : "", len);
        const int rc = feed(*parser, ended, ended && whole, to);
        if (rc == VX11_ESYNTAX)
            return error_set(err, rc, "the answer does not follow the model's own format");
        return rc;
    } catch (const std::bad_alloc &) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    } catch (const std::exception &e) {
        return error_set(err, VX11_ESYNTAX, "the answer cannot be read: %.200s", e.what());
    } catch (...) {
        return error_set(err, VX11_ESYNTAX, "the answer cannot be read");
    }
}

extern "C" bool chat_parser_thinking(const struct chat_parser *parser)
{
    return parser->thinking;
}
