/* Context: see the header. Characters are code points; what is not UTF-8 ends a text. */
#include "operator/context/context.h"

#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "base/task_type.h"

#define HINT_MESSAGES 3
#define HINT_EACH     100
#define HINT_ALL      256
#define LAST_EACH     500
#define TITLE_MOST    60

/* Bytes of the first `most` characters; *cut: there are more. */
static size_t first_chars(const char *s, size_t len, size_t most, bool *cut)
{
    size_t at = 0, n = 0;
    while (at < len && n < most) {
        int step = utf8_next(s + at, len - at);
        if (step < 0)
            break;
        at += (size_t)step;
        n++;
    }
    *cut = at < len;
    return at;
}

/* The first `most` characters on one line: runs of white space and control characters are one space. */
static int put_line(struct buf *out, const char *s, size_t len, size_t most, bool *cut)
{
    size_t at = 0, n = 0;
    bool space = false;
    int rc = 0;
    while (rc == 0 && at < len && n < most) {
        int step = utf8_next(s + at, len - at);
        if (step < 0)
            break;
        if ((unsigned char)s[at] <= ' ' || s[at] == 0x7f) {
            space = n > 0;
        } else {
            if (space && ++n < most)
                rc = buf_putc(out, ' ');
            if (rc == 0 && n < most) {
                rc = buf_append(out, s + at, (size_t)step);
                n++;
            } else {
                break;
            }
            space = false;
        }
        at += (size_t)step;
    }
    *cut = at < len;
    return rc;
}

static const char *role_name(int role)
{
    return (unsigned)role < COUNT_OF(operator_message_role_names) ? operator_message_role_names[role]
                                                                  : "user";
}

int context_hint(const struct context_message *m, size_t n, struct buf *out)
{
    struct buf all = BUF_INIT;
    bool cut;
    int rc = 0;
    for (size_t i = n > HINT_MESSAGES ? n - HINT_MESSAGES : 0; rc == 0 && i < n; i++) {
        rc = buf_printf(&all, "%s%s: ", all.len ? "\n" : "", role_name(m[i].role));
        if (rc == 0)
            rc = put_line(&all, m[i].text, m[i].len, HINT_EACH, &cut);
    }
    if (rc == 0) {
        size_t len = first_chars(all.data ? all.data : "", all.len, HINT_ALL, &cut);
        rc = buf_append(out, all.data ? all.data : "", len);
        if (rc == 0 && cut)
            rc = buf_puts(out, "…");
    }
    buf_free(&all);
    return rc;
}

int context_compressed(const struct context_message *m, size_t n, struct buf *out)
{
    bool cut;
    int rc = n == 0 ? buf_puts(out, "No context") : 0;
    for (size_t i = n > CONTEXT_LOOK ? n - CONTEXT_LOOK : 0, k = i; rc == 0 && i < n; i++) {
        rc = buf_puts(out, i > k ? " | " : "");
        if (rc == 0)
            rc = put_line(out, m[i].text, m[i].len, 20, &cut);
    }
    return rc;
}

int context_signature(const struct context_message *m, size_t n, int64_t count, struct buf *out)
{
    bool cut = false;
    if (n == 0)
        return buf_puts(out, "Empty");
    int rc = buf_printf(out, "Msgs:%lld Last:", (long long)count);
    if (rc == 0)
        rc = put_line(out, m[n - 1].text, m[n - 1].len, 30, &cut);
    return rc == 0 && cut ? buf_puts(out, "...") : rc;
}

/* ---- topic ---- */

/* Small talk in both languages, accents folded. */
static const char *const greetings[] = {
    "hi",     "hello", "hey",     "thanks",  "thank", "bye",  "goodbye",    "greetings",  "welcome", "hola",
    "buenas", "adios", "gracias", "saludos", "chao",  "chau", "bienvenido", "bienvenida", "hiya",    "cheers",
};

static bool greets(const struct context_message *m)
{
    struct task_words w = {m->text, m->len < 2000 ? m->len : 2000, 0};
    char word[TASK_WORD_SIZE];
    while (task_words_next(&w, word, sizeof word) > 0)
        for (size_t i = 0; i < COUNT_OF(greetings); i++)
            if (strcmp(word, greetings[i]) == 0)
                return true;
    return false;
}

