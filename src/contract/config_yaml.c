/* Config YAML: libfyaml's nodes to a JSON tree, led by the table.
 *
 * YAML guesses types from looks: `off` may be a truth value, `1.0` a number. The table knows better, so a
 * plain scalar is read as what its field is. Aliases and tags are refused: nothing here needs them, and they
 * are how a small file becomes a large one. */
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "contract/config_internal.h"

struct reader {
    struct config *cfg;
    const char *name;
    yyjson_mut_doc *doc;
    struct error *err;
    int line; /* of the last scalar read: what an empty list or object, which has no place of its own, is near
               */
};

static yyjson_mut_val *node_read(struct reader *r, struct fy_node *node, const struct contract_field *f,
                                 const struct contract_message *m, const char *pointer, unsigned level);

/* --- scalars
 * ------------------------------------------------------------------------------------------------------- */

static bool is_null_text(const char *s)
{
    return *s == '\0' || str_eq(s, "~") || str_eq(s, "null") || str_eq(s, "Null") || str_eq(s, "NULL");
}

/* A value of free JSON: YAML's core schema. */
static yyjson_mut_val *scalar_guess(yyjson_mut_doc *doc, const char *text)
{
    int64_t i;
    double d;
    if (is_null_text(text)) {
        return yyjson_mut_null(doc);
    }
    if (str_eq(text, "true") || str_eq(text, "false")) {
        return yyjson_mut_bool(doc, text[0] == 't');
    }
    if (str_to_i64(text, INT64_MIN, INT64_MAX, &i) == 0) {
        return yyjson_mut_sint(doc, i);
    }
    if (str_to_f64(text, &d) == 0) {
        return yyjson_mut_real(doc, d);
    }
    return yyjson_mut_strcpy(doc, text);
}

static bool integer_convert(const struct contract_field *f, const char *text, int64_t *out)
{
    uint64_t bytes;
    if (str_to_i64(text, INT64_MIN, INT64_MAX, out) == 0) {
        return true;
    }
    if (str_eq(f->unit, "bytes") && str_to_bytes(text, &bytes) == 0 && bytes <= INT64_MAX) {
        *out = (int64_t)bytes;
        return true;
    }
    return str_eq(f->unit, "ms") && str_to_duration_ms(text, out) == 0;
}

yyjson_mut_val *config_scalar(yyjson_mut_doc *doc, const struct contract_field *f, const char *text)
{
    bool b;
    int64_t i;
    double d;
    switch (f != NULL ? f->type : CONTRACT_STRING) {
    case CONTRACT_BOOL:
        if (str_to_bool(text, &b) == 0) {
            return yyjson_mut_bool(doc, b);
        }
        break;
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        if (integer_convert(f, text, &i)) {
            return yyjson_mut_sint(doc, i);
        }
        if (str_to_f64(text, &d) == 0) { /* "must be a whole number" says more than "not a string" */
            return yyjson_mut_real(doc, d);
        }
        break;
    case CONTRACT_NUMBER:
        if (str_to_f64(text, &d) == 0) {
            return yyjson_mut_real(doc, d);
        }
        break;
    case CONTRACT_JSON:
        return scalar_guess(doc, text);
    default:
        break;
    }
    return yyjson_mut_strcpy(doc, text);
}

/* --- nodes
 * ---------------------------------------------------------------------------------------------------------
 */

static int token_line(struct fy_token *token)
{
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    return mark != NULL ? mark->line + 1 : 0;
}

/* Line of a node: its own when it is a scalar, else that of the first scalar in it. */
static int node_line(struct fy_node *node, int fallback)
{
    for (unsigned level = 0; node != NULL && level < CONFIG_DEPTH; level++) {
        void *at = NULL;
        if (fy_node_get_type(node) == FYNT_SCALAR) {
            int line = token_line(fy_node_get_scalar_token(node));
            return line > 0 ? line : fallback;
        }
        if (fy_node_get_type(node) == FYNT_SEQUENCE) {
            node = fy_node_sequence_iterate(node, &at);
        } else {
            struct fy_node_pair *pair = fy_node_mapping_iterate(node, &at);
            node = pair != NULL ? fy_node_pair_key(pair) : NULL;
        }
    }
    return fallback;
}

static yyjson_mut_val *out_of_memory(struct reader *r)
{
    error_set(r->err, VX11_ENOMEM, "out of memory");
    return NULL;
}

static char *scalar_text(struct reader *r, struct fy_node *node, int line)
{
    size_t len = 0;
    const char *s = fy_node_get_scalar(node, &len);
    if (s == NULL) {
        s = "";
        len = 0;
    }
    if (memchr(s, 0, len) != NULL || !utf8_valid(s, len)) {
        error_set(r->err, VX11_EINVALID, "%s:%d: a value is not UTF-8 text", r->name, line);
        return NULL;
    }
    char *text = arena_strndup(r->cfg->arena, s, len);
    if (text == NULL) {
        out_of_memory(r);
    }
    return text;
}

