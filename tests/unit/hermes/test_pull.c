/* Pulls against a hub that speaks the protocol and fails in every way (tests/hub). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "fixture.h"
#include "gguf_writer.h"
#include "hermes/pull/pulls.h"
#include "hermes/scan.h"
#include "hub.h"
#include "net/client.h"

#define REPO  "acme/Tiny-GGUF"
#define FILE1 "tiny.Q4_K_M.gguf"
#define SIZE  ((size_t)1500000)

struct world {
    struct fixture *f;
    struct hub_server *hub;
    struct client *client;
    struct pulls *pulls;
    struct config *config;
    struct buf model;
    int events, models;
    bool closed;
};

static struct world w;

static void on_event(void *ctx, const struct link_model_pull *event)
{
    (void)ctx;
    assert_true(ulid_valid(event->id));
    w.events++;
}

static void on_model(void *ctx, const char *name, bool new_file)
{
    (void)ctx, (void)name, (void)new_file;
    w.models++;
}

static void on_closed(void *ctx)
{
    (void)ctx;
    w.closed = true;
}

/* A sound header and noise behind it. */
static void model_make(struct buf *b, const char *salt, size_t size)
{
    uint32_t x = 12345;
    gw_model(b, salt);
    while (b->len < size) {
        x = x * 1664525u + 1013904223u;
        buf_putc(b, (char)(x >> 24));
    }
}

static int connections = 3;
static long long margin;

static void configure(const char *more)
{
    struct buf yaml = BUF_INIT;
    struct error err = {0};
    buf_printf(
        &yaml,
        "hermes:\n  hub: {endpoint: \"%s\", token_env: \"\"}\n  pull: {chunk_bytes: 65536, retry_ms: 20, "
        "idle_timeout_ms: 400, margin_bytes: %lld, connections: %d%s}\n",
        hub_server_url(w.hub), margin, connections, more);
    config_free(w.config);
    if (config_load_text("test.yaml", yaml.data, yaml.len, NULL, &w.config, &err) != 0)
        fail_msg("%s", err.text);
    buf_free(&yaml);
}

static void pulls_open(void)
{
    struct error err = {0};
    const struct pulls_options o = {
        .loop = &w.f->loop,
        .store = w.f->store,
        .client = w.client,
        .home = w.f->home,
        .config = w.config->values->hermes,
        .on_event = on_event,
        .on_model = on_model,
    };
    if (pulls_create(&o, &w.pulls, &err) != 0)
        fail_msg("%s", err.text);
}

static void pulls_shut(void)
{
    w.closed = false;
    pulls_close(w.pulls, on_closed, NULL);
    fixture_run(w.f, &w.closed, 5000);
    w.pulls = NULL;
}

static int open_world(void **state)
{
    struct error err = {0};
    memset(&w, 0, sizeof w);
    if (fixture_open(state) != 0)
        return -1;
    w.f = *state;
    w.hub = hub_server_start();
    model_make(&w.model, "one", SIZE);
    hub_server_put(w.hub, REPO, "README.md", "hello", 5, false);
    hub_server_put(w.hub, REPO, "tiny.Q8_0.gguf", w.model.data, w.model.len - 1, true);
    hub_server_put(w.hub, REPO, FILE1, w.model.data, w.model.len, true);
    configure("");
    if (client_create(&w.f->loop, &w.client, &err) != 0)
        return -1;
    pulls_open();
    return 0;
}

static int close_world(void **state)
{
    if (w.pulls)
        pulls_shut();
    w.closed = false;
    client_close(w.client, on_closed, NULL);
    fixture_run(w.f, &w.closed, 5000);
    hub_server_stop(w.hub);
    config_free(w.config);
    buf_free(&w.model);
    return fixture_close(state);
}

static void on_refused(struct client_call *call, void *ctx, int result, const struct error *err)
{
    (void)ctx, (void)err;
    assert_int_equal(result, VX11_EPERMISSION);
    assert_int_equal(client_call_status(call), 0);
    w.closed = true;
}

