#include "json_check.h"
#include "harness.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

static bool no(const char **why, const char *keyword)
{
    *why = keyword;
    return false;
}

static bool matches(const char *expression, const char *text)
{
    regex_t r;
    char converted[1024];
    size_t n = 0;
    bool in_class = false;
    for (const char *p = expression; *p && n + 12 < sizeof converted; p++) { /* what POSIX lacks */
        const char *more = NULL;
        if (p[0] == '\\' && (p[1] == 'd' || p[1] == 'w' || p[1] == 's'))
            more = p[1] == 'd' ? "[0-9]" : p[1] == 'w' ? "[A-Za-z0-9_]" : "[ \t\r\n\f\v]";
        in_class = (in_class || *p == '[') && *p != ']';
        if (strncmp(p, "\\u00e9", 6) == 0) {
            n += (size_t)sprintf(converted + n, "\xC3\xA9");
            p += 5;
            continue;
        }
        if (p[0] == '(' && p[1] == '?' && p[2] == ':') {
            converted[n++] = '(';
            p += 2;
        } else if (more) {
            n += (size_t)sprintf(converted + n, "%.*s", (int)strlen(more) - 2 * in_class, more + in_class);
            p++;
        } else {
            converted[n++] = *p;
        }
    }
    converted[n] = '\0';
    assert_int_equal(regcomp(&r, converted, REG_EXTENDED | REG_NOSUB), 0);
    const bool ok = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return ok;
}

static bool is_date(const char *s)
{
    int y, m, d, n = 0;
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10 || m < 1 || m > 12 || d < 1)
        return false;
    const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= (m == 2 && !leap ? 28 : days[m - 1]);
}

static bool is_time(const char *s)
{
    int h, m, sec;
    return matches("^[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$", s) &&
           sscanf(s, "%2d:%2d:%2d", &h, &m, &sec) == 3 && h < 24 && m < 60 && sec < 60;
}

static bool is_ip(const char *s, int count, char separator)
{
    int parts = 0, value = 0, digits = 0;
    for (;; s++) {
        if (*s >= '0' && *s <= '9') {
            if (digits > 0 && value == 0)
                return false;
            value = value * 10 + (*s - '0');
            digits++;
        } else {
            if (digits == 0 || digits > 3 || value > 255)
                return false;
            parts++;
            value = digits = 0;
            if (*s == '\0')
                return parts == count;
            if (*s != separator)
                return false;
        }
    }
}

/* By the definition: eight groups, of which one run of at least one may be "::". */
static bool is_ipv6(const char *s)
{
    int groups = 0, gaps = 0, digits = 0;
    const size_t len = strlen(s);
    if (len < 2 || (s[0] == ':' && s[1] != ':') || (s[len - 1] == ':' && s[len - 2] != ':'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == ':') {
            if (digits > 0)
                groups++;
            digits = 0;
            if (i + 1 < len && s[i + 1] == ':') {
                gaps++;
                i++;
                if (i + 1 < len && s[i + 1] == ':')
                    return false;
            }
        } else if (!strchr("0123456789abcdefABCDEF", s[i]) || ++digits > 4) {
            return false;
        }
    }
    groups += digits > 0;
    return gaps == 0 ? groups == 8 : gaps == 1 && groups <= 7;
}

static bool has_format(const char *format, const char *s)
{
    const char *t = strchr(s, 'T');
    char date[16];
    if (strcmp(format, "date") == 0)
        return is_date(s);
    if (strcmp(format, "time") == 0)
        return is_time(s);
    if (strcmp(format, "date-time") == 0) {
        (void)snprintf(date, sizeof date, "%.10s", s);
        return t == s + 10 && is_date(date) && is_time(t + 1);
    }
    if (strcmp(format, "duration") == 0)
        return matches("^P([0-9]+W|([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?)$", s) &&
               s[1] != '\0' && s[strlen(s) - 1] != 'T';
    if (strcmp(format, "email") == 0)
        return strlen(s) <= 254 && !strstr(s, "..") && !strstr(s, ".@") &&
               matches("^[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", s);
    if (strcmp(format, "hostname") == 0)
        return strlen(s) <= 253 && matches("^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-"
                                           "Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
                                           s);
    if (strcmp(format, "ipv4") == 0)
        return is_ip(s, 4, '.');
    if (strcmp(format, "ipv6") == 0)
        return is_ipv6(s);
    if (strcmp(format, "uuid") == 0)
        return matches("^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", s);
    fail_msg("unknown format %s", format);
    return false;
}

