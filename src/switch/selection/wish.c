/* Wish: reading one. What is said explicitly goes before what the content shows, and that before the words.
 */
#include "switch/selection/wish.h"

#include <string.h>
#include <strings.h>

#include "api/config.h"
#include "base/str.h"
#include "net/auth.h"
#include "net/server.h"
#include "switch/selection/modes.h"
#include "switch/tokens.h"

static yyjson_val *metadata_of(const struct wish_source *from, const char *key)
{
    yyjson_val *v = yyjson_obj_get(from->metadata, key);
    return v ? v : yyjson_obj_get(yyjson_obj_get(from->root, "metadata"), key);
}

static const char *metadata_text(const struct wish_source *from, const char *key)
{
    return yyjson_get_str(metadata_of(from, key));
}

/* ---- content ---- */

struct content {
    const char *text; /* the one that is classified: of the user's last message */
    size_t len;
    bool images, sound;
};

static void part_read(struct content *c, yyjson_val *part, bool classify)
{
    const char *type = yyjson_get_str(yyjson_obj_get(part, "type"));
    yyjson_val *text = yyjson_is_str(part) ? part : yyjson_obj_get(part, "text");
    if (yyjson_is_str(text)) {
        if (classify && !c->text) {
            c->text = yyjson_get_str(text);
            c->len = yyjson_get_len(text);
        }
    } else if (type && (strcmp(type, "image_url") == 0 || strcmp(type, "image") == 0 ||
                        strcmp(type, "input_image") == 0)) {
        c->images = true;
    } else if (type && strcmp(type, "input_audio") == 0) {
        c->sound = true;
    }
}

static void value_read(struct content *c, yyjson_val *v, bool classify)
{
    size_t i, n;
    yyjson_val *item;
    if (!yyjson_is_arr(v)) {
        part_read(c, v, classify);
        return;
    }
    yyjson_arr_foreach(v, i, n, item)
    {
        part_read(c, item, classify);
    }
}

static bool by_user(yyjson_val *message)
{
    const char *role = yyjson_get_str(yyjson_obj_get(message, "role"));
    return role && strcmp(role, "user") == 0;
}

static void content_read(struct content *c, yyjson_val *root)
{
    yyjson_val *messages = yyjson_obj_get(root, "messages"), *message, *asked = NULL;
    yyjson_val *prompt = yyjson_obj_get(root, "prompt");
    size_t i, n;
    memset(c, 0, sizeof *c);
    yyjson_arr_foreach(messages, i, n, message)
    {
        if (by_user(message))
            asked = message;
    }
    yyjson_arr_foreach(messages, i, n, message)
    {
        value_read(c, yyjson_obj_get(message, "content"), message == asked);
    }
    value_read(c, prompt ? prompt : yyjson_obj_get(root, "input"), true);
}

/* ---- task ---- */

static void task_read(struct wish *w, const struct wish_source *from, const struct content *c)
{
    const char *said[] = {from->task_field, metadata_text(from, "task_type"), from->task_header};
    struct task_guess guess;
    w->task_confidence = 1;
    w->task_from = SWITCH_TASK_SOURCE_EXPLICIT;
    for (size_t i = 0; i < COUNT_OF(said); i++)
        if (task_type_parse(said[i], &w->task))
            return;
    w->task_from = SWITCH_TASK_SOURCE_CONTENT;
    if (c->images || c->sound) {
        w->task = c->images ? TASK_TYPE_VISION : TASK_TYPE_AUDIO;
        return;
    }
    task_guess(c->text ? c->text : "", c->text ? c->len : 0, &guess);
    w->task = guess.type;
    w->task_confidence = guess.confidence;
    w->task_from = guess.matched ? SWITCH_TASK_SOURCE_WORDS : SWITCH_TASK_SOURCE_NONE;
    memcpy(w->task_words, guess.words, sizeof w->task_words);
}

/* ---- privacy, mode ---- */

static int privacy_parse(const char *text, bool *local_only, struct error *err)
{
    static const char *const stays[] = {"local_only", "local-only", "local"}, *const leaves[] = {
                                                                                  "any", "none", "remote"};
    for (size_t i = 0; i < COUNT_OF(stays); i++) {
        bool stay = strcasecmp(text, stays[i]) == 0;
        if (!stay && strcasecmp(text, leaves[i]) != 0)
            continue;
        *local_only = stay;
        return 0;
    }
    return error_set(err, VX11_EINVALID, "privacy %.60s is neither local_only nor any", text);
}

