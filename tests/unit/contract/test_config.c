/* Configuration: the file, the environment over it, what is refused and where, origins, differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "contract/config.h"
#include "contract/config_internal.h"

static struct error error;

static struct config *load(const char *yaml, const char *const *env)
{
    struct config *cfg = NULL;
    memset(&error, 0, sizeof error);
    int rc = config_load_text("config.yaml", yaml, yaml ? strlen(yaml) : 0, env, &cfg, &error);
    if (rc != 0) {
        fail_msg("%s\n%s", yaml, error.text);
    }
    return cfg;
}

static void check_origin(const struct config *cfg, const char *key, const char *want)
{
    char origin[256];
    assert_int_equal(config_origin_of(cfg, key, origin, sizeof origin), 0);
    assert_string_equal(origin, want);
}

static void nothing_means_all_defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {"",
                                        "\n\n",
                                        "# only a comment\n  # another",
                                        "{}",
                                        "---\n",
                                        "link:\nswitch:\n",
                                        "link: {}\n",
                                        "link:\n  port:\n  # host: x\n",
                                        "~"};
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        struct config *cfg = load(empty[i], NULL);
        assert_int_equal(cfg->values->link->port, 8000);
        assert_string_equal(cfg->values->link->host, "127.0.0.1");
        assert_int_equal(cfg->values->switch_->providers_count, 1);
        assert_string_equal(cfg->values->switch_->providers[0].name, "local");
        assert_int_equal(cfg->values->switch_->providers[0].connect_timeout_ms, 5000);
        assert_true(cfg->values->switch_->providers[0].enabled);
        check_origin(cfg, "link.port", "default");
        config_free(cfg);
    }
}

static void reads_the_file(void **state)
{
    (void)state;
    struct config *cfg =
        load("# mine\n"
             "link:\n"
             "  port: 9000\n"
             "  max_body_bytes: 2 MiB\n"
             "  request_timeout_ms: 5m\n"
             "  allowed_hosts: [box.lan, 'a b', 12]\n"
             "switch: {default_model: 1.0, chain: [cloud, local]}\n"
             "hermes:\n"
             "  model_dirs:\n"
             "    - /data/models\n"
             "log:\n"
             "  level: off\n"
             "  modules:\n"
             "    switch: debug\n",
             (const char *const[]){"VX11_SWITCH__PROVIDERS=[{\"name\":\"cloud\",\"kind\":\"openai\","
                                   "\"base_url\":\"http://h/v1\"},{\"name\":\"local\",\"kind\":\"local\"}]",
                                   NULL});
    const struct config_config *v = cfg->values;
    assert_int_equal(v->link->port, 9000);
    assert_int_equal(v->link->max_body_bytes, 2 << 20);
    assert_int_equal(v->link->request_timeout_ms, 300000);
    assert_int_equal(v->link->allowed_hosts_count, 3);
    assert_string_equal(v->link->allowed_hosts[2], "12");
    assert_string_equal(v->switch_->default_model, "1.0");
    assert_string_equal(v->hermes->model_dirs[0], "/data/models");
    assert_int_equal(v->log->level, CONFIG_LOG_LEVEL_OFF);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(v->log->modules, "switch")), "debug");
    check_origin(cfg, "link.port", "config.yaml:3");
    check_origin(cfg, "link.host", "default");
    check_origin(cfg, "switch.default_model", "config.yaml:7");
    check_origin(cfg, "hermes.model_dirs", "config.yaml:9");
    check_origin(cfg, "log.modules", "config.yaml:13");
    check_origin(cfg, "switch.providers[1].enabled", "VX11_SWITCH__PROVIDERS");
    char origin[64];
    assert_int_equal(config_origin_of(cfg, "link.nothing", origin, sizeof origin), VX11_ENOT_FOUND);
    config_free(cfg);
}

static void the_environment_goes_first(void **state)
{
    (void)state;
    const char *const env[] = {"VX11_LINK__PORT=9001",
                               "VX11_LINK__ALLOWED_HOSTS=[\"a\",\"b\"]",
                               "VX11_link__page_port=9002",
                               "VX11_STORE__WRITER_DELAY_MS=1s",
                               "VX11_LOG__MODULES={\"link\":\"trace\"}",
                               "VX11_HOME=/not__ours",
                               "HOME=/root__x",
                               "VX11_SWITCH__DEFAULT_MODEL=",
                               NULL};
    struct config *cfg = load("link:\n  port: 9000\n  host: 127.0.0.2\nswitch: {default_model: m}\n", env);
    assert_int_equal(cfg->values->link->port, 9001);
    assert_int_equal(cfg->values->link->page_port, 9002);
    assert_string_equal(cfg->values->link->host, "127.0.0.2");
    assert_int_equal(cfg->values->link->allowed_hosts_count, 2);
    assert_int_equal(cfg->values->store->writer_delay_ms, 1000);
    assert_string_equal(cfg->values->switch_->default_model, "");
    check_origin(cfg, "link.port", "VX11_LINK__PORT");
    check_origin(cfg, "link.host", "config.yaml:3");
    config_free(cfg);
}

static void refuses_and_says_where(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"link:\n\nswitch:\n  defualt_model: x\n",
         "config.yaml:4: unknown key switch.defualt_model; did you mean default_model?"},
        {"lnik:\n  port: 1\n", "config.yaml:1: unknown key lnik; did you mean link?"},
        {"switch:\n  providers:\n    - name: a\n      kind: local\n      base_ulr: x\n",
         "config.yaml:5: unknown key switch.providers[0].base_ulr; did you mean base_url?"},
        {"link: 5", "config.yaml:1: link must be an object, not a string"},
        {"link: [port]", "config.yaml:1: link must be an object, not an array"},
        {"- link", "config.yaml: the configuration must be an object, not an array"},
        {"link", "config.yaml: the configuration must be an object, not a string"},
        {"link:\n  port: abc", "config.yaml:2: link.port must be an integer, not a string"},
        {"link:\n  port: '80'", "config.yaml:2: link.port must be an integer, not a string"},
        {"link:\n  port: 80.5", "config.yaml:2: link.port must be a whole number"},
        {"link:\n  port: 0", "config.yaml:2: link.port must be at least 1"},
        {"link:\n  drain_ms: 2h", "config.yaml:2: link.drain_ms must be at most 600000"},
        {"link:\n  allowed_hosts: x", "config.yaml:2: link.allowed_hosts must be an array, not a string"},
        {"link:\n  allowed_hosts:\n  - a\n  - [b]",
         "config.yaml:4: link.allowed_hosts[1] must be a string, not an array"},
        {"log:\n  level: loud",
         "config.yaml:2: log.level must be one of: trace, debug, info, warn, error, off"},
        {"log:\n  modules:\n    link: loud", "config.yaml:3: log.modules.link must be one of"},
        {"switch:\n  providers:\n  - kind: local", "config.yaml:3: switch.providers[0].name is required"},
        {"switch:\n  providers:\n  - {name: a, kind: local}\n  - {name: a, kind: local}",
         "config.yaml:4: switch.providers[1].name is \"a\", as that of another provider"},
        {"switch:\n  providers:\n  - name: a\n    kind: openai\n",
         "config.yaml:3: switch.providers[0].base_url is required for a provider of kind"},
        {"switch:\n  providers:\n  - name: a\n    kind: openai\n    base_url: http://me:secret@h/v1\n",
         "config.yaml:5: switch.providers[0].base_url must match"},
        {"switch:\n  chain: [local, local]", "config.yaml:2: switch.chain[1] is \"local\" a second time"},
        {"switch:\n  aliases: [{name: a}, {name: a}]",
         "config.yaml:2: switch.aliases[1].name is \"a\", as that of another alias"},
        {"switch:\n  aliases: [{name: auto}]", "config.yaml:2: switch.aliases[0].name cannot be auto"},
        {"switch:\n  aliases: [{name: a, prefer: order}]",
         "config.yaml:2: switch.aliases[0].models are needed where their order is preferred"},
        {"switch:\n  chain: [cloud]",
         "config.yaml:2: switch.chain[0] is \"cloud\", which no provider is named"},
        {"switch:\n  port: 8000", "config.yaml:2: switch.port is 8000, as link.port is"},
        {"supervisor:\n  backoff_min_ms: 60s\n",
         "config.yaml:2: supervisor.backoff_min_ms must be at most supervisor.backoff_max_ms"},
        {"link: {port: 1, port: 2}", "duplicate key"},
        {"link:\n  port: 1\n'link':\n  port: 2\n", "config.yaml:3: "},
        {"a: &a [1]\nlink: *a\n", "config.yaml:2: aliases are not supported"},
        {"link: !!map {}", "tags (!) are not supported"},
        {"link:\n\tport: 1", "config.yaml:2: is not valid YAML"},
        {"link: {port: 1", "is not valid YAML"},
        {"link: {}\n---\nlink: {}\n", "config.yaml: holds more than one YAML document"},
        {"? [1]\n: 2\n", "config.yaml:1: a key must be a name"},
        {"link:\n  host: \"a\\0b\"\n", "config.yaml:2: a value is not UTF-8 text"},
        {"link: \xff\n", "config.yaml: is not UTF-8 text"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct config *cfg = NULL;
        memset(&error, 0, sizeof error);
        int rc = config_load_text("config.yaml", table[i][0], strlen(table[i][0]), NULL, &cfg, &error);
        assert_null(cfg);
        if (rc == 0 || rc != error.code || strstr(error.text, table[i][1]) == NULL) {
            fail_msg("%s\n  gave %d %s\n  not %s", table[i][0], rc, error.text, table[i][1]);
        }
    }
}

static void refuses_wrong_variables(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"VX11_LINK__PROT=1", "VX11_LINK__PROT: unknown key link.prot; did you mean port?"},
        {"VX11_NOPE__X=1", "VX11_NOPE__X: unknown key nope"},
        {"VX11_LINK__PORT=0", "VX11_LINK__PORT: link.port must be at least 1"},
        {"VX11_LINK__PORT=x", "VX11_LINK__PORT: link.port must be an integer, not a string"},
        {"VX11_LINK__PORT__X=1", "VX11_LINK__PORT__X: nothing can be set inside port; give it whole"},
        {"VX11_LINK__ALLOWED_HOSTS=a,b", "VX11_LINK__ALLOWED_HOSTS: link.allowed_hosts must be JSON"},
        {"VX11_SWITCH__CHAIN=[\"x\"]",
         "VX11_SWITCH__CHAIN: switch.chain[0] is \"x\", which no provider is named"},
        {"VX11_LINK__HOST=\xff", "is not UTF-8 text"},
        {"VX11___=1", "VX11___: unknown key"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *const env[] = {table[i][0], NULL};
        struct config *cfg = NULL;
        memset(&error, 0, sizeof error);
        int rc = config_load_text("config.yaml", "", 0, env, &cfg, &error);
        if (rc == 0 || strstr(error.text, table[i][1]) == NULL) {
            fail_msg("%s gave %d %s", table[i][0], rc, error.text);
        }
    }
}

static void deep_and_large_files_are_refused(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    struct config *cfg = NULL;
    buf_puts(&text, "log: {modules: ");
    for (int i = 0; i < 5000; i++) {
        buf_puts(&text, "[");
    }
    assert_true(config_load_text("c", text.data, text.len, NULL, &cfg, &error) < 0);
    buf_clear(&text);
    buf_puts(&text, "log: {modules: ");
    for (int i = 0; i < 50; i++) {
        buf_puts(&text, "[");
    }
    for (int i = 0; i < 50; i++) {
        buf_puts(&text, "]");
    }
    buf_puts(&text, "}\n");
    assert_true(config_load_text("c", text.data, text.len, NULL, &cfg, &error) < 0);
    buf_clear(&text);
    while (text.len <= 1 << 20) {
        buf_puts(&text, "# nothing but a comment that goes on and on\n");
    }
    assert_int_equal(config_load_text("c", text.data, text.len, NULL, &cfg, &error), VX11_ETOO_LARGE);
    buf_free(&text);
}

static void what_is_shown_loads_again(void **state)
{
    (void)state;
    struct config *cfg =
        load("link:\n  host: '::1'\n  allowed_hosts: ['yes', '1e3', 'a: b', '# no', \"tab\\tnew\\nline\", "
             "'null', ' ', '-x']\n"
             "switch:\n  default_model: 'on'\n  providers:\n    - {name: local, kind: local, models: [a]}\n"
             "    - {name: x.y-z_1, kind: openai, base_url: 'https://h:1/v1', key_env: K}\n"
             "log: {modules: {link: warn, a b: info}}\nstore: {path: 'C:\\x'}\n",
             NULL);
    for (int with_origin = 0; with_origin < 2; with_origin++) {
        struct buf text = BUF_INIT;
        assert_int_equal(config_show(cfg, with_origin != 0, &text), 0);
        struct config *again = load(text.data, NULL);
        struct arena *a = arena_create(0);
        struct config_change *changes;
        size_t n;
        assert_int_equal(config_diff(cfg, again, a, &changes, &n), 0);
        if (n != 0) {
            fail_msg("%s: %s became %s\n%s", changes[0].key, changes[0].before, changes[0].after, text.data);
        }
        arena_destroy(a);
        config_free(again);
        buf_free(&text);
    }
    config_free(cfg);
}

static void tells_what_changed(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct config_change *c;
    size_t n;
    struct config *one =
        load("link: {port: 8000}\nswitch: {providers: [{name: local, kind: local}]}\n", NULL);
    struct config *two = load("link: {port: 8001, drain_ms: 5}\nswitch: {providers: [{name: local, kind: "
                              "local, enabled: false}]}\n",
                              NULL);
    struct config *three = load("switch: {providers: []}\nlog: {level: warn}\n", NULL);
    assert_int_equal(config_diff(one, one, a, &c, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(config_diff(one, two, a, &c, &n), 0);
    assert_int_equal(n, 3);
    assert_string_equal(c[0].key, "link.port");
    assert_string_equal(c[0].before, "8000");
    assert_string_equal(c[0].after, "8001");
    assert_true(c[0].restart);
    assert_string_equal(c[1].key, "link.drain_ms");
    assert_false(c[1].restart);
    assert_string_equal(c[2].key, "switch.providers[0].enabled");
    assert_int_equal(config_diff(one, three, a, &c, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(c[0].key, "switch.providers");
    assert_string_equal(c[0].after, "[]");
    assert_string_equal(c[1].key, "log.level");
    config_free(one);
    config_free(two);
    config_free(three);
    arena_destroy(a);
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    struct vault {
        const char *name, *key;
    };
    static const struct contract_field fields[] = {
        {.name = "name",
         .doc = "",
         .unit = "",
         .type = CONTRACT_STRING,
         .offset = offsetof(struct vault, name),
         .has_offset = SIZE_MAX},
        {.name = "key",
         .doc = "",
         .unit = "",
         .type = CONTRACT_STRING,
         .flags = CONTRACT_SECRET,
         .offset = offsetof(struct vault, key),
         .has_offset = SIZE_MAX},
    };
    static const struct contract_message message = {.name = "Vault",
                                                    .file = "test",
                                                    .doc = "",
                                                    .size = sizeof(struct vault),
                                                    .fields = fields,
                                                    .field_count = 2};
    struct config *cfg = load("", NULL);
    struct buf out = BUF_INIT;
    yyjson_val *v;
    static const char json[] = "{\"name\":\"n\",\"key\":\"hunter2\"}";
    assert_int_equal(contract_json_parse(cfg->arena, json, sizeof json - 1, NULL, &v, NULL), 0);
    assert_int_equal(config_yaml_write(cfg, &message, v, false, &out), 0);
    assert_string_equal(out.data, "name: \"n\"\nkey: \"[redacted]\"\n");
    buf_free(&out);
    config_free(cfg);
}

static void documents_itself(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    assert_int_equal(config_default_yaml(&text), 0);
    struct config *from_text = load(text.data, NULL), *defaults = load("", NULL);
    struct arena *a = arena_create(0);
    struct config_change *changes;
    size_t n;
    assert_int_equal(config_diff(from_text, defaults, a, &changes, &n), 0);
    assert_int_equal(n, 0);
    assert_non_null(strstr(text.data, "# port: 8000"));
    /* Every key that it shows is a real one with a value that loads: take the comment signs off. */
    struct buf all = BUF_INIT;
    for (const char *line = text.data; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        bool key = len > 6 && memcmp(line, "  # ", 4) == 0 && line[4] >= 'a' && line[4] <= 'z' &&
                   memchr(line, ':', len) != NULL && strcspn(line + 4, " :") == strcspn(line + 4, ":");
        if (line[0] != '#' && line[0] != ' ') {
            buf_append(&all, line, len + 1);
        } else if (key) {
            buf_puts(&all, "  ");
            buf_append(&all, line + 4, len - 4 + 1);
        }
        line += len + (line[len] == '\n');
    }
    struct config *spelled_out = load(all.data, NULL);
    assert_int_equal(config_diff(spelled_out, defaults, a, &changes, &n), 0);
    assert_int_equal(n, 0);
    char origin[64];
    assert_int_equal(config_origin_of(spelled_out, "supervisor.backoff_max_ms", origin, sizeof origin), 0);
    assert_true(str_starts(origin, "config.yaml:"));
    buf_clear(&text);
    assert_int_equal(config_markdown(&text), 0);
    assert_non_null(strstr(text.data, "## `switch`"));
    assert_non_null(strstr(text.data, "### `switch.providers[]`"));
    buf_free(&all);
    buf_free(&text);
    arena_destroy(a);
    config_free(spelled_out);
    config_free(from_text);
    config_free(defaults);
}