static bool has_type(yyjson_val *value, const char *type)
{
    if (strcmp(type, "integer") == 0)
        return yyjson_is_num(value) && floor(yyjson_get_num(value)) == yyjson_get_num(value);
    if (strcmp(type, "number") == 0)
        return yyjson_is_num(value);
    return strcmp(yyjson_get_type_desc(value), type) == 0 ||
           (strcmp(type, "boolean") == 0 && yyjson_is_bool(value));
}

static bool type_ok(yyjson_val *type, yyjson_val *value)
{
    size_t i, max;
    yyjson_val *one;
    if (!type)
        return true;
    if (yyjson_is_str(type))
        return has_type(value, yyjson_get_str(type));
    yyjson_arr_foreach(type, i, max, one)
    {
        if (has_type(value, yyjson_get_str(one)))
            return true;
    }
    return false;
}

static bool number_ok(yyjson_val *schema, yyjson_val *value, const char **why)
{
    const double x = yyjson_get_num(value);
    yyjson_val *v;
    if ((v = yyjson_obj_get(schema, "minimum")) && x < yyjson_get_num(v))
        return no(why, "minimum");
    if ((v = yyjson_obj_get(schema, "maximum")) && x > yyjson_get_num(v))
        return no(why, "maximum");
    if ((v = yyjson_obj_get(schema, "exclusiveMinimum")) && x <= yyjson_get_num(v))
        return no(why, "exclusiveMinimum");
    if ((v = yyjson_obj_get(schema, "exclusiveMaximum")) && x >= yyjson_get_num(v))
        return no(why, "exclusiveMaximum");
    if ((v = yyjson_obj_get(schema, "multipleOf"))) {
        const double times = x / yyjson_get_num(v);
        if (fabs(times - nearbyint(times)) > 1e-9 * fmax(1, fabs(times)))
            return no(why, "multipleOf");
    }
    return true;
}

static bool string_ok(yyjson_val *schema, yyjson_val *value, const char **why)
{
    const char *s = yyjson_get_str(value);
    const size_t n = utf8_count(s, yyjson_get_len(value));
    yyjson_val *v;
    if ((v = yyjson_obj_get(schema, "minLength")) && n < yyjson_get_uint(v))
        return no(why, "minLength");
    if ((v = yyjson_obj_get(schema, "maxLength")) && n > yyjson_get_uint(v))
        return no(why, "maxLength");
    if ((v = yyjson_obj_get(schema, "pattern")) && !matches(yyjson_get_str(v), s))
        return no(why, "pattern");
    if ((v = yyjson_obj_get(schema, "format")) && !has_format(yyjson_get_str(v), s))
        return no(why, "format");
    return true;
}

static bool array_ok(yyjson_val *root, yyjson_val *schema, yyjson_val *value, const char **why)
{
    yyjson_val *v, *item, *prefix = yyjson_obj_get(schema, "prefixItems");
    size_t i, max;
    if ((v = yyjson_obj_get(schema, "minItems")) && yyjson_arr_size(value) < yyjson_get_uint(v))
        return no(why, "minItems");
    if ((v = yyjson_obj_get(schema, "maxItems")) && yyjson_arr_size(value) > yyjson_get_uint(v))
        return no(why, "maxItems");
    yyjson_arr_foreach(value, i, max, item)
    {
        yyjson_val *of =
            i < yyjson_arr_size(prefix) ? yyjson_arr_get(prefix, i) : yyjson_obj_get(schema, "items");
        if (of && !json_check(root, of, item, why))
            return false;
    }
    return true;
}

