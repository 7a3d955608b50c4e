/* What the hub, the disk and a person say to a pull: the first byte chooses who speaks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hermes/pull/choose.h"
#include "hermes/pull/hub.h"
#include "hermes/pull/journal.h"
#include "hermes/pull/source.h"

static void listing(const char *text, size_t len, struct arena *a)
{
    struct hub_listing out = {0};
    struct hub_choice choice;
    struct error err = {0};
    if (hub_listing_parse(text, len, a, &out, &err) != 0)
        return;
    for (size_t i = 0; i < out.count; i++)
        if (!pull_file_valid(out.entries[i].path))
            abort();
    if (hub_choose(out.entries, out.count, "", a, &choice, &err) == 0 && choice.count == 0)
        abort();
    (void)hub_choose(out.entries, out.count, "q4_k_m", a, &choice, &err);
}

static void journal(const uint8_t *data, size_t len)
{
    uint8_t key[JOURNAL_KEY];
    struct journal j = {.fd = -1};
    journal_key("x", NULL, 1000000, key);
    if (len > 200 && data[0] == 'k') { /* a sound head, so that the records are reached */
        uint8_t copy[4096];
        if (len > sizeof copy)
            len = sizeof copy;
        memcpy(copy, data, len);
        memcpy(copy + 24, key, sizeof key);
        size_t sound = journal_parse(&j, copy, len, 1000000, key);
        if (sound > len || (sound > 0 && j.done_count > j.chunks))
            abort();
    } else {
        (void)journal_parse(&j, data, len, 1000000, key);
    }
    j.fd = -1;
    journal_close(&j);
}

static void source(const char *text)
{
    struct pull_source s;
    struct error err = {0};
    char show[4200], name[256];
    if (pull_source_parse(text, "https://huggingface.co", &s, &err) == 0) {
        pull_source_show(&s, show, sizeof show);
        if (s.kind == PULL_HUB && (!pull_repository_valid(s.repository) || strstr(s.repository, "..")))
            abort();
        if (s.kind == PULL_HUB && s.which[0] && !pull_file_valid(s.which))
            abort();
    } else if (err.text[0] == '\0') {
        abort();
    }
    if (pull_file_name(text, name, sizeof name) && (strchr(name, '/') || name[0] == '.'))
        abort();
}

static void headers(const char *text)
{
    char out[300];
    bool weak;
    (void)hub_link_next(text, out, sizeof out);
    if (hub_etag_plain(text, out, sizeof out, &weak) && strchr(out, '"'))
        abort();
    unsigned part, parts;
    size_t prefix;
    if (split_name(text, &part, &parts, &prefix) && (part == 0 || part > parts))
        abort();
    (void)quant_of_name(text, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    struct arena *a = arena_create(64u << 20);
    char *text = a ? arena_strndup(a, (const char *)data + 1, len - 1) : NULL;
    if (text && data[0] % 4 == 0)
        listing(text, len - 1, a);
    else if (text && data[0] % 4 == 1)
        journal(data + 1, len - 1);
    else if (text && data[0] % 4 == 2)
        source(text);
    else if (text)
        headers(text);
    arena_destroy(a);
    return 0;
}