/* The strictest of all that speak counts, and a token's word cannot be taken back by its request. */
static int privacy_read(struct wish *w, const struct wish_source *from, const struct config_privacy *config,
                        struct error *err)
{
    const char *said[] = {metadata_text(from, "privacy"), from->privacy_header};
    bool asked = false, by_token = w->local_only;
    w->local_only = config->default_ == CONFIG_PRIVACY_DEFAULT_LOCAL_ONLY;
    w->privacy_from = SWITCH_EXPLANATION_PRIVACY_FROM_DEFAULT;
    if (metadata_of(from, "privacy") && !said[0])
        return error_set(err, VX11_EINVALID, "metadata.privacy must be local_only or any");
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        bool local = false;
        if (!said[i])
            continue;
        int rc = privacy_parse(said[i], &local, err);
        if (rc != 0)
            return rc;
        w->local_only = asked ? w->local_only || local : local;
        w->privacy_from = SWITCH_EXPLANATION_PRIVACY_FROM_REQUEST;
        asked = true;
    }
    for (size_t i = 0; from->token_name && i < config->local_only_tokens_count; i++)
        by_token |= strcmp(config->local_only_tokens[i], from->token_name) == 0;
    if (by_token) {
        w->local_only = true;
        w->privacy_from = SWITCH_EXPLANATION_PRIVACY_FROM_TOKEN;
    }
    return 0;
}

static bool wants_schema(yyjson_val *format)
{
    const char *type = yyjson_get_str(yyjson_obj_get(format, "type"));
    return type && strcmp(type, "json_schema") == 0;
}

static int64_t answer_tokens(const struct wish *w, yyjson_val *root)
{
    yyjson_val *most = yyjson_obj_get(root, "max_completion_tokens");
    if (!most)
        most = yyjson_obj_get(root, "max_tokens");
    int64_t n = yyjson_is_int(most) ? yyjson_get_sint(most) : 0;
    if (w->kind == DISPATCH_EMBEDDING)
        return 0;
    return n > 0 && n < WISH_ANSWER_TOKENS ? n : WISH_ANSWER_TOKENS;
}

static const char *mode_of(const struct wish_source *from)
{
    const char *said[] = {metadata_text(from, "mode"), from->mode_header};
    enum switch_mode mode;
    for (size_t i = 0; i < COUNT_OF(said); i++)
        if (mode_parse(said[i], &mode)) /* older callers have other words there: "cli", "mix" */
            return switch_mode_names[mode];
    return NULL;
}

int wish_read(struct wish *w, const struct wish_source *from, const struct config_switch *config,
              struct error *err)
{
    struct content c;
    const char *mode = mode_of(from);
    content_read(&c, from->root);
    if (!c.text && from->text) {
        c.text = from->text;
        c.len = strlen(from->text);
        w->prompt_tokens += tokens_estimate_text(c.text, c.len);
    }
    task_read(w, from, &c);
    w->tools = yyjson_arr_size(yyjson_obj_get(from->root, "tools")) > 0;
    w->vision = c.images;
    w->json_schema = wants_schema(yyjson_obj_get(from->root, "response_format"));
    if (w->prompt_tokens <= 0)
        w->prompt_tokens = tokens_estimate_request(from->root);
    w->answer_tokens = answer_tokens(w, from->root);
    w->mode = mode ? mode : w->mode;
    w->read = true;
    return privacy_read(w, from, config->privacy, err);
}

int wish_of_request(struct wish *w, struct request *r, yyjson_val *root, yyjson_val *metadata,
                    const struct config_switch *config, struct error *err)
{
    const struct principal *p = request_principal(r);
    const struct wish_source from = {
        .root = root,
        .metadata = metadata,
        .task_header = request_header(r, "X-VX11-Task-Type"),
        .privacy_header = request_header(r, "X-VX11-Privacy"),
        .mode_header = request_header(r, "X-VX11-Mode"),
        .token_name = p ? p->name : NULL,
    };
    return wish_read(w, &from, config, err);
}
