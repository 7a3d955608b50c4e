/* Repair of tool calls' arguments.
 *
 * A model that was stopped in the middle of a call leaves half an object in the history, and every later
 * request of that conversation carries it: it must be answered, each time. What is cut is completed: an open
 * string is closed, what hangs is dropped, brackets are closed. What is no object at all becomes the value
 * of "input" in one, so that templates that want objects get one. */
#include "engine/arguments.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "contract/contract.h"

static const yyjson_read_flag loose = YYJSON_READ_ALLOW_TRAILING_COMMAS | YYJSON_READ_STOP_WHEN_DONE;

static yyjson_doc *json_read(struct arena *a, const char *text, size_t len, yyjson_read_flag flags)
{
    yyjson_alc allocator;
    contract_json_allocator(a, &allocator);
    return yyjson_read_opts((char *)(uintptr_t)text, len, flags & ~YYJSON_READ_INSITU, &allocator, NULL);
}

/* Depth of brackets, whatever else the text is: bounds every walk over what is read from it. */
static bool too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
            continue;
        }
        if (text[i] == '"')
            quoted = true;
        else if (text[i] == '{' || text[i] == '[')
            depth++;
        else if ((text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
        if (depth > ARGUMENTS_DEPTH)
            return true;
    }
    return false;
}

struct cut { /* a place where the text can be cut off and closed */
    size_t at;
    size_t depth;
};

struct scan {
    char open[ARGUMENTS_DEPTH + 1];
    size_t depth;
    bool quoted, key; /* in a string; which is a key */
    struct cut last;  /* after the last whole value */
};

/* Walks the text; stops at what cannot be JSON. Returns how far it came. */
static size_t scan_run(struct scan *s, const char *text, size_t len)
{
    bool after_colon = false;
    size_t i = 0;
    for (; i < len; i++) {
        const char c = text[i];
        if (s->quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                s->quoted = false;
            if (!s->quoted && (!s->key))
                s->last = (struct cut){i + 1, s->depth};
            continue;
        }
        if (c == '"') {
            s->quoted = true;
            s->key = s->depth > 0 && s->open[s->depth - 1] == '{' && !after_colon;
        } else if (c == '{' || c == '[') {
            if (s->depth == ARGUMENTS_DEPTH)
                break;
            s->open[s->depth++] = c;
            after_colon = false;
            s->last = (struct cut){i + 1, s->depth};
        } else if (c == '}' || c == ']') {
            if (s->depth == 0 || s->open[s->depth - 1] != (c == '}' ? '{' : '['))
                break;
            s->depth--;
            s->last = (struct cut){i + 1, s->depth};
            if (s->depth == 0)
                break;
        } else if (c == ':') {
            after_colon = true;
        } else if (c == ',') {
            after_colon = false;
            s->last = (struct cut){i, s->depth};
        }
    }
    return i < len ? i : len;
}

static yyjson_doc *closed_read(struct arena *a, const struct scan *s, size_t depth, struct buf *text)
{
    while (depth > 0)
        (void)buf_putc(text, s->open[--depth] == '{' ? '}' : ']');
    return text->failed ? NULL : json_read(a, text->data, text->len, loose);
}

/* Drops a half escape at the end of a string that was cut. */
static size_t escape_trim(const char *text, size_t len)
{
    for (size_t back = 1; back <= 6 && back <= len; back++) {
        if (text[len - back] != '\\')
            continue;
        size_t slashes = 0;
        while (slashes < len - back + 1 && text[len - back - slashes] == '\\')
            slashes++;
        const bool escape = slashes % 2 == 1;
        const bool whole = back >= 2 && (text[len - back + 1] != 'u' || back == 6);
        return escape && !whole ? len - back : len;
    }
    return len;
}

/* An object that was cut: first with the string closed that the cut went through, then back to the last whole
 * value. NULL: neither is JSON. */
static yyjson_doc *completed_read(struct arena *a, const char *text, size_t len)
{
    struct scan s = {.depth = 0};
    struct buf out = BUF_INIT;
    yyjson_doc *doc = NULL;
    const size_t end = scan_run(&s, text, len);
    if (s.quoted && !s.key && end == len) {
        const size_t sound = escape_trim(text, utf8_valid_prefix(text, len));
        (void)buf_append(&out, text, sound);
        (void)buf_putc(&out, '"');
        doc = closed_read(a, &s, s.depth, &out);
    } else if (!s.quoted && end == len) { /* after a number or a word, which may be whole */
        (void)buf_append(&out, text, len);
        doc = closed_read(a, &s, s.depth, &out);
    }
    if (!doc) {
        /* Brackets that were opened after the place are not in `open` below its depth. */
        buf_clear(&out);
        (void)buf_append(&out, text, s.last.at);
        doc = closed_read(a, &s, s.last.depth, &out);
    }
    buf_free(&out);
    return doc;
}

static yyjson_doc *wrapped(struct arena *a, yyjson_val *value, const char *text, size_t len)
{
    yyjson_alc allocator;
    contract_json_allocator(a, &allocator);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    if (!doc)
        return NULL;
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *inner =
        value ? yyjson_val_mut_copy(doc, value) : yyjson_mut_strncpy(doc, text ? text : "", len);
    yyjson_mut_doc_set_root(doc, root);
    if (!inner || !yyjson_mut_obj_add_val(doc, root, "input", inner))
        return NULL;
    return yyjson_mut_doc_imut_copy(doc, &allocator);
}

static yyjson_doc *object_of(struct arena *a, yyjson_doc *doc, const char *text, size_t len)
{
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (yyjson_is_obj(root))
        return doc;
    if (yyjson_is_null(root))
        return json_read(a, "{}", 2, 0);
    return wrapped(a, root, text, len);
}

yyjson_doc *arguments_read(struct arena *a, const char *text, size_t len, enum arguments_state *state)
{
    *state = ARGUMENTS_MENDED;
    while (len > 0 && strchr(" \t\r\n", *text)) {
        text++;
        len--;
    }
    yyjson_doc *doc = NULL;
    if (too_deep(text, len)) {
        *state = ARGUMENTS_TOO_DEEP;
        return NULL;
    }
    if (len == 0) {
        doc = json_read(a, "{}", 2, 0);
    } else if ((doc = json_read(a, text, len, 0)) != NULL) {
        yyjson_val *root = yyjson_doc_get_root(doc);
        if (yyjson_is_obj(root))
            *state = ARGUMENTS_SOUND;
        /* Encoded twice. */
        const char *inner = yyjson_get_str(root);
        yyjson_doc *again = inner && inner[0] == '{' && !too_deep(inner, yyjson_get_len(root))
                                ? json_read(a, inner, yyjson_get_len(root), 0)
                                : NULL;
        doc = object_of(a, again ? again : doc, text, len);
    } else if (text[0] == '{') {
        doc = json_read(a, text, len, loose); /* something follows the object, or a comma too many */
        if (!doc)
            doc = completed_read(a, text, len);
        doc = doc && yyjson_is_obj(yyjson_doc_get_root(doc)) ? doc : wrapped(a, NULL, text, len);
    } else {
        doc = wrapped(a, NULL, text, len);
    }
    if (!doc)
        *state = ARGUMENTS_NO_MEMORY;
    return doc;
}
