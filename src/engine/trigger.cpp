// Triggers. Most are plain words, which llama.cpp hands over as regular expressions: those are searched as
// words, at the text's end only. A real expression is matched by recursion, a frame for a character, so the
// text that it is given is bounded.
#include "engine/trigger.h"

#include <cstring>
#include <regex>
#include <string>

namespace
{

constexpr size_t TEXT_MOST = 16384; // bytes that an expression is matched against

// The word that a pattern stands for; false: it is more than that.
bool word_of(const char *pattern, std::string &word)
{
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\') {
            if (!p[1] || !std::strchr("^$.|()[]{}*+?\\/-<>!@#%&=~`'\":;, ", p[1]))
                return false;
            p++;
        } else if (std::strchr("^$.|()[]{}*+?", *p)) {
            return false;
        }
        word += *p;
    }
    return !word.empty();
}

} // namespace

struct trigger {
    std::string word; // "": it is an expression
    std::regex expression;
    bool whole = false;
};

int trigger_create(const char *pattern, struct trigger **out, struct error *err)
{
    *out = nullptr;
    try {
        auto t = std::make_unique<trigger>();
        const size_t len = std::strlen(pattern);
        if (!word_of(pattern, t->word)) {
            t->word.clear();
            t->expression = std::regex(pattern);
            t->whole = len > 0 && pattern[0] == '^' && pattern[len - 1] == '$';
        }
        *out = t.release();
        return 0;
    } catch (const std::bad_alloc &) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    } catch (const std::exception &e) {
        return error_set(err, VX11_ESYNTAX, "the trigger %.100s: %s", pattern, e.what());
    }
}

struct trigger *trigger_clone(const struct trigger *t)
{
    try {
        return new trigger(*t);
    } catch (...) {
        return nullptr;
    }
}

void trigger_destroy(struct trigger *t)
{
    delete t;
}

static bool word_find(const trigger &t, const char *text, size_t len, size_t from, size_t *start)
{
    const size_t back = t.word.size() - 1;
    const size_t begin = from > back ? from - back : 0;
    const void *at = memmem(text + begin, len - begin, t.word.data(), t.word.size());
    if (!at)
        return false;
    *start = static_cast<size_t>(static_cast<const char *>(at) - text);
    return true;
}

bool trigger_find(const struct trigger *t, const char *text, size_t len, size_t from, size_t *start)
{
    if (!t->word.empty())
        return word_find(*t, text, len, from, start);
    if (t->whole && len > TEXT_MOST)
        return false;
    const size_t skipped = len > TEXT_MOST ? len - TEXT_MOST : 0;
    try {
        std::cmatch match;
        const char *first = text + skipped, *last = text + len;
        const auto flags =
            skipped > 0 ? std::regex_constants::match_prev_avail : std::regex_constants::match_default;
        if (t->whole ? !std::regex_match(first, last, match, t->expression)
                     : !std::regex_search(first, last, match, t->expression, flags))
            return false;
        size_t group = 0;
        for (size_t i = 1; group == 0 && i < match.size(); i++) {
            if (match.length(i) > 0)
                group = i;
        }
        *start = skipped + static_cast<size_t>(match.position(group));
        return true;
    } catch (const std::exception &) {
        return false; // error_stack, error_complexity: this text does not trigger
    }
}
