/* Constraints: the CHECKs in the text of a CREATE TABLE. SQLite says that one failed, but neither which nor
 * in what row; with its text the rows can be asked for.
 *
 * Words, texts in quotes, comments and parentheses are all that is told apart. */
#include "store/check/check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The end of what begins at s and is to be taken as one: a text in quotes, a comment, a word, or one
 * character. */
static const char *token_end(const char *s)
{
    const char *end;
    char close = *s == '[' ? ']' : *s;
    switch (*s) {
    case '\'':
    case '"':
    case '`':
    case '[':
        for (s++; *s; s++)
            if (*s == close && (close == ']' || s[1] != close))
                return s + 1;
            else if (*s == close)
                s++; /* a doubled quote */
        return s;
    case '-':
        return s[1] == '-' ? s + strcspn(s, "\n") : s + 1;
    case '/':
        if (s[1] != '*')
            return s + 1;
        end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    default:
        for (end = s;
             isalnum((unsigned char)*end) || *end == '_' || *end == '$' || (unsigned char)*end >= 0x80;)
            end++;
        return end > s ? end : s + 1;
    }
}

static bool is_comment(const char *s)
{
    return (s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*');
}

static bool is_word(const char *s, const char *end, const char *word)
{
    return (size_t)(end - s) == strlen(word) && strncasecmp(s, word, (size_t)(end - s)) == 0;
}

/* From an opening parenthesis to the one that closes it; NULL: it is not closed. */
static const char *closing(const char *s)
{
    int depth = 0;
    while (*s) {
        depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
        if (depth == 0)
            return s;
        s = token_end(s);
    }
    return NULL;
}

static const char *skip_blank(const char *s)
{
    while (*s && (isspace((unsigned char)*s) || is_comment(s)))
        s = is_comment(s) ? token_end(s) : s + 1;
    return s;
}

int constraints_each(const char *sql,
                     int (*fn)(void *ctx, const char *column, size_t column_len, const char *text,
                               size_t len),
                     void *ctx)
{
    const char *column = NULL, *s = sql;
    size_t column_len = 0;
    bool begins = false; /* the next word begins a column or a constraint of the table */
    int depth = 0;
    while (*(s = skip_blank(s))) {
        const char *end = token_end(s);
        const char *open = skip_blank(end);
        if (*s == '(' || *s == ',') {
            depth += *s == '(';
            begins = depth == 1;
        } else if (*s == ')') {
            depth--;
        } else if (depth >= 1 && is_word(s, end, "CHECK") && *open == '(') {
            const char *last = closing(open);
            if (!last)
                return 0;
            int rc =
                fn(ctx, begins ? NULL : column, begins ? 0 : column_len, open + 1, (size_t)(last - open - 1));
            if (rc != 0)
                return rc;
            begins = false;
            end = last + 1;
        } else if (begins) {
            bool named = is_word(s, end, "CONSTRAINT");
            column = named ? NULL : s;
            column_len = named ? 0 : (size_t)(end - s);
            begins = false;
        }
        s = end;
    }
    return 0;
}