static void ask(const char *source, char id[27])
{
    const struct pull_wish wish = {.source = source, .asked_by = "test"};
    struct error err = {0};
    const char *code;
    if (pulls_ask(w.pulls, &wish, id, &code, &err) != 0)
        fail_msg("%s: %s", code, err.text);
}

static struct hermes_pull *look(const char *id)
{
    struct hermes_pull *p = arena_alloc(w.f->arena, sizeof *p);
    struct error err = {0};
    if (pulls_get(w.pulls, id, w.f->arena, p, &err) != 0)
        fail_msg("%s", err.text);
    return p;
}

static bool over(const struct hermes_pull *p)
{
    return p->state != HERMES_PULL_STATE_QUEUED && p->state != HERMES_PULL_STATE_RUNNING;
}

static struct hermes_pull *wait_end(const char *id)
{
    int64_t until = clock_mono_ms() + 20000;
    while (!over(look(id)) && clock_mono_ms() < until)
        fixture_run_ms(w.f, 10);
    return look(id);
}

static bool has_note(const struct hermes_pull *p, const char *text)
{
    for (size_t i = 0; i < p->notes_count; i++)
        if (strstr(p->notes[i], text))
            return true;
    return false;
}

static void check_file(const char *path, const struct buf *want)
{
    struct buf got = BUF_INIT;
    struct error err = {0};
    if (fs_read_file(path, 1 << 26, &got, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(got.len, want->len);
    assert_memory_equal(got.data, want->data, want->len);
    buf_free(&got);
}

static struct hermes_pull *pull_fine(const char *source)
{
    char id[27];
    ask(source, id);
    struct hermes_pull *p = wait_end(id);
    if (p->state != HERMES_PULL_STATE_DONE)
        fail_msg("%s: %s: %s", hermes_pull_state_names[p->state], p->code ? p->code : "",
                 p->reason ? p->reason : "");
    return p;
}

static struct hermes_pull *pull_fails(const char *source, const char *code)
{
    char id[27];
    ask(source, id);
    struct hermes_pull *p = wait_end(id);
    if (p->state != HERMES_PULL_STATE_FAILED || !str_eq(p->code, code))
        fail_msg("%s: %s: %s", hermes_pull_state_names[p->state], p->code ? p->code : "",
                 p->reason ? p->reason : "");
    return p;
}

static const char *place(const char *file)
{
    return arena_printf(w.f->arena, "%s/models/%s/%s", w.f->home, REPO, file);
}

static void knobs(struct hub_knobs k)
{
    hub_server_knobs(w.hub, &k);
}

static void check_registered(const char *name)
{
    struct registry_model row;
    struct error err = {0};
    if (registry_get(w.f->store, name, w.f->arena, &row, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(row.api.source, HERMES_MODEL_SOURCE_PULLED);
    assert_int_equal(row.api.status, HERMES_MODEL_STATUS_AVAILABLE);
    assert_string_equal(row.api.sha256, hub_server_sha256(w.hub, REPO, FILE1));
}

/* ---- the plain way ---- */

static void test_pull(void **state)
{
    struct hub_seen seen;
    (void)state;
    struct hermes_pull *p = pull_fine("hf:" REPO);
    hub_server_seen(w.hub, &seen);
    check_file(place(FILE1), &w.model);
    assert_false(fs_exists(place(FILE1 ".part")));
    assert_false(fs_exists(place(FILE1 ".journal")));
    check_registered("tiny.Q4_K_M");
    assert_int_equal(p->bytes, w.model.len);
    assert_int_equal(p->total, w.model.len);
    assert_string_equal(p->model, "tiny.Q4_K_M");
    assert_true(seen.ranged >= 3);
    assert_int_equal(seen.bytes, w.model.len);
    assert_true(seen.most >= 2);
    assert_true(w.events >= 2);
    assert_int_equal(w.models, 1);
    /* Again: nothing is fetched. */
    pull_fine("hf:" REPO);
    hub_server_seen(w.hub, &seen);
    assert_int_equal(seen.bytes, w.model.len);
}

static void test_pages_and_tags(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.page = 1});
    struct hermes_pull *p = pull_fine("hf:" REPO ":q8_0");
    assert_string_equal(p->model, "tiny.Q8_0");
    char id[27];
    ask("hf:" REPO ":nothing.gguf", id);
    p = wait_end(id);
    assert_string_equal(p->code, "file_not_found");
    assert_non_null(strstr(p->reason, "tiny."));
    pull_fails("hf:acme/Other", "repository_not_found");
    pull_fails("hf:" REPO "@nowhere", "revision_not_found");
}

static void test_url_and_file(void **state)
{
    char id[27];
    (void)state;
    const char *url = arena_printf(w.f->arena, "%s/plain/" FILE1, hub_server_url(w.hub));
    /* The hub's own address reads as a page of the hub: another spelling of the host is a plain server. */
    url = arena_printf(w.f->arena, "http://localhost:%d/plain/" FILE1 "?secret=1", hub_server_port(w.hub));
    ask(url, id);
    struct hermes_pull *p = wait_end(id);
    if (p->state != HERMES_PULL_STATE_DONE)
        fail_msg("%s", p->reason);
    assert_null(strstr(p->source, "secret"));
    check_file(arena_printf(w.f->arena, "%s/models/pulled/" FILE1, w.f->home), &w.model);
    const char *mine = fixture_file(w.f, "elsewhere/mine.gguf", w.model.data, w.model.len);
    p = pull_fine(arena_printf(w.f->arena, "file://%s", mine));
    check_file(arena_printf(w.f->arena, "%s/models/pulled/mine.gguf", w.f->home), &w.model);
    assert_true(fs_exists(mine));
}

/* ---- faults ---- */

static void test_drops(void **state)
{
    struct hub_seen seen;
    (void)state;
    knobs((struct hub_knobs){.drop_times = 6, .drop_after = 30000});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    check_file(place(FILE1), &w.model);
    hub_server_seen(w.hub, &seen);
    assert_true(p->retries >= 6);
    assert_true(seen.bytes <= (int64_t)w.model.len + 6 * 30000); /* what came is not fetched again */
}

static void test_wrong_lengths(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.short_times = 3, .long_times = 3});
    pull_fine("hf:" REPO);
    check_file(place(FILE1), &w.model);
}

