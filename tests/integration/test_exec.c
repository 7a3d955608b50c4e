/* Allowed programs as jobs, one engine by its name, discovery that plans, and the predecessor's routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"

static struct system sys;

static void script(const char *name, const char *text)
{
    char path[200];
    struct buf all = BUF_INIT;
    buf_printf(&all, "#!/bin/sh\n[ \"$1\" = --version ] && { echo \"%s 1.2.3\"; exit 0; }\n%s\n", name, text);
    snprintf(path, sizeof path, "%s/%s", system_path(&sys, "tools"), name);
    assert_int_equal(fs_write_file_atomic(path, all.data, all.len, 0700, NULL), 0);
    buf_free(&all);
}

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    system_init(&sys);
    assert_int_equal(mkdir(system_path(&sys, "tools"), 0700), 0);
    assert_int_equal(mkdir(system_path(&sys, "user"), 0700), 0);
    system_env(&sys, "HOME=%s", system_path(&sys, "user"));
    script("answers", "printf 'you said: '; cat");
    script("args", "for a in \"$@\"; do printf '<%s>' \"$a\"; done; cat; echo warned >&2; exit ${1#exit}");
    script("naps", "echo begun; sleep 5171");
    script("slow", "echo one; sleep 1; echo two");
    const char *dir = system_path(&sys, "tools");
    buf_printf(&yaml,
               "hermes:\n  tool_dirs: [%s]\n  exec_output_bytes: 4096\n  exec_max_running: 1\n  tools:\n"
               "    - {name: answers, command: answers, prompt: stdin, enabled: true}\n"
               "  exec_allow:\n"
               "    - {name: date, command: /bin/date, args: [-u, \"+%%Y\"]}\n"
               "    - {name: args, command: %s/args, more_args: 3}\n"
               "    - {name: naps, command: %s/naps, timeout_ms: 60000}\n"
               "    - {name: brief, command: %s/naps, timeout_ms: 400}\n"
               "    - {name: slow, command: %s/slow}\n"
               "    - {name: loud, command: /usr/bin/seq, args: [\"100000\"]}\n"
               "    - {name: answers, tool: answers}\n"
               "    - {name: shell, command: /bin/sh, args: [-c], more_args: 1}\n"
               "    - {name: python, command: /usr/bin/python3, more_args: 2}\n"
               "    - {name: gone, command: /no/such/program}\n",
               dir, dir, dir, dir, dir);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void ask(struct http_reply *r, const char *method, const char *path, const char *body)
{
    struct http_at at = system_hermes(&sys);
    http(r, &at, method, path, body);
}

/* Asks for a job; its id. */
static const char *job(const char *body)
{
    static char id[32];
    struct http_reply r;
    ask(&r, "POST", "/hermes/exec", body);
    assert_status(&r, 202);
    snprintf(id, sizeof id, "%s", http_text(&r, "/job_id"));
    assert_int_equal(strlen(id), 26);
    http_free(&r);
    return id;
}

static const char *job_path(const char *id, const char *more)
{
    static char path[100];
    snprintf(path, sizeof path, "/hermes/jobs/%s%s", id, more);
    return path;
}

static bool is(const char *id, const char *status)
{
    struct http_reply r;
    ask(&r, "GET", job_path(id, ""), NULL);
    bool so = strcmp(http_text(&r, "/status"), status) == 0;
    http_free(&r);
    return so;
}

static void get(struct http_reply *r, const char *id)
{
    ask(r, "GET", job_path(id, ""), NULL);
    assert_status(r, 200);
}

