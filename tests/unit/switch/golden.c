#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

yyjson_doc *golden_open(const char *name)
{
    char path[4096];
    const char *src = getenv("VX11_SRC");
    assert_non_null(src);
    snprintf(path, sizeof path, "%s/tests/data/dialects/%s.json", src, name);
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, NULL);
    assert_non_null(doc);
    return doc;
}

const char *golden_string(yyjson_val *item, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(item, key));
}

static bool alike(yyjson_val *want, yyjson_val *actual)
{
    size_t i, n;
    yyjson_val *key, *value;
    if (yyjson_equals_str(want, "*"))
        return actual != NULL;
    if (yyjson_is_arr(want)) {
        if (!yyjson_is_arr(actual) || yyjson_arr_size(want) != yyjson_arr_size(actual))
            return false;
        yyjson_arr_foreach(want, i, n, value)
        {
            if (!alike(value, yyjson_arr_get(actual, i)))
                return false;
        }
        return true;
    }
    if (!yyjson_is_obj(want))
        return yyjson_is_num(want) && yyjson_is_num(actual)
                   ? yyjson_get_num(want) <= yyjson_get_num(actual) &&
                         yyjson_get_num(want) >= yyjson_get_num(actual)
                   : yyjson_equals(want, actual);
    if (!yyjson_is_obj(actual) || yyjson_obj_size(want) != yyjson_obj_size(actual))
        return false;
    yyjson_obj_foreach(want, i, n, key, value)
    {
        if (!alike(value, yyjson_obj_get(actual, yyjson_get_str(key))))
            return false;
    }
    return true;
}

void golden_check(const char *name, yyjson_val *want, yyjson_val *actual)
{
    if (alike(want, actual))
        return;
    char *w = yyjson_val_write(want, 0, NULL), *a = actual ? yyjson_val_write(actual, 0, NULL) : NULL;
    print_error("%s:\nwanted %s\n   got %s\n", name, w, a ? a : "nothing");
    free(w);
    free(a);
    fail();
}

void golden_check_text(const char *name, yyjson_val *want, const char *actual, size_t len)
{
    yyjson_doc *doc = yyjson_read(actual, len, 0);
    if (!doc)
        print_error("%s: no JSON: %.*s\n", name, (int)len, actual);
    golden_check(name, want, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}
