/* Presets: see presets.h. The addresses are the servers' documented ones. */
#include "switch/presets.h"

#include <string.h>

#include "base/error.h"

static const struct preset presets[] = {
    [CONFIG_PROVIDER_PRESET_NONE] = {0},
    [CONFIG_PROVIDER_PRESET_OPENAI] = {.base_url = "https://api.openai.com/v1",
                                       .key_env = "OPENAI_API_KEY",
                                       .new_max_tokens = true,
                                       .no_reasoning_history = true,
                                       .strict = true},
    [CONFIG_PROVIDER_PRESET_DEEPSEEK] = {.base_url = "https://api.deepseek.com/v1",
                                         .key_env = "DEEPSEEK_API_KEY",
                                         .old_max_tokens = true,
                                         .no_json_schema = true,
                                         .reasoning = "reasoning_content"},
    [CONFIG_PROVIDER_PRESET_OPENROUTER] = {.base_url = "https://openrouter.ai/api/v1",
                                           .key_env = "OPENROUTER_API_KEY",
                                           .reasoning = "reasoning"},
    [CONFIG_PROVIDER_PRESET_GROQ] = {.base_url = "https://api.groq.com/openai/v1",
                                     .key_env = "GROQ_API_KEY",
                                     .new_max_tokens = true,
                                     .no_reasoning_history = true,
                                     .strict = true,
                                     .reasoning = "reasoning"},
    [CONFIG_PROVIDER_PRESET_MISTRAL] = {.base_url = "https://api.mistral.ai/v1",
                                        .key_env = "MISTRAL_API_KEY",
                                        .old_max_tokens = true,
                                        .no_stream_usage = true,
                                        .no_reasoning_history = true,
                                        .strict = true},
    [CONFIG_PROVIDER_PRESET_VLLM] = {.base_url = "http://127.0.0.1:8000/v1",
                                     .reasoning = "reasoning_content"},
    [CONFIG_PROVIDER_PRESET_TGI] = {.base_url = "http://127.0.0.1:3000/v1", .old_max_tokens = true},
    [CONFIG_PROVIDER_PRESET_LLAMA_SERVER] = {.base_url = "http://127.0.0.1:8080/v1",
                                             .reasoning = "reasoning_content"},
    [CONFIG_PROVIDER_PRESET_OLLAMA] = {.base_url = "http://127.0.0.1:11434/v1",
                                       .old_max_tokens = true,
                                       .reasoning = "reasoning"},
    [CONFIG_PROVIDER_PRESET_LM_STUDIO] = {.base_url = "http://127.0.0.1:1234/v1",
                                          .old_max_tokens = true,
                                          .no_json_object = true,
                                          .reasoning = "reasoning_content"},
    [CONFIG_PROVIDER_PRESET_ANTHROPIC] = {.base_url = "https://api.anthropic.com/v1",
                                          .key_env = "ANTHROPIC_API_KEY"},
};

const struct preset *preset_get(enum config_provider_preset preset)
{
    return &presets[(size_t)preset < sizeof presets / sizeof presets[0] ? preset
                                                                        : CONFIG_PROVIDER_PRESET_NONE];
}

static const struct preset *preset_of(const struct config_provider *p)
{
    bool anthropic = p->kind == CONFIG_PROVIDER_KIND_ANTHROPIC && p->preset == CONFIG_PROVIDER_PRESET_NONE &&
                     !(p->base_url && p->base_url[0]);
    return &presets[anthropic ? CONFIG_PROVIDER_PRESET_ANTHROPIC : (enum config_provider_preset)p->preset];
}

const char *preset_base_url(const struct config_provider *p)
{
    return p->base_url && p->base_url[0] ? p->base_url : preset_of(p)->base_url;
}

const char *preset_key_env(const struct config_provider *p)
{
    if (p->key_env && p->key_env[0])
        return p->key_env;
    return p->key_file && p->key_file[0] ? NULL : preset_of(p)->key_env;
}

/* ---- requests ---- */

static yyjson_mut_val *key(yyjson_mut_doc *doc, const char *name)
{
    return yyjson_mut_str(doc, name);
}

static void field_rename(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *from, const char *to)
{
    yyjson_mut_val *value = yyjson_mut_obj_remove_key(root, from);
    if (value && !yyjson_mut_obj_get(root, to))
        yyjson_mut_obj_add(root, key(doc, to), value);
}

/* Only VX11's own engines know these. */
static void own_fields_remove(yyjson_mut_val *root)
{
    static const char *const own[] = {"chat_template_kwargs", "continue_final_message", "context_overflow",
                                      "keep_alive",           "repeat_last_n",          "ignore_eos"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        yyjson_mut_obj_remove_key(root, own[i]);
}

/* thinking_blocks are Anthropic's, signed; nobody else reads them. */
static void history_clean(const struct preset *p, yyjson_mut_val *root)
{
    size_t i, n;
    yyjson_mut_val *message;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "messages"), i, n, message)
    {
        if (!yyjson_mut_is_obj(message))
            continue;
        yyjson_mut_obj_remove_key(message, "thinking_blocks");
        if (p->no_reasoning_history)
            yyjson_mut_obj_remove_key(message, "reasoning_content");
    }
}

static int format_fit(const struct preset *p, yyjson_mut_doc *doc, yyjson_mut_val *root, struct error *err)
{
    yyjson_mut_val *format = yyjson_mut_obj_get(root, "response_format");
    const char *type = yyjson_mut_get_str(yyjson_mut_obj_get(format, "type"));
    if (!type)
        return 0;
    if (p->no_json_schema && strcmp(type, "json_schema") == 0)
        return error_set(err, VX11_EUNSUPPORTED, "this provider knows no response_format json_schema");
    if (!p->no_json_object || strcmp(type, "json_object") != 0)
        return 0;
    yyjson_mut_val *schema = yyjson_mut_obj(doc), *named = yyjson_mut_obj(doc), *any = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, any, "type", "object");
    yyjson_mut_obj_add_str(doc, named, "name", "object");
    yyjson_mut_obj_add_val(doc, named, "schema", any);
    yyjson_mut_obj_add_str(doc, schema, "type", "json_schema");
    if (!yyjson_mut_obj_add_val(doc, schema, "json_schema", named) ||
        !yyjson_mut_obj_put(root, key(doc, "response_format"), schema))
        return error_set(err, VX11_ENOMEM, "out of memory");
    return 0;
}

int preset_request(const struct preset *p, yyjson_mut_doc *doc, yyjson_mut_val *root, struct error *err)
{
    if (p->new_max_tokens)
        field_rename(doc, root, "max_tokens", "max_completion_tokens");
    if (p->old_max_tokens)
        field_rename(doc, root, "max_completion_tokens", "max_tokens");
    if (p->no_stream_usage)
        yyjson_mut_obj_remove_key(root, "stream_options");
    if (p->strict)
        own_fields_remove(root);
    history_clean(p, root);
    return format_fit(p, doc, root, err);
}

bool preset_changes(const struct preset *p)
{
    return p->new_max_tokens || p->old_max_tokens || p->no_stream_usage || p->no_json_schema ||
           p->no_json_object || p->no_reasoning_history || p->strict;
}
