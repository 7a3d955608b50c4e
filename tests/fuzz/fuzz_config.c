/* Fuzz: bytes as a configuration file, after a first line that may be an environment variable. What loads
 * must show as YAML that loads again without a difference. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "contract/config.h"

/* libfyaml 0.7.12 loses a few kB on some texts that it refuses; ours are still checked. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static void shown_again(const struct config *cfg)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct config *again = NULL;
    struct config_change *changes = NULL;
    size_t n = 0;
    struct arena *a = arena_create(0);
    if (config_show(cfg, true, &text) != 0 ||
        config_load_text("again", text.data, text.len, NULL, &again, &err) != 0 ||
        config_diff(cfg, again, a, &changes, &n) != 0 || n != 0) {
        abort();
    }
    config_free(again);
    arena_destroy(a);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *cfg = NULL;
    struct error err = {0};
    char variable[256] = "";
    const char *text = (const char *)data;
    const char *end = size > 5 && memcmp(data, "VX11_", 5) == 0 ? memchr(data, '\n', size) : NULL;
    if (end != NULL && (size_t)(end - text) < sizeof variable) {
        memcpy(variable, text, (size_t)(end - text));
        size -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    log_set_level(LOG_OFF);
    const char *const env[] = {variable, NULL};
    if (config_load_text("fuzz.yaml", text, size, env, &cfg, &err) == 0) {
        shown_again(cfg);
        config_free(cfg);
    } else if (err.text[0] == '\0' || !utf8_valid(err.text, strlen(err.text))) {
        abort();
    }
    return 0;
}
