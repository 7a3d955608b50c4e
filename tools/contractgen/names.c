/* Names: how a name of the tables becomes a name in C. One place, so that header, source and client agree. */
#include <ctype.h>
#include <string.h>

#include "model.h"

static const char *const keywords[] = {
    "auto",     "break",    "case",     "char",     "const",    "continue", "default", "do",      "double",
    "else",     "enum",     "extern",   "float",    "for",      "goto",     "if",      "inline",  "int",
    "long",     "register", "restrict", "return",   "short",    "signed",   "sizeof",  "static",  "struct",
    "switch",   "typedef",  "union",    "unsigned", "void",     "volatile", "while",   "bool",    "true",
    "false",    "asm",      "typeof",   "class",    "template", "new",      "delete",  "private", "public",
    "operator", "linux",    "unix",     "errno",    "stdin",    "stdout",   "stderr",
};

bool name_is_c_keyword(const char *s)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(s, keywords[i]) == 0) {
            return true;
        }
    }
    return false;
}

char *name_snake(struct model *m, const char *s)
{
    size_t n = strlen(s);
    char *out = model_alloc(m, 2 * n + 1, 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (!isalnum(c)) {
            out[k++] = '_';
            continue;
        }
        if (isupper(c) && i > 0) {
            unsigned char before = (unsigned char)s[i - 1];
            bool after_lower = islower(before) || isdigit(before);
            bool ends_acronym = isupper(before) && islower((unsigned char)s[i + 1]);
            if (after_lower || ends_acronym) {
                out[k++] = '_';
            }
        }
        out[k++] = (char)tolower(c);
    }
    return out;
}

char *name_upper(struct model *m, const char *s)
{
    size_t n = strlen(s);
    char *out = model_alloc(m, n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        out[i] = isalnum(c) ? (char)toupper(c) : '_';
    }
    return out;
}