static yyjson_mut_val *scalar_read(struct reader *r, struct fy_node *node, const struct contract_field *f)
{
    int line = r->line = node_line(node, r->line);
    if (fy_node_is_alias(node)) {
        error_set(r->err, VX11_EINVALID, "%s:%d: aliases are not supported", r->name, line);
        return NULL;
    }
    char *text = scalar_text(r, node, line);
    if (text == NULL) {
        return NULL;
    }
    bool plain = fy_node_get_style(node) == FYNS_PLAIN || fy_node_get_style(node) == FYNS_ANY;
    yyjson_mut_val *v = NULL;
    if (!plain) {
        v = yyjson_mut_strcpy(r->doc, text);
    } else if (is_null_text(text)) {
        v = yyjson_mut_null(r->doc);
    } else {
        v = config_scalar(r->doc, f, text);
    }
    return v != NULL ? v : out_of_memory(r);
}

static yyjson_mut_val *sequence_read(struct reader *r, struct fy_node *node, const struct contract_field *f,
                                     const char *pointer, unsigned level)
{
    const struct contract_field *element = f != NULL ? (f->type == CONTRACT_ARRAY ? f->element : f) : NULL;
    yyjson_mut_val *list = yyjson_mut_arr(r->doc);
    struct fy_node *item;
    void *at = NULL;
    for (size_t i = 0; list != NULL && (item = fy_node_sequence_iterate(node, &at)) != NULL; i++) {
        const char *where = arena_printf(r->cfg->arena, "%s/%zu", pointer, i);
        if (where == NULL || config_origin_add(r->cfg, where, NULL, node_line(item, r->line), false) != 0) {
            return out_of_memory(r);
        }
        const struct contract_message *m =
            element != NULL && element->type == CONTRACT_MESSAGE ? element->message : NULL;
        yyjson_mut_val *v = node_read(r, item, element, m, where, level + 1);
        if (v == NULL || !yyjson_mut_arr_append(list, v)) {
            return v == NULL ? NULL : out_of_memory(r);
        }
    }
    return list != NULL ? list : out_of_memory(r);
}

/* One `key: value` into obj. Nothing after the colon means that the key is not given: its default holds. */
static int pair_read(struct reader *r, struct fy_node_pair *pair, const struct contract_field *parent,
                     const struct contract_message *m, const char *pointer, yyjson_mut_val *obj,
                     unsigned level)
{
    struct fy_node *key_node = fy_node_pair_key(pair), *value_node = fy_node_pair_value(pair);
    int line = node_line(key_node, r->line);
    if (key_node == NULL || fy_node_get_type(key_node) != FYNT_SCALAR || fy_node_is_alias(key_node)) {
        return error_set(r->err, VX11_EINVALID, "%s:%d: a key must be a name", r->name, line);
    }
    r->line = line;
    char *key = scalar_text(r, key_node, line);
    const char *where = key != NULL ? config_pointer_join(r->cfg->arena, pointer, key) : NULL;
    if (where == NULL || config_origin_add(r->cfg, where, NULL, line, false) != 0) {
        return key == NULL ? VX11_EINVALID : error_set(r->err, VX11_ENOMEM, "out of memory");
    }
    if (yyjson_mut_obj_get(obj, key) != NULL) {
        return error_set(r->err, VX11_EINVALID, "%s:%d: key %s is there twice", r->name, line, key);
    }
    const struct contract_field *f = m != NULL ? contract_field_find(m, key) : NULL;
    if (f == NULL && parent != NULL && parent->type == CONTRACT_JSON) {
        f = parent; /* inside free JSON everything is free JSON */
    }
    yyjson_mut_val *v = value_node == NULL
                            ? yyjson_mut_null(r->doc)
                            : node_read(r, value_node, f, f != NULL ? f->message : NULL, where, level + 1);
    if (v == NULL) {
        return VX11_EINVALID;
    }
    if (yyjson_mut_is_null(v) && f != NULL && (f->flags & CONTRACT_HAS_DEFAULT) != 0) {
        r->cfg->origin_count--;
        return 0;
    }
    return yyjson_mut_obj_add(obj, yyjson_mut_strcpy(r->doc, key), v)
               ? 0
               : error_set(r->err, VX11_ENOMEM, "out of memory");
}

static yyjson_mut_val *mapping_read(struct reader *r, struct fy_node *node, const struct contract_field *f,
                                    const struct contract_message *m, const char *pointer, unsigned level)
{
    yyjson_mut_val *obj = yyjson_mut_obj(r->doc);
    struct fy_node_pair *pair;
    void *at = NULL;
    if (obj == NULL) {
        return out_of_memory(r);
    }
    if (f != NULL && f->type == CONTRACT_ARRAY) {
        m = NULL; /* an object where a list belongs: the check will say so */
    }
    while ((pair = fy_node_mapping_iterate(node, &at)) != NULL) {
        if (pair_read(r, pair, f, m, pointer, obj, level) != 0) {
            return NULL;
        }
    }
    return obj;
}