static void test_statuses(void **state)
{
    static const int statuses[] = {416, 429, 500, 502, 503};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        char file[64];
        struct buf model = BUF_INIT;
        (void)snprintf(file, sizeof file, "status-%d.gguf", statuses[i]);
        model_make(&model, file, 200000);
        hub_server_put(w.hub, REPO, file, model.data, model.len, true);
        knobs((struct hub_knobs){.fail_times = 2, .fail_status = statuses[i]});
        struct hermes_pull *p = pull_fine(arena_printf(w.f->arena, "hf:" REPO ":%s", file));
        assert_true(p->retries >= 2);
        check_file(place(file), &model);
        buf_free(&model);
    }
}

static void test_retry_after(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.fail_times = 1, .fail_status = 429, .retry_after_s = 1});
    connections = 1;
    configure("");
    connections = 3;
    int64_t start = clock_mono_ms();
    pulls_configure(w.pulls, w.config->values->hermes);
    pull_fine("hf:" REPO);
    assert_true(clock_mono_ms() - start >= 950);
}

static void test_gives_up(void **state)
{
    (void)state;
    configure(", retries: 2");
    pulls_configure(w.pulls, w.config->values->hermes);
    knobs((struct hub_knobs){.fail_times = 1000, .fail_status = 503});
    pull_fails("hf:" REPO, "source_failed");
    assert_true(fs_exists(place(FILE1 ".part")));
    knobs((struct hub_knobs){0});
    pull_fine("hf:" REPO);
    check_file(place(FILE1), &w.model);
}

static void test_hub_unavailable(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.hub_fail_times = 2, .hub_fail_status = 503});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    assert_true(p->retries >= 2);
}