static bool object_ok(yyjson_val *root, yyjson_val *schema, yyjson_val *value, const char **why)
{
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *key, *item, *name;
    yyjson_val *other = yyjson_obj_get(schema, "additionalProperties");
    size_t i, max;
    yyjson_obj_foreach(value, i, max, key, item)
    {
        yyjson_val *of = yyjson_obj_getn(properties, yyjson_get_str(key), yyjson_get_len(key));
        if (!of && !other)
            continue;
        if (!json_check(root, of ? of : other, item, why))
            return of ? false : no(why, "additionalProperties");
    }
    yyjson_arr_foreach(yyjson_obj_get(schema, "required"), i, max, name)
    {
        if (!yyjson_obj_getn(value, yyjson_get_str(name), yyjson_get_len(name)))
            return no(why, "required");
    }
    return true;
}

static void known_only(yyjson_val *schema)
{
    static const char *const known[] = {"type",
                                        "enum",
                                        "const",
                                        "anyOf",
                                        "allOf",
                                        "$ref",
                                        "properties",
                                        "required",
                                        "items",
                                        "pattern",
                                        "format",
                                        "minLength",
                                        "title",
                                        "$defs",
                                        "maxLength",
                                        "description",
                                        "minimum",
                                        "maximum",
                                        "minItems",
                                        "maxItems",
                                        "default",
                                        "$schema",
                                        "multipleOf",
                                        "definitions",
                                        "examples",
                                        "exclusiveMinimum",
                                        "exclusiveMaximum",
                                        "additionalProperties",
                                        "prefixItems"};
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(schema, i, max, key, value)
    {
        bool found = false;
        for (size_t k = 0; k < COUNT_OF(known); k++)
            found |= strcmp(known[k], yyjson_get_str(key)) == 0;
        if (!found)
            fail_msg("the checker does not know %s", yyjson_get_str(key));
    }
}

static bool applicators_ok(yyjson_val *root, yyjson_val *schema, yyjson_val *value, const char **why)
{
    yyjson_val *v, *one;
    size_t i, max;
    bool any = false;
    if ((v = yyjson_obj_get(schema, "$ref"))) {
        char pointer[256];
        size_t n = 0;
        for (const char *p = yyjson_get_str(v) + 1; *p && n + 1 < sizeof pointer; p++) {
            pointer[n++] = strncmp(p, "%20", 3) == 0 ? ' ' : *p;
            p += pointer[n - 1] == ' ' ? 2 : 0;
        }
        yyjson_val *target = yyjson_ptr_getn(root, pointer, n);
        assert_non_null(target);
        return json_check(root, target, value, why);
    }
    yyjson_arr_foreach(yyjson_obj_get(schema, "allOf"), i, max, one)
    {
        if (!json_check(root, one, value, why))
            return false;
    }
    v = yyjson_obj_get(schema, "anyOf");
    yyjson_arr_foreach(v, i, max, one)
    {
        any |= json_check(root, one, value, why);
    }
    if (v && !any)
        return no(why, "anyOf");
    if ((v = yyjson_obj_get(schema, "const")) && !yyjson_equals(v, value))
        return no(why, "const");
    any = false;
    v = yyjson_obj_get(schema, "enum");
    yyjson_arr_foreach(v, i, max, one)
    {
        any |= yyjson_equals(one, value);
    }
    return !v || any || no(why, "enum");
}

bool json_check(yyjson_val *root, yyjson_val *schema, yyjson_val *value, const char **why)
{
    if (yyjson_is_bool(schema))
        return yyjson_is_true(schema) || no(why, "false");
    known_only(schema);
    if (!applicators_ok(root, schema, value, why))
        return false;
    if (!type_ok(yyjson_obj_get(schema, "type"), value))
        return no(why, "type");
    if (yyjson_is_num(value))
        return number_ok(schema, value, why);
    if (yyjson_is_str(value))
        return string_ok(schema, value, why);
    if (yyjson_is_arr(value))
        return array_ok(root, schema, value, why);
    return !yyjson_is_obj(value) || object_ok(root, schema, value, why);
}