static void loads_from_a_path(void **state)
{
    (void)state;
    char path[] = "/tmp/vx11-config-XXXXXX", missing[64];
    struct config *cfg = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(missing, sizeof missing, "%s.no", path);
    assert_int_equal(write(fd, "link: {port: 9100}\n", 19), 19);
    close(fd);
    assert_int_equal(config_load(path, &cfg, &error), 0);
    assert_int_equal(cfg->values->link->port, 9100);
    assert_string_equal(cfg->path, path);
    config_free(cfg);
    assert_int_equal(config_load(missing, &cfg, &error), 0);
    assert_int_equal(cfg->values->link->port, 8000);
    assert_null(cfg->path);
    config_free(cfg);
    assert_int_equal(setenv("VX11_LINK__PORT", "9200", 1), 0);
    assert_int_equal(config_load(path, &cfg, &error), 0);
    assert_int_equal(cfg->values->link->port, 9200);
    config_free(cfg);
    assert_int_equal(unsetenv("VX11_LINK__PORT"), 0);
    assert_true(config_load("/tmp", &cfg, &error) < 0); /* a folder */
    assert_null(cfg);
    unlink(path);
    char where[256];
    assert_int_equal(setenv("VX11_CONFIG", "/x/y.yaml", 1), 0);
    assert_int_equal(config_path(where, sizeof where, &error), 0);
    assert_string_equal(where, "/x/y.yaml");
    assert_int_equal(unsetenv("VX11_CONFIG"), 0);
    assert_int_equal(setenv("VX11_HOME", "/tmp/h", 1), 0);
    assert_int_equal(config_path(where, sizeof where, &error), 0);
    assert_string_equal(where, "/tmp/h/config.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_means_all_defaults), cmocka_unit_test(reads_the_file),
        cmocka_unit_test(the_environment_goes_first), cmocka_unit_test(refuses_and_says_where),
        cmocka_unit_test(refuses_wrong_variables),    cmocka_unit_test(deep_and_large_files_are_refused),
        cmocka_unit_test(what_is_shown_loads_again),  cmocka_unit_test(tells_what_changed),
        cmocka_unit_test(secrets_are_not_shown),      cmocka_unit_test(documents_itself),
        cmocka_unit_test(loads_from_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