static void test_stalls(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.stall_times = 2, .stall_after = 20000});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    assert_true(p->retries >= 2);
    check_file(place(FILE1), &w.model);
}

static void test_drips(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.drip_times = 2});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    assert_true(p->retries >= 2);
    check_file(place(FILE1), &w.model);
}

static void test_no_ranges(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.ignore_range = true, .drop_times = 1, .drop_after = 400000});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    assert_true(has_note(p, "no ranges"));
    check_file(place(FILE1), &w.model);
}

static void test_corrupt_once(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.corrupt_times = 1});
    struct hermes_pull *p = pull_fine("hf:" REPO);
    assert_true(has_note(p, "once more"));
    check_file(place(FILE1), &w.model);
}

static void test_corrupt_always(void **state)
{
    struct registry_model row;
    struct error err = {0};
    (void)state;
    knobs((struct hub_knobs){.corrupt_always = true});
    pull_fails("hf:" REPO, "hash_mismatch");
    assert_false(fs_exists(place(FILE1)));
    assert_false(fs_exists(place(FILE1 ".part")));
    assert_int_equal(registry_get(w.f->store, "tiny.Q4_K_M", w.f->arena, &row, &err), VX11_ENOT_FOUND);
}

static void test_no_gguf(void **state)
{
    struct hub_seen seen;
    (void)state;
    knobs((struct hub_knobs){.html = true, .rate = 200000});
    pull_fails("hf:" REPO, "invalid_model");
    hub_server_seen(w.hub, &seen);
    assert_true(seen.bytes < 600000); /* not the whole of it */
    assert_false(fs_exists(place(FILE1)));
}

static void test_expired(void **state)
{
    struct hub_seen seen;
    (void)state;
    knobs((struct hub_knobs){.expire_after = 2});
    pull_fine("hf:" REPO);
    hub_server_seen(w.hub, &seen);
    assert_true(seen.resolves >= 2);
    check_file(place(FILE1), &w.model);
}

static void test_gated(void **state)
{
    struct hub_seen seen;
    (void)state;
    knobs((struct hub_knobs){.gated = true});
    struct hermes_pull *p = pull_fails("hf:" REPO, "gated_repository");
    assert_non_null(strstr(p->reason, "HF_TOKEN"));
    assert_non_null(strstr(p->reason, REPO));
    const char *file = fixture_file(w.f, "token", "hf_test\n", 8);
    struct buf yaml = BUF_INIT;
    struct error err = {0};
    buf_printf(&yaml,
               "hermes:\n  hub: {endpoint: \"%s\", token_env: \"\", token_file: \"%s\"}\n  pull: "
               "{chunk_bytes: 65536, margin_bytes: 0}\n",
               hub_server_url(w.hub), file);
    config_free(w.config);
    w.config = NULL;
    assert_int_equal(config_load_text("test.yaml", yaml.data, yaml.len, NULL, &w.config, &err), 0);
    buf_free(&yaml);
    pulls_configure(w.pulls, w.config->values->hermes);
    pull_fine("hf:" REPO);
    hub_server_seen(w.hub, &seen);
    assert_true(seen.token_at_hub);
    assert_false(seen.token_at_files);
}

static void test_redirects(void **state)
{
    (void)state;
    knobs((struct hub_knobs){.redirect = "ftp://example.com/x"});
    pull_fails("hf:" REPO, "bad_redirect");
    knobs((struct hub_knobs){.redirect = arena_printf(w.f->arena, "/%s/resolve/main/%s", REPO, FILE1)});
    struct hermes_pull *p = pull_fails("hf:" REPO, "bad_redirect");
    assert_non_null(strstr(p->reason, "five"));
}