enum operator_topic context_topic(const struct context_message *m, size_t n)
{
    static const int topics[TASK_TYPES] = {[TASK_TYPE_CODE] = 1 + OPERATOR_TOPIC_CODE,
                                           [TASK_TYPE_AUDIO] = 1 + OPERATOR_TOPIC_AUDIO,
                                           [TASK_TYPE_BROWSE] = 1 + OPERATOR_TOPIC_BROWSER,
                                           [TASK_TYPE_SYSTEM] = 1 + OPERATOR_TOPIC_SYSTEM};
    double votes[COUNT_OF(operator_topic_names)] = {0}, best = 0;
    enum operator_topic topic = OPERATOR_TOPIC_GENERAL;
    bool small_talk = false;
    for (size_t back = 0; back < HINT_MESSAGES && back < n; back++) {
        const struct context_message *one = &m[n - 1 - back];
        struct task_guess guess;
        task_guess(one->text, one->len, &guess);
        if (topics[guess.type])
            votes[topics[guess.type] - 1] += (double)(HINT_MESSAGES - back) * guess.confidence;
        small_talk = small_talk || greets(one);
    }
    for (size_t i = 0; i < COUNT_OF(votes); i++)
        if (votes[i] > best) {
            best = votes[i];
            topic = (enum operator_topic)i;
        }
    return best == 0 && small_talk ? OPERATOR_TOPIC_CHAT : topic;
}

/* ---- all of it ---- */

static int put_key(struct buf *out, const char *key, const struct buf *text)
{
    int rc = buf_printf(out, "%s\"%s\":", out->data[out->len - 1] == '{' ? "" : ",", key);
    return rc == 0 ? buf_put_json_string(out, text->data ? text->data : "", text->len) : rc;
}

static int put_last(const struct context_message *m, size_t n, struct buf *out)
{
    bool cut;
    int rc = buf_puts(out, ",\"last_messages\":[");
    for (size_t i = n > CONTEXT_LAST ? n - CONTEXT_LAST : 0, k = i; rc == 0 && i < n; i++) {
        rc = buf_printf(out, "%s{\"role\":\"%s\",\"content\":", i > k ? "," : "", role_name(m[i].role));
        if (rc == 0)
            rc = buf_put_json_string(out, m[i].text, first_chars(m[i].text, m[i].len, LAST_EACH, &cut));
        if (rc == 0)
            rc = buf_putc(out, '}');
    }
    return rc == 0 ? buf_putc(out, ']') : rc;
}

int context_metadata(const struct context_message *m, size_t n, int64_t count, struct buf *out)
{
    struct buf hint = BUF_INIT, signature = BUF_INIT, compressed = BUF_INIT;
    int rc = buf_putc(out, '{');
    if (rc == 0)
        rc = context_hint(m, n, &hint);
    if (rc == 0)
        rc = context_signature(m, n, count, &signature);
    if (rc == 0)
        rc = context_compressed(m, n, &compressed);
    if (rc == 0)
        rc = put_key(out, "context_summary", &hint);
    if (rc == 0)
        rc = put_key(out, "session_signature", &signature);
    if (rc == 0)
        rc = buf_printf(out, ",\"topic_cluster\":\"%s\"", operator_topic_names[context_topic(m, n)]);
    if (rc == 0)
        rc = put_key(out, "compressed_context", &compressed);
    if (rc == 0)
        rc = put_last(m, n, out);
    if (rc == 0)
        rc = buf_printf(out, ",\"message_count\":%lld}", (long long)count);
    buf_free(&hint);
    buf_free(&signature);
    buf_free(&compressed);
    return rc;
}

/* ---- title ---- */

static bool is_word_byte(unsigned char c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

int context_title(const char *text, size_t len, struct buf *out)
{
    size_t at = 0;
    bool cut = false;
    while (at < len) {
        size_t end = at, begin = at;
        bool words = false;
        while (end < len && text[end] != '\n')
            words |= is_word_byte((unsigned char)text[end++]);
        /* Signs of Markdown before the words; a line of a fence's name says nothing. */
        while (begin < end && strchr("#>*-+ \t`_", text[begin]) && text[begin])
            begin++;
        bool fence = end - at >= 3 && memcmp(text + at, "```", 3) == 0;
        if (words && !fence && begin < end) {
            size_t old = out->len;
            int rc = put_line(out, text + begin, end - begin, TITLE_MOST, &cut);
            while (out->len > old && out->data[out->len - 1] == ' ')
                out->data[--out->len] = '\0';
            return rc == 0 && cut ? buf_puts(out, "…") : rc;
        }
        at = end + 1;
    }
    return 0;
}
