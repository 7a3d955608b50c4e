/* What the configuration says of engines that are not VX11's own: what is refused, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "contract/config.h"

#define ENGINES "hermes:\n  engines:\n"

static void refused(const char *yaml, const char *why)
{
    struct config *cfg = NULL;
    struct error err = {0};
    if (config_load_text("c", yaml, strlen(yaml), NULL, &cfg, &err) == 0)
        fail_msg("taken: %s", yaml);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void what_is_refused(void **state)
{
    (void)state;
    refused(ENGINES "    - {name: a}\n", "hermes.engines[0].command or base_url is required");
    refused(ENGINES "    - {name: a, command: [x, \"{port}\"]}\n", "hermes.engines[0].models must name");
    refused(ENGINES "    - {name: a, base_url: \"http://x\"}\n    - {name: a, base_url: \"http://y\"}\n",
            "hermes.engines[1].name is \"a\"");
    refused(ENGINES "    - {name: a, command: [x], models: [m, m]}\n", "models[1] is \"m\"");
    refused(
        ENGINES
        "    - {name: a, command: [x], models: [m]}\n    - {name: b, base_url: \"http://y\", models: [m]}\n",
        "hermes.engines[1].models[0]");
    refused(ENGINES "    - {name: a, base_url: \"http://x\", env: [1]}\n", "env must be an object");
    refused(ENGINES "    - {name: a, base_url: \"http://x\", env: {A: 1}}\n", "env.A");
    refused(ENGINES "    - {name: a, base_url: \"http://x\", env: {\"A=B\": \"1\"}}\n", "without =");
    refused(ENGINES "    - {name: a, command: \"x --port {port}\", models: [m]}\n",
            "hermes.engines[0].command"); /* no list */
    refused(ENGINES "    - {name: a, base_url: \"ftp://x\"}\n", "base_url");
    refused(ENGINES "    - {name: a, base_url: \"http://x\", health: \"health\"}\n", "health");
    refused(ENGINES "    - {name: a, base_url: \"http://x\", stop_signal: KILL}\n", "stop_signal");
}

static void what_is_taken(void **state)
{
    static const char yaml[] = ENGINES "    - name: a\n"
                                       "      command: [llama-server, -m, \"{model}\", --port, \"{port}\"]\n"
                                       "      models: [m, org/n]\n"
                                       "      memory_bytes: 2 GiB\n"
                                       "      start_timeout_ms: 10m\n"
                                       "      env: {A: \"1\"}\n"
                                       "  preload: [m]\n"
                                       "  warmup: {every_ms: 1h, tokens: 4}\n";
    struct config *cfg = NULL;
    struct error err = {0};
    (void)state;
    if (config_load_text("c", yaml, strlen(yaml), NULL, &cfg, &err) != 0)
        fail_msg("%s", err.text);
    const struct config_hermes *h = cfg->values->hermes;
    assert_int_equal(h->engines[0].command_count, 5);
    assert_string_equal(h->engines[0].health, "/health");
    assert_int_equal(h->engines[0].memory_bytes, INT64_C(2) << 30);
    assert_int_equal(h->engines[0].start_timeout_ms, 600000);
    assert_int_equal(h->engines[0].stop_signal, CONFIG_EXTERNAL_ENGINE_STOP_SIGNAL_TERM);
    assert_string_equal(h->preload[0], "m");
    assert_true(h->warmup->startup);
    assert_int_equal(h->warmup->every_ms, 3600000);
    config_free(cfg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_refused), cmocka_unit_test(what_is_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
