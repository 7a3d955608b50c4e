/* Tokens: see tokens.h for the rule. */
#include "base/tokens.h"

#include <stdbool.h>

#include "base/str.h"

struct runs {
    int64_t words, latin, half, whole; /* words and characters by how many make a token */
};

static bool is_latin(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ';
}

/* First byte of a character of four bytes, or of three that is at U+2E80 or above: what is written there
 * mostly has a token of its own. */
static bool is_wide(const unsigned char *s, int bytes)
{
    return bytes == 4 || (bytes == 3 && (s[0] > 0xE2 || (s[0] == 0xE2 && s[1] >= 0xBA)));
}

static void run_add(struct runs *r, const char *text, size_t len)
{
    bool in_word = false;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        if (is_latin(c)) { /* nearly all of most texts */
            bool letter = c != ' ';
            r->words += letter && !in_word;
            in_word = letter;
            r->latin++;
            i++;
            continue;
        }
        int n = c < 0x80 ? 1 : utf8_next(text + i, len - i);
        int bytes = n < 0 ? -n : n;
        in_word = false;
        if (is_wide((const unsigned char *)text + i, bytes))
            r->whole++;
        else
            r->half++;
        i += (size_t)bytes;
    }
}

int64_t tokens_estimate_text(const char *text, size_t len)
{
    struct runs r = {0};
    if (!text || len == 0)
        return 0;
    run_add(&r, text, len);
    int64_t latin = (r.latin + 3) / 4;
    return (latin > r.words ? latin : r.words) + (r.half + 1) / 2 + r.whole;
}
