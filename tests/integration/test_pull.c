/* Pulls end to end: a hub of the test tree, Hermes' process, the command line, kill -9, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "hub.h"
#include "system.h"

#define REPO "acme/Guide-GGUF"
#define NAME "guide.Q8_0.gguf"

static struct system sys;
static struct hub_server *hub;
static struct buf model;

/* The guide is a model that really loads. */
static void model_read(void)
{
    char path[4200];
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/models/guide/guide.gguf", getenv("VX11_SRC"));
    if (fs_read_file(path, 1 << 26, &model, &err) != 0)
        fail_msg("%s", err.text);
}

static void configure(const char *more)
{
    struct buf yaml = BUF_INIT;
    buf_printf(
        &yaml,
        "hermes:\n  hub: {endpoint: \"%s\", token_env: \"\"%s}\n  pull: {chunk_bytes: 65536, retry_ms: 50, "
        "idle_timeout_ms: 2000, margin_bytes: 0}\n",
        hub_server_url(hub), more);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
}

static int start(void **state)
{
    (void)state;
    model_read();
    hub = hub_server_start();
    hub_server_put(hub, REPO, "README.md", "hello", 5, false);
    hub_server_put(hub, REPO, NAME, model.data, model.len, true);
    system_init(&sys);
    configure("");
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    hub_server_stop(hub);
    buf_free(&model);
    return 0;
}

static void ask(const char *body, struct http_reply *r)
{
    struct http_at at = system_hermes(&sys);
    http(r, &at, "POST", "/hermes/models/pull", body);
}

/* Hermes may be on its way up. */
static bool hermes_listens(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)sys.hermes_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&in, sizeof in) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static const char *pull_state(const char *id)
{
    static char text[32];
    if (!hermes_listens())
        return "";
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    char path[80];
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s", id);
    http(&r, &at, "GET", path, NULL);
    (void)snprintf(text, sizeof text, "%s", r.status == 200 ? http_text(&r, "/state") : "");
    http_free(&r);
    return text;
}

static int64_t pull_number(const char *id, const char *pointer)
{
    if (!hermes_listens())
        return -1;
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    char path[80];
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s", id);
    http(&r, &at, "GET", path, NULL);
    int64_t n = r.status == 200 ? http_int(&r, pointer) : -1;
    http_free(&r);
    return n;
}

static void knobs(struct hub_knobs k)
{
    hub_server_knobs(hub, &k);
}

static void check_model(const char *relative)
{
    struct buf got = BUF_INIT;
    system_read(&sys, relative, &got);
    assert_int_equal(got.len, model.len);
    assert_memory_equal(got.data, model.data, model.len);
    buf_free(&got);
}

/* The command shows what it chose and the end; the model answers. */
static void by_command(void **state)
{
    struct buf out = BUF_INIT;
    struct http_reply r;
    (void)state;
    knobs((struct hub_knobs){0});
    assert_int_equal(
        system_run(&sys, &out, (const char *const[]){"models", "pull", "hf:" REPO, "--name", "pulled", NULL}),
        0);
    if (!strstr(out.data, "chose " NAME) || !strstr(out.data, "pulled is here"))
        fail_msg("%s", out.data);
    buf_clear(&out);
    check_model("models/" REPO "/" NAME);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"models", "show", "pulled", NULL}), 0);
    assert_non_null(strstr(out.data, "pulled"));
    assert_non_null(strstr(out.data, hub_server_sha256(hub, REPO, NAME)));
    buf_clear(&out);
    system_chat(&sys, &r, "pulled", false);
    assert_status(&r, 200);
    http_free(&r);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"models", "pulls", NULL}), 0);
    assert_non_null(strstr(out.data, "done"));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"models", "catalogue", NULL}), 0);
    assert_non_null(strstr(out.data, "mistral-7b-instruct"));
    buf_clear(&out);
    assert_int_equal(
        system_run(&sys, &out, (const char *const[]){"models", "pull", "hf:" REPO ":nothing", NULL}), 1);
    assert_non_null(strstr(out.data, NAME));
    buf_clear(&out);
    assert_int_equal(
        system_run(&sys, &out, (const char *const[]){"models", "remove", "pulled", "--delete-file", NULL}),
        0);
    assert_false(fs_exists(system_path(&sys, "models/" REPO "/" NAME)));
    buf_free(&out);
}