/* A hub on the internet: where its redirects may lead, and where its token goes. */
static void test_ways(void **state)
{
    struct hub *h;
    struct hub_url from, to;
    struct config *config = NULL;
    struct error err = {0};
    static const char yaml[] =
        "hermes:\n  hub: {endpoint: \"https://hub.example\", token_env: VX11_TEST_HUB_TOKEN}\n";
    (void)state;
    setenv("VX11_TEST_HUB_TOKEN", "hf_secret", 1);
    assert_int_equal(config_load_text("t.yaml", yaml, sizeof yaml - 1, NULL, &config, &err), 0);
    assert_int_equal(hub_create(&w.f->loop, w.client, config->values->hermes, &h, &err), 0);
    assert_int_equal(hub_url_first(h, "https://hub.example/a/b/resolve/main/x.gguf", &from, &err), 0);
    assert_true(from.token && !from.public_only);
    static const struct {
        const char *location, *url; /* NULL: refused */
        bool token;
    } ways[] = {
        {"https://files.example/x?sig=1", "https://files.example/x?sig=1", false},
        {"/api/resolve-cache/x", "https://hub.example:443/api/resolve-cache/x", true},
        {"y.gguf", "https://hub.example:443/a/b/resolve/main/y.gguf", true},
        {"//files.example/x", "https://files.example/x", false},
        {"https://hub.example:444/x", "https://hub.example:444/x", false},
        {"https://hub.example.evil.example/x", "https://hub.example.evil.example/x", false},
        {"http://hub.example/x", NULL, false},
        {"http://files.example/x", NULL, false},
        {"https://127.0.0.1/x", NULL, false},
        {"https://169.254.169.254/latest/meta-data", NULL, false},
        {"https://[::1]/x", NULL, false},
        {"https://[::ffff:10.0.0.1]/x", NULL, false},
        {"https://localhost/x", NULL, false},
        {"https://user:secret@files.example/x", NULL, false},
        {"file:///etc/passwd", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        int rc = hub_url_next(h, &from, ways[i].location, &to, &err);
        if ((rc == 0) != (ways[i].url != NULL))
            fail_msg("%s: %d", ways[i].location, rc);
        if (rc != 0)
            continue;
        assert_string_equal(to.url, ways[i].url);
        assert_int_equal(to.token, ways[i].token);
        assert_int_equal(to.public_only, !ways[i].token);
    }
    assert_int_not_equal(hub_url_first(h, "http://files.example/x.gguf", &to, &err), 0);
    assert_int_not_equal(hub_url_first(h, "https://10.0.0.1/x.gguf", &to, &err), 0);
    /* A name that leads to this machine: refused on the connection. */
    assert_int_equal(hub_url_first(h, "https://files.example/x.gguf", &to, &err), 0);
    (void)snprintf(to.url, sizeof to.url, "http://localhost:%d/plain/" FILE1, hub_server_port(w.hub));
    struct client_call *call;
    static const struct client_events events = {.on_done = on_refused};
    w.closed = false;
    assert_int_equal(hub_request(h, &to, "GET", NULL, 0, 2000, &events, NULL, &call, &err), 0);
    fixture_run(w.f, &w.closed, 5000);
    hub_free(h);
    config_free(config);
    unsetenv("VX11_TEST_HUB_TOKEN");
}

/* ---- going on ---- */

static void test_resume(void **state)
{
    struct hub_seen seen;
    char id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 200000});
    ask("hf:" REPO, id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 400000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    pulls_shut(); /* the row stays: running */
    assert_true(fs_exists(place(FILE1 ".part")));
    knobs((struct hub_knobs){0});
    hub_server_forget(w.hub);
    pulls_open();
    pulls_resume(w.pulls);
    struct hermes_pull *p = wait_end(id);
    assert_int_equal(p->state, HERMES_PULL_STATE_DONE);
    assert_int_equal(p->resumed, 1);
    hub_server_seen(w.hub, &seen);
    assert_true(seen.bytes < (int64_t)w.model.len - 200000);
    check_file(place(FILE1), &w.model);
    check_registered("tiny.Q4_K_M");
}