static yyjson_mut_val *node_read(struct reader *r, struct fy_node *node, const struct contract_field *f,
                                 const struct contract_message *m, const char *pointer, unsigned level)
{
    size_t tag_len = 0;
    int line = node_line(node, r->line);
    if (level > CONFIG_DEPTH) {
        error_set(r->err, VX11_EINVALID, "%s:%d: nested deeper than %d levels", r->name, line, CONFIG_DEPTH);
        return NULL;
    }
    if (fy_node_get_tag(node, &tag_len) != NULL && tag_len > 0) {
        error_set(r->err, VX11_EINVALID, "%s:%d: tags (!) are not supported", r->name, line);
        return NULL;
    }
    switch (fy_node_get_type(node)) {
    case FYNT_SEQUENCE:
        return sequence_read(r, node, f, pointer, level);
    case FYNT_MAPPING:
        return mapping_read(r, node, f, m, pointer, level);
    default:
        return scalar_read(r, node, f);
    }
}

/* --- document
 * ------------------------------------------------------------------------------------------------------ */

static void diag_silent(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)len; /* errors are collected, and told by syntax_fail */
}

static int syntax_fail(struct reader *r, struct fy_diag *diag)
{
    void *at = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    if (e == NULL || e->msg == NULL) {
        return error_set(r->err, VX11_ESYNTAX, "%s: is not valid YAML", r->name);
    }
    return error_set(r->err, VX11_ESYNTAX, "%s:%d: is not valid YAML: %s", r->name, e->line, e->msg);
}

static int root_read(struct reader *r, struct fy_document *fyd, const struct contract_message *m)
{
    struct fy_node *node = fyd != NULL ? fy_document_root(fyd) : NULL;
    yyjson_mut_val *root = node != NULL ? node_read(r, node, NULL, m, "", 0) : yyjson_mut_obj(r->doc);
    if (root == NULL) {
        return r->err != NULL && r->err->code != 0 ? r->err->code : VX11_EINVALID;
    }
    if (yyjson_mut_is_null(root)) {
        root = yyjson_mut_obj(r->doc);
    }
    yyjson_mut_doc_set_root(r->doc, root);
    return 0;
}

/* One document; a second one would be silently without effect, so it is an error. */
static int stream_read(struct reader *r, const struct fy_parse_cfg *parse_cfg,
                       const struct contract_message *m, const char *text, size_t len)
{
    struct fy_parser *fyp = fy_parser_create(parse_cfg);
    struct fy_document *fyd = NULL, *second = NULL;
    int rc = VX11_ENOMEM;
    if (fyp == NULL || fy_parser_set_string(fyp, text, len) != 0) {
        error_set(r->err, rc, "out of memory");
        goto out;
    }
    fyd = fy_parse_load_document(fyp);
    second = fyd != NULL ? fy_parse_load_document(fyp) : NULL;
    if (second != NULL) {
        rc = error_set(r->err, VX11_EINVALID, "%s: holds more than one YAML document", r->name);
    } else if (fyd == NULL || fy_parser_get_stream_error(fyp)) {
        rc = syntax_fail(r, parse_cfg->diag);
    } else {
        rc = root_read(r, fyd, m);
    }
out:
    fy_parse_document_destroy(fyp, second);
    fy_parse_document_destroy(fyp, fyd);
    fy_parser_destroy(fyp);
    return rc;
}

/* True when nothing but comments and blank lines is there: libfyaml makes no document of that. */
static bool is_blank(const char *text, size_t len)
{
    bool comment = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            comment = false;
        } else if (text[i] == '#') {
            comment = true;
        } else if (!comment && strchr(" \t\r", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

int config_yaml_read(struct config *cfg, const struct contract_message *m, const char *name, const char *text,
                     size_t len, yyjson_mut_doc *doc, struct error *err)
{
    struct reader r = {cfg, name, doc, err, 1};
    if (len > CONFIG_FILE_MAX) {
        return error_set(err, VX11_ETOO_LARGE, "%s: larger than %d bytes", name, CONFIG_FILE_MAX);
    }
    if (!utf8_valid(text, len) || memchr(text, 0, len) != NULL) {
        return error_set(err, VX11_ESYNTAX, "%s: is not UTF-8 text", name);
    }
    if (is_blank(text, len)) {
        return root_read(&r, NULL, m);
    }
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = diag_silent;
    diag_cfg.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg parse_cfg = {.flags = FYPCF_DEFAULT_PARSE | FYPCF_JSON_NONE, .diag = diag};
    int rc = stream_read(&r, &parse_cfg, m, text, len);
    fy_diag_destroy(diag);
    return rc;
}
