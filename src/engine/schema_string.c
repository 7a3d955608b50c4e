/* Strings: by length, by pattern, or by a format, which is a pattern of ours.
 *
 * A length and a pattern at once cannot be kept by a grammar, unless the pattern's own length implies it. */
#include "engine/schema_internal.h"

#include <string.h>

#include "base/str.h"

#define DATE                                                                                                 \
    "[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"   \
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define TIME                                                                                                 \
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define NUMBER     "[0-9]{1,4}"
#define CLOCK_PART "(?:" NUMBER "H(?:" NUMBER "M(?:" NUMBER "S)?)?|" NUMBER "M(?:" NUMBER "S)?|" NUMBER "S)"
#define DAY_PART   "(?:" NUMBER "Y(?:" NUMBER "M(?:" NUMBER "D)?)?|" NUMBER "M(?:" NUMBER "D)?|" NUMBER "D)"
#define LABEL      "[A-Za-z0-9](?:[A-Za-z0-9]|-[A-Za-z0-9]){0,15}"
#define HOST       LABEL "(?:\\." LABEL "){0,6}"
#define OCTET      "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define H          "[0-9a-fA-F]{1,4}"

/* Each is a part of what its RFC allows: February has 28 days, years have four digits, names are short. */
static const struct format {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(?:" NUMBER "W|" DAY_PART "(?:T" CLOCK_PART ")?|T" CLOCK_PART ")$"},
    {"email", "^[A-Za-z0-9_+-]{1,24}(?:\\.[A-Za-z0-9_+-]{1,12}){0,3}@" LABEL "(?:\\." LABEL
              "){0,3}\\.[a-zA-Z]{2,12}$"},
    {"hostname", "^" HOST "$"},
    {"ipv4", "^" OCTET "(?:\\." OCTET "){3}$"},
    {"ipv6", "^(?:(?:" H ":){7}" H "|(?:" H ":){1,7}:|(?:" H ":){1,6}:" H "|(?:" H ":){1,5}(?::" H "){1,2}"
             "|(?:" H ":){1,4}(?::" H "){1,3}|(?:" H ":){1,3}(?::" H "){1,4}|(?:" H ":){1,2}(?::" H "){1,5}"
             "|" H ":(?::" H "){1,6}|:(?:(?::" H "){1,7}|:))$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
};

static bool pattern_string(struct schema *s, const char *keyword, const char *pattern, size_t len,
                           size_t least, size_t most, struct buf *out)
{
    struct pattern_length length = {0, 0};
    const char *why = NULL;
    (void)buf_puts(out, "\"\\\"\" ");
    if (!pattern_write(pattern, len, out, &length, &why))
        return why ? schema_refuse(s, keyword, "%s", why) : schema_no_memory(s);
    (void)buf_puts(out, " \"\\\"\"");
    if (length.least < least)
        return schema_refuse(s, "minLength", "cannot be enforced together with %s, which may be shorter",
                             keyword);
    if (length.most > most)
        return schema_refuse(s, "maxLength", "cannot be enforced together with %s, which may be longer",
                             keyword);
    return true;
}

static bool format_string(struct schema *s, yyjson_val *node, size_t least, size_t most, struct buf *out)
{
    const char *name = yyjson_get_str(yyjson_obj_get(node, "format"));
    for (size_t i = 0; name && i < COUNT_OF(formats); i++) {
        if (strcmp(formats[i].name, name) == 0)
            return pattern_string(s, "format", formats[i].pattern, strlen(formats[i].pattern), least, most,
                                  out);
    }
    return schema_refuse(s, "format",
                         "must be date-time, time, date, duration, email, hostname, ipv4, ipv6 or uuid");
}

bool schema_string(struct schema *s, yyjson_val *node, struct buf *out)
{
    yyjson_val *pattern = yyjson_obj_get(node, "pattern");
    size_t least = 0, most = SIZE_MAX;
    const size_t bound = pattern || yyjson_obj_get(node, "format") ? UINT32_MAX : SCHEMA_REPEAT_MOST;
    if (!schema_count(s, node, "minLength", bound, &least) ||
        !schema_count(s, node, "maxLength", bound, &most))
        return false;
    if (least > most)
        return schema_refuse(s, "minLength", "is more than maxLength");
    if (pattern && yyjson_obj_get(node, "format"))
        return schema_refuse(s, "format", "cannot be enforced together with pattern");
    if (pattern && !yyjson_is_str(pattern))
        return schema_refuse(s, "pattern", "must be a regular expression");
    if (pattern)
        return schema_add_text(s, "pattern", yyjson_get_len(pattern)) &&
               pattern_string(s, "pattern", yyjson_get_str(pattern), yyjson_get_len(pattern), least, most,
                              out);
    if (yyjson_obj_get(node, "format"))
        return format_string(s, node, least, most, out);
    if (least == 0 && most == SIZE_MAX)
        (void)buf_puts(out, "string");
    else if (most == SIZE_MAX)
        (void)buf_printf(out, "\"\\\"\" char{%zu,} \"\\\"\"", least);
    else
        (void)buf_printf(out, "\"\\\"\" char{%zu,%zu} \"\\\"\"", least, most);
    return true;
}