/* A URL's query may be a secret: it is not in the database, and without it nothing is asked for. */
static void test_query_not_kept(void **state)
{
    char id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 100000});
    ask(arena_printf(w.f->arena, "http://localhost:%d/plain/" FILE1 "?secret=1", hub_server_port(w.hub)), id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 70000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    pulls_shut();
    pulls_open();
    pulls_resume(w.pulls);
    struct hermes_pull *p = wait_end(id);
    assert_int_equal(p->state, HERMES_PULL_STATE_FAILED);
    assert_string_equal(p->code, "url_not_kept");
    assert_null(strstr(p->source, "secret"));
}

static void test_changed(void **state)
{
    struct buf other = BUF_INIT;
    char id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 200000});
    ask("hf:" REPO, id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 300000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    assert_int_equal(pulls_cancel(w.pulls, id, false, NULL), 0);
    assert_int_equal(wait_end(id)->state, HERMES_PULL_STATE_CANCELLED);
    assert_true(fs_exists(place(FILE1 ".part")));
    model_make(&other, "two", SIZE);
    hub_server_put(w.hub, REPO, FILE1, other.data, other.len, true);
    knobs((struct hub_knobs){0});
    ask("hf:" REPO, id);
    bool anew = false;
    while (!over(look(id))) {
        anew = anew || has_note(look(id), "anew");
        fixture_run_ms(w.f, 5);
    }
    assert_int_equal(look(id)->state, HERMES_PULL_STATE_DONE);
    check_file(place(FILE1), &other);
    buf_free(&other);
    (void)anew;
}

/* The file host has another file all of a sudden: the transfer ends, looks again, and goes on with what it
 * has. */
static void test_changes_midway(void **state)
{
    char id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 150000, .drop_times = 3, .drop_after = 150000});
    ask("hf:" REPO, id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 150000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    knobs((struct hub_knobs){.other_etag = true});
    struct hermes_pull *p = wait_end(id);
    assert_int_equal(p->state, HERMES_PULL_STATE_DONE);
    assert_true(has_note(p, "has changed"));
    check_file(place(FILE1), &w.model);
}

/* The disk does not hold what arrived: that piece alone is fetched again. */
static void test_bad_chunk(void **state)
{
    struct hub_seen seen;
    char id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 200000});
    ask("hf:" REPO, id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 500000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    assert_int_equal(pulls_cancel(w.pulls, id, false, NULL), 0);
    wait_end(id);
    int fd = open(place(FILE1 ".part"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 1000), 6);
    close(fd);
    knobs((struct hub_knobs){0});
    hub_server_forget(w.hub);
    pull_fine("hf:" REPO);
    hub_server_seen(w.hub, &seen);
    check_file(place(FILE1), &w.model);
    assert_true(seen.bytes < (int64_t)w.model.len - 200000);
}

static void test_cancel_discard(void **state)
{
    char id[27];
    struct error err = {0};
    (void)state;
    knobs((struct hub_knobs){.rate = 100000});
    ask("hf:" REPO, id);
    int64_t until = clock_mono_ms() + 10000;
    while (look(id)->bytes < 100000 && clock_mono_ms() < until)
        fixture_run_ms(w.f, 20);
    assert_int_equal(pulls_cancel(w.pulls, id, true, &err), 0);
    assert_int_equal(wait_end(id)->state, HERMES_PULL_STATE_CANCELLED);
    assert_false(fs_exists(place(FILE1 ".part")));
    assert_int_equal(pulls_cancel(w.pulls, id, false, &err), VX11_EBUSY);
}

static void test_joins(void **state)
{
    char first[27], second[27], third[27];
    struct pull_wish wish = {.source = "hf:acme/None-GGUF", .asked_by = "test", .key = "k1"};
    const char *code;
    struct error err = {0};
    (void)state;
    knobs((struct hub_knobs){.rate = 300000});
    ask("hf:" REPO, first);
    ask("hf:" REPO, second);
    assert_string_equal(first, second);
    assert_int_equal(pulls_ask(w.pulls, &wish, second, &code, &err), 0);
    wait_end(second);
    assert_int_equal(pulls_ask(w.pulls, &wish, third, &code, &err), 0);
    assert_string_equal(second, third);
    wish.source = "hf:" REPO;
    assert_int_equal(pulls_ask(w.pulls, &wish, third, &code, &err), VX11_EEXISTS);
    assert_string_equal(code, "idempotency_key_reused");
}