static void a_program_runs_as_a_job(void **state)
{
    struct http_reply r;
    char path[64];
    (void)state;
    const char *id = job("{\"command\":\"date\"}");
    eventually(10000, is(id, "completed"));
    get(&r, id);
    assert_int_equal(strlen(http_text(&r, "/stdout")), 5);
    assert_int_equal(http_int(&r, "/return_code"), 0);
    assert_true(http_int(&r, "/duration_ms") >= 0);
    assert_string_equal(http_text(&r, "/command"), "date");
    http_free(&r);
    snprintf(path, sizeof path, "/hermes/job/%s", id);
    ask(&r, "GET", path, NULL);
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, "GET", "/hermes/jobs?status=completed&limit=5", NULL);
    assert_string_equal(http_text(&r, "/jobs/0/job_id"), id);
    assert_true(http_is_null(&r, "/jobs/0/stdout"));
    http_free(&r);
    ask(&r, "GET", "/hermes/jobs?status=failed", NULL);
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/jobs")), 0);
    http_free(&r);
}

static void arguments_stay_arguments(void **state)
{
    struct http_reply r;
    (void)state;
    const char *id =
        job("{\"command\":\"args\",\"args\":[\"exit3\",\"$(id); rm -rf /\",\"--x\\ny\"],\"input\":\"in\"}");
    eventually(10000, is(id, "failed"));
    get(&r, id);
    assert_string_equal(http_text(&r, "/stdout"), "<exit3><$(id); rm -rf /><--x\ny>in");
    assert_string_equal(http_text(&r, "/stderr"), "warned\n");
    assert_int_equal(http_int(&r, "/return_code"), 3);
    http_free(&r);
}

static void what_is_not_allowed_is_refused(void **state)
{
    static const struct {
        const char *body, *code;
        int status;
    } tries[] = {
        {"{\"command\":\"rm\",\"args\":[\"-rf\",\"/\"]}", "exec_not_allowed", 403},
        {"{\"command\":\"/bin/sh\"}", "exec_not_allowed", 403},
        {"{\"command\":\"shell\",\"args\":[\"id\"]}", "exec_not_allowed", 403},
        {"{\"command\":\"python\",\"args\":[\"-c\",\"print(1)\"]}", "exec_not_allowed", 403},
        {"{\"command\":\"date\",\"args\":[\"--set=2000-01-01\"]}", "arguments_not_allowed", 422},
        {"{\"command\":\"answers\"}", "prompt_missing", 422},
        {"{\"command\":\"answers\",\"prompt\":\"x\",\"args\":[\"y\"]}", "arguments_not_allowed", 422},
    };
    char reader[128];
    (void)state;
    int64_t jobs = system_count(&sys, "SELECT count(*) FROM exec_job");
    for (size_t i = 0; i < COUNT_OF(tries); i++) {
        struct http_reply r;
        ask(&r, "POST", "/hermes/exec", tries[i].body);
        assert_error(&r, tries[i].status, tries[i].code);
        http_free(&r);
    }
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM exec_job"), jobs);
    eventually(5000, system_count(
                         &sys, "SELECT count(*) FROM tool_run WHERE kind = 'exec' AND outcome = 'refused'") ==
                         COUNT_OF(tries));
    system_token(&sys, "chatting", "read,chat", reader);
    struct http_at at = system_hermes(&sys);
    at.token = reader;
    eventually(8000, http_status(&at, "POST", "/hermes/exec", "{\"command\":\"date\"}") == 403);
    const char *id = job("{\"command\":\"gone\"}");
    eventually(5000, is(id, "failed"));
}

static void bounds_hold(void **state)
{
    struct http_reply r;
    (void)state;
    const char *id = job("{\"command\":\"brief\"}");
    eventually(10000, is(id, "timeout"));
    id = job("{\"command\":\"loud\"}");
    eventually(10000, is(id, "completed"));
    get(&r, id);
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/stdout_truncated")));
    assert_int_equal(strlen(http_text(&r, "/stdout")), 4096);
    http_free(&r);
}

static void a_tool_runs_as_a_job(void **state)
{
    struct http_reply r;
    (void)state;
    const char *id = job("{\"command\":\"answers\",\"prompt\":\"hello\"}");
    eventually(10000, is(id, "completed"));
    get(&r, id);
    assert_string_equal(http_text(&r, "/stdout"), "you said: hello");
    http_free(&r);
}