static void events_tell(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    char path[80], id[27];
    (void)state;
    knobs((struct hub_knobs){.rate = 600000});
    ask("{\"source\":\"hf:" REPO "\"}", &r);
    assert_status(&r, 202);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s/events", id);
    http(&r, &at, "GET", path, NULL);
    assert_int_equal(r.status, 200);
    assert_true(sse_count(r.raw.body.data) >= 3);
    assert_non_null(strstr(r.raw.body.data, "event: progress"));
    assert_non_null(strstr(r.raw.body.data, "event: end"));
    assert_non_null(strstr(r.raw.body.data, "\"eta_ms\":"));
    http_free(&r);
    assert_string_equal(pull_state(id), "done");
    eventually(5000, system_count(&sys, "SELECT count(*) FROM event WHERE type = 'hermes.model.pull'") >= 3);
    http(&r, &at, "DELETE", "/hermes/models/guide.Q8_0?delete_file=true", NULL);
    assert_status(&r, 204);
    http_free(&r);
}

/* Ctrl-C ends the command, not the download; --cancel ends that. */
static void interrupt_leaves_it(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    struct buf out = BUF_INIT;
    char id[27];
    int status;
    (void)state;
    knobs((struct hub_knobs){.rate = 60000});
    pid_t pid = fork();
    if (pid == 0) { /* a group of its own, as a terminal makes one */
        setpgid(0, 0);
        signal(SIGINT, SIG_IGN);
        int code = system_run(&sys, &out, (const char *const[]){"models", "pull", "hf:" REPO, NULL});
        _exit(code == 130 && out.data && strstr(out.data, "--cancel") ? 0 : 1);
    }
    assert_true(pid > 0);
    eventually(10000, system_count(&sys, "SELECT count(*) FROM pull WHERE state = 'running'") == 1);
    (void)snprintf(id, sizeof id, "%s", system_row(&sys, "SELECT id FROM pull WHERE state = 'running'"));
    eventually(10000, pull_number(id, "/bytes") > 0);
    assert_int_equal(kill(-pid, SIGINT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(pull_state(id), "running");
    assert_int_equal(
        system_run(&sys, &out, (const char *const[]){"models", "pull", "--cancel", id, "--discard", NULL}),
        0);
    buf_free(&out);
    eventually(5000, strcmp(pull_state(id), "cancelled") == 0);
    assert_false(fs_exists(system_path(&sys, "models/" REPO "/" NAME ".part")));
    http(&r, &at, "GET", "/hermes/pulls", NULL);
    assert_string_equal(http_text(&r, "/pulls/0/id"), id);
    http_free(&r);
}

/* kill -9 in the middle: Hermes is started again and goes on from the disk; the hub sends little twice. */
static void goes_on_after_kill(void **state)
{
    struct http_reply r;
    struct hub_seen seen;
    char id[27];
    (void)state;
    sys.rough = true;
    knobs((struct hub_knobs){.rate = 200000});
    hub_server_forget(hub);
    ask("{\"source\":\"hf:" REPO "\"}", &r);
    assert_status(&r, 202);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    for (int kills = 0; kills < 3; kills++) {
        int64_t goal = (kills + 1) * 700000;
        eventually(20000, pull_number(id, "/bytes") >= goal);
        pid_t pid = system_module_pid(&sys, "hermes");
        process_kill(pid, SIGKILL);
        eventually(20000,
                   system_module_pid(&sys, "hermes") != pid && pull_number(id, "/resumed") == kills + 1);
    }
    knobs((struct hub_knobs){0});
    eventually(30000, strcmp(pull_state(id), "done") == 0);
    check_model("models/" REPO "/" NAME);
    hub_server_seen(hub, &seen);
    /* Each of four connections loses at most a chunk and what was on its way, three times. */
    assert_true(seen.bytes < (int64_t)model.len + 3 * 4 * (65536 + 1000000 / 4));
    assert_false(fs_exists(system_path(&sys, "models/" REPO "/" NAME ".part")));
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM model_pulled"), 1);
}

/* A cancelled one stays cancelled over a restart. */
static void cancelled_stays(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    char id[27], path[80];
    struct buf other = BUF_INIT;
    (void)state;
    buf_append(&other, model.data, model.len);
    hub_server_put(hub, "acme/Other-GGUF", "other.gguf", other.data, other.len, true);
    buf_free(&other);
    knobs((struct hub_knobs){.rate = 100000});
    ask("{\"source\":\"hf:acme/Other-GGUF\"}", &r);
    assert_status(&r, 202);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    eventually(10000, pull_number(id, "/bytes") > 0);
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s", id);
    http(&r, &at, "DELETE", path, NULL);
    assert_status(&r, 200);
    http_free(&r);
    eventually(5000, strcmp(pull_state(id), "cancelled") == 0);
    assert_true(fs_exists(system_path(&sys, "models/acme/Other-GGUF/other.gguf.part")));
    pid_t pid = system_module_pid(&sys, "hermes");
    process_kill(pid, SIGKILL);
    eventually(20000, system_module_pid(&sys, "hermes") != pid && strcmp(pull_state(id), "cancelled") == 0);
    http(&r, &at, "DELETE", path, NULL);
    assert_error(&r, 409, "pull_ended");
    http_free(&r);
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s?discard=true", id);
    http(&r, &at, "DELETE", path, NULL);
    assert_status(&r, 200);
    http_free(&r);
    assert_false(fs_exists(system_path(&sys, "models/acme/Other-GGUF/other.gguf.part")));
}

static void refusals(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    ask("{\"source\":\"no-such-model\"}", &r);
    assert_error(&r, 404, "unknown_model");
    http_free(&r);
    ask("{\"source\":\"https://example.com/page.html\"}", &r);
    assert_error(&r, 422, "invalid_source");
    http_free(&r);
    ask("{}", &r);
    assert_error(&r, 422, "invalid_source");
    http_free(&r);
    http(&r, &at, "POST", "/hermes/search_models", "{\"query\":\"tiny\"}");
    assert_error(&r, 403, "search_not_allowed");
    assert_non_null(strstr(r.raw.body.data, "hermes.hub.search"));
    http_free(&r);
    http(&r, &at, "DELETE", "/hermes/models/vx11-guide?delete_file=true", NULL);
    assert_error(&r, 409, "model_builtin");
    http_free(&r);
    http(&r, &at, "GET", "/hermes/catalog", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/models/0/state"), "absent");
    assert_true(http_is_null(&r, "/models/0/fits"));
    http_free(&r);
    http(&r, &at, "GET", "/hermes/catalog/summary?max_mb=500", NULL);
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/limits/max_mb"), 500);
    http_free(&r);
}

static void search_when_allowed(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    struct hub_seen seen;
    (void)state;
    configure(", search: true");
    system_control(&sys, &r, "/supervisor/reload", "{}");
    assert_status(&r, 200);
    http_free(&r);
    eventually(5000,
               http_status(&at, "POST", "/hermes/search_models", "{\"query\":\"tiny & small\"}") == 200);
    http(&r, &at, "POST", "/hermes/search_models", "{\"query\":\"tiny & small\",\"limit\":5}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/models/0/repository"), REPO);
    http_free(&r);
    hub_server_seen(hub, &seen);
    assert_non_null(strstr(seen.search, "search=tiny%20%26%20small"));
    assert_non_null(strstr(seen.search, "filter=gguf"));
}

/* The disk fills up although there was room at the start: a small tmpfs of our own over the models folder,
 * where the kernel lets us have one. */
static bool fill_mount(const char *folder, const char *size)
{
    return mount("tmpfs", folder, "tmpfs", 0, size) == 0;
}

static void full_disk(void **state)
{
    struct http_reply r;
    char id[27], folder[200];
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", system_path(&sys, "models/acme"));
    if (!fs_exists(folder) || !fill_mount(folder, "size=3m")) {
        print_message("no file system of our own can be mounted here: skipped\n");
        skip();
    }
    /* Room for 3 of 3.7 MB: refused with the numbers. */
    knobs((struct hub_knobs){0});
    ask("{\"source\":\"hf:acme/Other-GGUF\"}", &r);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    eventually(10000, strcmp(pull_state(id), "failed") == 0);
    /* Enough at first, and then somebody else takes it. */
    assert_int_equal(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=4m"), 0);
    knobs((struct hub_knobs){.rate = 300000});
    ask("{\"source\":\"hf:acme/Other-GGUF\"}", &r);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    eventually(10000, pull_number(id, "/bytes") > 300000);
    char hog[260], block[65536] = {0};
    (void)snprintf(hog, sizeof hog, "%s/hog", folder);
    int fd = open(hog, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
    eventually(20000, strcmp(pull_state(id), "failed") == 0);
    struct http_at at = system_hermes(&sys);
    char path[80];
    (void)snprintf(path, sizeof path, "/hermes/pulls/%s", id);
    http(&r, &at, "GET", path, NULL);
    assert_string_equal(http_text(&r, "/code"), "disk_full");
    assert_non_null(strstr(http_text(&r, "/reason"), "kept"));
    assert_true(http_int(&r, "/bytes") > 0);
    http_free(&r);
    unlink(hog); /* room again: it goes on */
    knobs((struct hub_knobs){0});
    ask("{\"source\":\"hf:acme/Other-GGUF\"}", &r);
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/id"));
    http_free(&r);
    eventually(20000, strcmp(pull_state(id), "done") == 0);
    assert_true(pull_number(id, "/resumed_bytes") > 0);
    check_model("models/acme/Other-GGUF/other.gguf");
}

static void stops_clean(void **state)
{
    char folder[200];
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s", system_path(&sys, "models/acme"));
    system_stop(&sys);
    (void)umount2(folder, MNT_DETACH);
}

/* Mounting needs a name space of our own; without one the test of the full disk is skipped. */
static void own_mounts(void)
{
    char text[64];
    uid_t uid = getuid();
    gid_t gid = getgid();
    bool user = unshare(CLONE_NEWNS) != 0;
    if (user && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return;
    const struct {
        const char *path, *format;
        unsigned id;
    } maps[] = {{"/proc/self/setgroups", "deny", 0},
                {"/proc/self/uid_map", "%u %u 1", uid},
                {"/proc/self/gid_map", "%u %u 1", gid}};
    for (size_t i = 0; user && i < COUNT_OF(maps); i++) {
        int fd = open(maps[i].path, O_WRONLY);
        if (i == 0)
            (void)snprintf(text, sizeof text, "deny");
        else
            (void)snprintf(text, sizeof text, "%u %u 1", maps[i].id, maps[i].id);
        if (fd >= 0 && write(fd, text, strlen(text)) < 0)
            print_message("%s cannot be written\n", maps[i].path);
        if (fd >= 0)
            close(fd);
    }
    (void)mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int main(void)
{
    own_mounts();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(by_command),
        cmocka_unit_test(events_tell),
        cmocka_unit_test(interrupt_leaves_it),
        cmocka_unit_test(goes_on_after_kill),
        cmocka_unit_test(cancelled_stays),
        cmocka_unit_test(search_when_allowed),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