static void test_rate(void **state)
{
    const struct pull_wish wish = {.source = "hf:" REPO, .asked_by = "test", .rate_bytes = 400000};
    char id[27];
    const char *code;
    struct error err = {0};
    (void)state;
    int64_t start = clock_mono_ms();
    assert_int_equal(pulls_ask(w.pulls, &wish, id, &code, &err), 0);
    fixture_run_ms(w.f, 1500);
    int64_t bytes = look(id)->bytes, ms = clock_mono_ms() - start;
    /* What lies in buffers comes on top; nothing makes it come faster. */
    assert_true(bytes <= 400000 * ms / 1000 + 200000);
    assert_int_equal(wait_end(id)->state, HERMES_PULL_STATE_DONE);
    check_file(place(FILE1), &w.model);
}

static void test_no_room(void **state)
{
    (void)state;
    margin = 1099511627776;
    configure("");
    margin = 0;
    pulls_configure(w.pulls, w.config->values->hermes);
    struct hermes_pull *p = pull_fails("hf:" REPO, "disk_full");
    assert_non_null(strstr(p->reason, "not enough room"));
}

static void test_taken(void **state)
{
    (void)state;
    fixture_file(w.f, "models/" REPO "/" FILE1, "my own file", 11);
    pull_fails("hf:" REPO, "file_exists");
    struct buf mine = BUF_INIT;
    buf_puts(&mine, "my own file");
    check_file(place(FILE1), &mine);
    buf_free(&mine);
}

/* One part of a split model: the first has the facts, each one tensor. */
static void split_make(struct buf *b, unsigned part, unsigned parts)
{
    const uint64_t narrow[1] = {64};
    gw_begin(b, 3, 1, part == 0 ? 9 : 3);
    if (part == 0) {
        gw_pair_string(b, "general.architecture", "llama");
        gw_pair_u32(b, "llama.context_length", 128);
        gw_pair_u32(b, "llama.embedding_length", 64);
        gw_pair_u32(b, "llama.block_count", 2);
        gw_pair_string(b, "tokenizer.ggml.model", "llama");
        gw_pair_tokens(b, "tokenizer.ggml.tokens", 4);
    }
    gw_pair_u32(b, "split.no", part);
    gw_pair_u32(b, "split.count", parts);
    gw_pair_u32(b, "split.tensors.count", parts);
    gw_tensor(b, part == 0 ? "a" : part == 1 ? "b" : "c", 1, narrow, 0, 0);
    gw_pad(b, 32);
    gw_zeros(b, 64 * 4 + part * 100000); /* of different lengths */
}

static void scan_done(void *ctx, const struct hermes_scan_reply *reply, const struct error *err)
{
    bool *done = ctx;
    if (!reply)
        fail_msg("%s", err->text);
    assert_int_equal(reply->refused_count, 0);
    assert_int_equal(reply->added_count + reply->changed_count, 0);
    *done = true;
}

