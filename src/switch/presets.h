/* Presets: what is known about the servers that many use, so that a provider of the configuration needs no
 * more than `preset: NAME`. What a server takes changes over the years: each column below says what a request
 * must not hold there, and anything not said goes on as it came. */
#ifndef VX11_SWITCH_PRESETS_H
#define VX11_SWITCH_PRESETS_H

#include <stdbool.h>
#include <yyjson.h>

#include "api/config.h"

struct preset {
    const char *base_url;      /* where it is unless the configuration says; NULL: no default */
    const char *key_env;       /* variable of its key; NULL: needs none */
    bool new_max_tokens;       /* takes max_completion_tokens in place of max_tokens */
    bool old_max_tokens;       /* knows max_tokens only */
    bool no_stream_usage;      /* refuses stream_options; sends usage unasked */
    bool no_json_schema;       /* knows no response_format json_schema */
    bool no_json_object;       /* knows no response_format json_object: any object is asked for by schema */
    bool no_reasoning_history; /* refuses reasoning_content in messages */
    bool strict;               /* refuses fields that are not OpenAI's */
    const char *reasoning; /* field that holds thoughts; NULL: has none, or only in parts of the content */
};

/* Never NULL; CONFIG_PROVIDER_PRESET_NONE has neither address nor quirks. */
const struct preset *preset_get(enum config_provider_preset preset);
/* What the configuration means: its own value, else the preset's, else (of kind anthropic) Anthropic's. NULL:
 * none. */
const char *preset_base_url(const struct config_provider *p);
const char *preset_key_env(const struct config_provider *p);

/* Rewrites a request of OpenAI's shape in place for that server, kind openai. 0; VX11_EUNSUPPORTED with a
 * sentence when it asks for what the server cannot do: another candidate is to be tried. */
int preset_request(const struct preset *p, yyjson_mut_doc *doc, yyjson_mut_val *root, struct error *err);
/* Whether preset_request would change anything, so that a body may go on as it came. */
bool preset_changes(const struct preset *p);

#endif