static void one_at_a_time_and_cancelled(void **state)
{
    struct http_reply r;
    char first[32], second[32];
    (void)state;
    snprintf(first, sizeof first, "%s", job("{\"command\":\"naps\"}"));
    snprintf(second, sizeof second, "%s", job("{\"command\":\"date\"}"));
    eventually(5000, is(first, "running"));
    assert_true(is(second, "queued"));
    ask(&r, "DELETE", job_path(first, ""), NULL);
    assert_status(&r, 204);
    http_free(&r);
    eventually(5000, is(first, "cancelled"));
    eventually(5000, is(second, "completed"));
    ask(&r, "DELETE", job_path(second, ""), NULL);
    assert_error(&r, 409, "job_finished");
    http_free(&r);
    ask(&r, "DELETE", job_path("01ARZ3NDEKTSV4RRFFQ69G5FAV", ""), NULL);
    assert_error(&r, 404, "job_not_found");
    http_free(&r);
}

static void a_job_tells_as_it_goes(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct buf seen = BUF_INIT;
    struct http_reply r;
    (void)state;
    const char *id = job("{\"command\":\"slow\"}");
    int fd = http_open(&at, "GET", job_path(id, "/events"), NULL);
    assert_true(raw_wait_for(fd, "two", &seen));
    assert_true(raw_wait_for(fd, "\"completed\"", &seen));
    assert_non_null(strstr(seen.data, "event: stdout"));
    raw_close(fd);
    buf_free(&seen);
    ask(&r, "GET", job_path(id, "/events"), NULL); /* of one that has ended */
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"completed\""));
    http_free(&r);
}

/* ---- one engine ---- */

static void an_engine_answers_by_its_name(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", "/hermes/execute", "{\"engine\":\"answers\",\"prompt\":\"hi\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/content"), "you said: hi");
    assert_string_equal(http_text(&r, "/kind"), "tool");
    assert_string_equal(http_text(&r, "/status"), "ok");
    http_free(&r);
    ask(&r, "POST", "/hermes/execute",
        "{\"engine\":\"vx11-guide\",\"messages\":[{\"role\":\"user\",\"content\":\"What is "
        "VX11?\"}],\"max_tokens\":8,\"temperature\":0}");
    assert_status(&r, 200);
    assert_true(strlen(http_text(&r, "/content")) > 0);
    assert_string_equal(http_text(&r, "/kind"), "model");
    assert_true(http_int(&r, "/usage/completion_tokens") > 0);
    http_free(&r);
    ask(&r, "POST", "/hermes/execute", "{\"engine\":\"nobody\",\"prompt\":\"hi\"}");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    ask(&r, "POST", "/hermes/execute", "{\"engine\":\"answers\"}");
    assert_error(&r, 422, "invalid_request");
    http_free(&r);
}

/* ---- discovery ---- */

static const char *all_tables(void)
{
    return system_row(
        &sys,
        "SELECT (SELECT count(*) FROM model), (SELECT count(*) FROM tool), (SELECT count(*) FROM provider), "
        "(SELECT version FROM model_registry), (SELECT count(*) FROM model_forgotten), (SELECT "
        "max(updated_at) "
        "FROM model), (SELECT coalesce(max(updated_at), 0) FROM tool)");
}

static int item(const struct http_reply *r, const char *tier, const char *name)
{
    char pointer[80];
    for (int i = 0; i < 100; i++) {
        snprintf(pointer, sizeof pointer, "/tiers/%s/items/%d/name", tier, i);
        if (strcmp(http_text(r, pointer), name) == 0)
            return i;
    }
    return -1;
}

static const char *action(const struct http_reply *r, const char *tier, const char *name)
{
    char pointer[80];
    snprintf(pointer, sizeof pointer, "/tiers/%s/items/%d/action", tier, item(r, tier, name));
    return http_text(r, pointer);
}