static void test_split(void **state)
{
    struct registry_model row;
    struct error err = {0};
    int64_t total = 0;
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char file[64];
        struct buf part = BUF_INIT;
        (void)snprintf(file, sizeof file, "Q4_K_M/big-%05u-of-00003.gguf", i + 1);
        split_make(&part, i, 3);
        total += (int64_t)part.len;
        hub_server_put(w.hub, "acme/Big-GGUF", file, part.data, part.len, true);
        buf_free(&part);
    }
    struct hermes_pull *p = pull_fine("hf:acme/Big-GGUF");
    assert_int_equal(p->parts_count, 3);
    assert_int_equal(p->bytes, total);
    assert_string_equal(p->model, "big");
    assert_int_equal(registry_get(w.f->store, "big", w.f->arena, &row, &err), 0);
    assert_int_equal(row.api.status, HERMES_MODEL_STATUS_AVAILABLE);
    assert_int_equal(row.api.size_bytes, total);
    assert_int_equal(row.api.parameters, 3 * 64);
    assert_non_null(strstr(row.api.path, "00001-of-00003"));
    /* A scan finds nothing new and refuses nothing. */
    struct scanner *scanner;
    bool done = false;
    assert_int_equal(scanner_create(&w.f->loop, w.f->store, &scanner), 0);
    const char *root = arena_printf(w.f->arena, "%s/models", w.f->home);
    assert_int_equal(scanner_set_roots(scanner, &root, 1), 0);
    assert_int_equal(scanner_run(scanner, scan_done, &done, NULL, &err), 0);
    fixture_run(w.f, &done, 5000);
    w.closed = false;
    scanner_close(scanner, on_closed, NULL);
    fixture_run(w.f, &w.closed, 5000);
    /* All parts go with it. */
    assert_int_equal(pulls_delete_files(w.pulls, &row, &err), 0);
    assert_false(fs_exists(arena_printf(w.f->arena, "%s/models/acme", w.f->home)));
}

/* ---- deletion ---- */

static void test_delete(void **state)
{
    struct registry_model row;
    struct error err = {0};
    struct arena *a;
    (void)state;
    pull_fine("hf:" REPO);
    a = w.f->arena;
    assert_int_equal(registry_get(w.f->store, "tiny.Q4_K_M", a, &row, &err), 0);
    assert_int_equal(pulls_delete_files(w.pulls, &row, &err), 0);
    assert_false(fs_exists(place(FILE1)));
    /* A file of the user's own. */
    struct model_facts facts;
    const char *mine = fixture_file(w.f, "models/mine.gguf", w.model.data, w.model.len);
    assert_int_equal(model_facts_read(mine, a, &facts), 0);
    assert_int_equal(
        registry_add(w.f->store, HERMES_MODEL_SOURCE_ADDED, "mine", true, &facts, 1, a, NULL, &err), 0);
    assert_int_equal(registry_get(w.f->store, "mine", a, &row, &err), 0);
    assert_int_equal(pulls_delete_files(w.pulls, &row, &err), VX11_EPERMISSION);
    assert_true(fs_exists(mine));
}

/* The folder has become a link out of the models folder. */
static void test_delete_link(void **state)
{
    struct registry_model row;
    struct error err = {0};
    (void)state;
    pull_fine("hf:" REPO);
    assert_int_equal(registry_get(w.f->store, "tiny.Q4_K_M", w.f->arena, &row, &err), 0);
    const char *outside = fixture_file(w.f, "outside/" FILE1, "precious", 8);
    const char *folder = arena_printf(w.f->arena, "%s/models/%s", w.f->home, REPO);
    assert_int_equal(rename(folder, arena_printf(w.f->arena, "%s/away", w.f->home)), 0);
    assert_int_equal(symlink(arena_printf(w.f->arena, "%s/outside", w.f->home), folder), 0);
    assert_true(pulls_delete_files(w.pulls, &row, &err) < 0);
    assert_true(fs_exists(outside));
}

int main(int argc, char **argv)
{
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
#define T(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        T(test_pull),           T(test_pages_and_tags), T(test_url_and_file),
        T(test_drops),          T(test_wrong_lengths),  T(test_statuses),
        T(test_retry_after),    T(test_gives_up),       T(test_hub_unavailable),
        T(test_stalls),         T(test_drips),          T(test_no_ranges),
        T(test_corrupt_once),   T(test_corrupt_always), T(test_no_gguf),
        T(test_expired),        T(test_gated),          T(test_redirects),
        T(test_resume),         T(test_query_not_kept), T(test_changed),
        T(test_changes_midway), T(test_bad_chunk),      T(test_cancel_discard),
        T(test_joins),          T(test_rate),           T(test_no_room),
        T(test_taken),          T(test_split),          T(test_ways),
        T(test_delete),         T(test_delete_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