static void planning_writes_nothing(void **state)
{
    struct http_reply r;
    char before[300], copy[200];
    struct buf guide = BUF_INIT;
    (void)state;
    script("claude", "cat");
    sleep_ms(500); /* what still waits to be written */
    eventually(8000, system_count(&sys, "SELECT count(*) FROM model WHERE name = 'vx11-guide'") == 1);
    snprintf(copy, sizeof copy, "SELECT path FROM model WHERE name = 'vx11-guide'");
    assert_int_equal(fs_read_file(system_row(&sys, copy), 64 << 20, &guide, NULL), 0);
    snprintf(before, sizeof before, "%s", all_tables());
    assert_int_equal(
        fs_write_file_atomic(system_path(&sys, "models/new-one.gguf"), guide.data, guide.len, 0600, NULL), 0);
    assert_int_equal(fs_write_file_atomic(system_path(&sys, "models/broken.gguf"), "nonsense", 8, 0600, NULL),
                     0);
    ask(&r, "POST", "/hermes/discover", "{}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "plan");
    assert_string_equal(http_text(&r, "/db_write"), "skipped");
    assert_string_equal(action(&r, "local", "new-one"), "add");
    assert_string_equal(action(&r, "local", "broken"), "refuse");
    assert_string_equal(action(&r, "local", "vx11-guide"), "none");
    assert_string_equal(action(&r, "cli", "claude"), "add");
    assert_true(http_int(&r, "/tiers/catalog/count") > 0);
    assert_true(yyjson_is_false(yyjson_doc_ptr_get(r.json, "/tiers/web/enabled")));
    http_free(&r);
    assert_string_equal(all_tables(), before);
    ask(&r, "POST", "/hermes/discover", "{\"allow_web\":true}");
    assert_status(&r, 200);
    assert_true(
        yyjson_is_false(yyjson_doc_ptr_get(r.json, "/tiers/web/enabled"))); /* hermes.hub.search is off */
    assert_true(strlen(http_text(&r, "/tiers/web/reason")) > 0);
    http_free(&r);
    assert_string_equal(all_tables(), before);
    buf_free(&guide);
}

static void applying_writes_it_once(void **state)
{
    struct http_reply r;
    char after[300];
    (void)state;
    ask(&r, "POST", "/hermes/discover", "{\"apply\":true}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "ok");
    http_free(&r);
    assert_int_equal(
        system_count(&sys, "SELECT count(*) FROM model WHERE name = 'new-one' AND status = 'available'"), 1);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM tool WHERE name = 'claude' AND enabled = 0"),
                     1);
    eventually(
        10000,
        system_count(&sys, "SELECT count(*) FROM model WHERE name = 'new-one' AND sha256 IS NOT NULL") == 1);
    snprintf(after, sizeof after, "%s", all_tables());
    ask(&r, "POST", "/hermes/discover", "{\"apply\":true}");
    assert_status(&r, 200);
    assert_string_equal(action(&r, "local", "new-one"), "none");
    assert_string_equal(action(&r, "cli", "claude"), "none");
    http_free(&r);
    assert_string_equal(all_tables(), after);
}

/* ---- the predecessor's routes ---- */

static void older_routes_answer(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "GET", "/hermes/available", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/binaries/claude")));
    assert_true(yyjson_is_bool(yyjson_doc_ptr_get(r.json, "/binaries/codex")));
    http_free(&r);
    ask(&r, "GET", "/hermes/status", NULL);
    assert_status(&r, 200);
    assert_true(http_int(&r, "/models_available") >= 2);
    http_free(&r);
    ask(&r, "GET", "/hermes/list", NULL);
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, "POST", "/hermes/reindex", NULL);
    assert_status(&r, 200);
    assert_true(http_int(&r, "/reindexed") >= 2);
    http_free(&r);
    assert_int_equal(unlink(system_path(&sys, "models/new-one.gguf")), 0);
    ask(&r, "POST", "/hermes/sync", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/missing/0"), "new-one");
    http_free(&r);
    assert_true(fs_exists(system_path(&sys, "models/broken.gguf"))); /* nothing is deleted */
    ask(&r, "POST", "/hermes/register/local_model", "{\"name\":\"x\",\"path\":\"relative.gguf\"}");
    assert_error(&r, 422, "invalid_path");
    http_free(&r);
    ask(&r, "POST", "/hermes/register_model", "{\"name\":\"x\",\"url\":\"/etc/passwd\"}");
    assert_error(&r, 422, "invalid_model");
    http_free(&r);
    ask(&r, "GET", "/hermes/shub/health", NULL);
    assert_error(&r, 503, "module_not_there");
    http_free(&r);
}

/* ---- the command line ---- */

/* What a command said, when it ended with this code. */
static bool says(int code, const char *text, const char *const *args)
{
    struct buf out = BUF_INIT;
    const int got = system_run(&sys, &out, args);
    const bool is = got == code && out.data && strstr(out.data, text);
    if (!is)
        print_error("code %d, wanted %d and \"%s\":\n%s\n", got, code, text, out.data ? out.data : "");
    buf_free(&out);
    return is;
}
#define SAYS(code, text, ...) assert_true(says(code, text, (const char *const[]){__VA_ARGS__, NULL}))

static void commands_tell_it(void **state)
{
    (void)state;
    SAYS(0, "answers 1.2.3", "tools");
    SAYS(0, "\"usable\": true", "tools", "list", "--json");
    SAYS(0, "nothing is written", "discover");
    SAYS(0, "Nothing has changed", "tools", "detect");
    SAYS(0, "claude is enabled", "tools", "enable", "claude");
    SAYS(0, "claude is disabled", "tools", "disable", "claude");
    SAYS(0, "answers answered in", "tools", "test", "answers");
    SAYS(1, "is not enabled", "tools", "test", "claude");
    SAYS(1, "there is no tool", "tools", "enable", "nothing");
    SAYS(64, "which tool?", "tools", "enable");
    SAYS(0, "mine is added", "providers", "add", "mine", "--url", "http://127.0.0.1:9/v1", "--key-env", "K",
         "--model", "m");
    SAYS(0, "http://127.0.0.1:9/v1", "providers");
    SAYS(1, "there is a provider", "providers", "add", "mine", "--preset", "groq");
    SAYS(0, "mine is removed", "providers", "remove", "mine");
    SAYS(0, "None were added", "providers", "list");
}

/* ---- the end of Hermes ---- */

static void jobs_outlive_hermes(void **state)
{
    struct http_reply r;
    char running[32], queued[32];
    (void)state;
    snprintf(running, sizeof running, "%s", job("{\"command\":\"naps\"}"));
    snprintf(queued, sizeof queued, "%s", job("{\"command\":\"date\"}"));
    eventually(5000, is(running, "running"));
    sys.rough = true;
    process_kill(system_module_pid(&sys, "hermes"), SIGKILL);
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM exec_job WHERE id = '%s' AND status = 'completed'",
             queued);
    eventually(20000, system_count(&sys, sql) == 1);
    system_wait_healthy(&sys);
    get(&r, running);
    assert_string_equal(http_text(&r, "/status"),
                        "failed"); /* nobody knows how far it came, so it is not run again */
    assert_non_null(strstr(http_text(&r, "/error"), "Hermes ended"));
    http_free(&r);
}

static void stops_clean(void **state)
{
    (void)state;
    (void)job("{\"command\":\"naps\"}");
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_runs_as_a_job),
        cmocka_unit_test(arguments_stay_arguments),
        cmocka_unit_test(what_is_not_allowed_is_refused),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(a_tool_runs_as_a_job),
        cmocka_unit_test(one_at_a_time_and_cancelled),
        cmocka_unit_test(a_job_tells_as_it_goes),
        cmocka_unit_test(an_engine_answers_by_its_name),
        cmocka_unit_test(planning_writes_nothing),
        cmocka_unit_test(applying_writes_it_once),
        cmocka_unit_test(older_routes_answer),
        cmocka_unit_test(commands_tell_it),
        cmocka_unit_test(jobs_outlive_hermes),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
