/* Sessions against a real database: turns, replacing, history, branches, words, bounds, what a crash leaves.
 * The module around them is a bare one: configuration, store, loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "module/module_internal.h"
#include "operator/files/files.h"
#include "operator/sessions/sessions_internal.h"

static struct error err;

#define must(call)                                                                                           \
    do {                                                                                                     \
        int rc_ = (call);                                                                                    \
        if (rc_ < 0)                                                                                         \
            fail_msg("%s: %s", #call, err.text);                                                             \
    } while (0)

struct fixture {
    char dir[64];
    struct module m;
    struct operator_ o;
    struct arena *a;
};

static const char yaml[] = "operator: {max_sessions: 5, max_message_bytes: 4096, max_session_bytes: 65536, "
                           "session_ttl_ms: 60000}\n";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[128];
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/vx11-sessions-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->m.home, sizeof f->m.home, "%s", f->dir);
    snprintf(path, sizeof path, "%s/vx11.db", f->dir);
    must(config_load_text("test", yaml, sizeof yaml - 1, NULL, &f->m.config, &err));
    must(store_open(&(struct store_options){.path = path, .migrate = true}, &f->m.store, &err));
    uv_loop_init(&f->m.loop);
    f->o.m = &f->m;
    must(files_create(&f->o, &f->o.files, &err));
    must(sessions_create(&f->o, &f->o.sessions, &err));
    f->a = arena_create(0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sessions_close(f->o.sessions);
    files_close(f->o.files);
    uv_run(&f->m.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->m.loop), 0);
    sessions_free(f->o.sessions);
    files_free(f->o.files);
    store_close(f->m.store);
    config_free(f->m.config);
    arena_destroy(f->a);
    fs_remove_tree(AT_FDCWD, f->dir, NULL);
    free(f);
    return 0;
}

static const char *new_session(struct fixture *f, const char *title)
{
    struct operator_session s;
    must(session_new(f->o.sessions, f->a, &(struct session_new){.title = title}, &s, &err));
    return s.id;
}

static const char *ask(struct fixture *f, const char *id, const char *text, const char *replaces,
                       struct operator_message *q, struct operator_message *a)
{
    struct turn_question question = {
        .session_id = id, .text = text, .len = strlen(text), .replaces = replaces};
    must(turn_begin(f->o.sessions, f->a, &question, q, a, &err));
    return a->id;
}

static void answer(struct fixture *f, const char *id, int status, const char *text)
{
    struct common_error_body why = {.message = "no", .type = "api_error", .code = "test"};
    struct turn_end end = {.status = status,
                           .text = text,
                           .len = strlen(text),
                           .error = status == OPERATOR_MESSAGE_STATUS_FAILED ? &why : NULL,
                           .first_token_ms = -1,
                           .total_ms = 12.5,
                           .tokens_per_second = -1,
                           .cost = -1,
                           .history_dropped = 0};
    must(turn_finish(f->o.sessions, id, &end, &err));
}

static void said(struct fixture *f, const char *id, const char *question, int status, const char *text)
{
    struct operator_message q, a;
    answer(f, ask(f, id, question, NULL, &q, &a), status, text);
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static int64_t count(struct fixture *f, const char *sql)
{
    int64_t n = -1;
    must(store_query(f->m.store, sql, NULL, 0, take_int, &n, &err));
    return n;
}

static int64_t found(struct fixture *f, const char *words)
{
    struct buf match = BUF_INIT;
    int64_t n = 0;
    must(words_query(words, strlen(words), &match));
    if (match.len)
        must(store_query(f->m.store,
                         "SELECT count(*) FROM operator_message_words WHERE operator_message_words MATCH ?1",
                         (struct store_value[]){STORE_T(match.data)}, 1, take_int, &n, &err));
    buf_free(&match);
    return n;
}

#define OK        OPERATOR_MESSAGE_STATUS_OK
#define FAILED    OPERATOR_MESSAGE_STATUS_FAILED
#define CANCELLED OPERATOR_MESSAGE_STATUS_CANCELLED

static void a_turn_is_written_down(void **state)
{
    struct fixture *f = *state;
    struct operator_message q, a, got;
    struct operator_session s;
    const char *id = new_session(f, NULL);
    ask(f, id, "What is a *lizard*?", NULL, &q, &a);
    assert_int_equal(q.seq, 1);
    assert_int_equal(a.seq, 2);
    assert_int_equal(a.status, OPERATOR_MESSAGE_STATUS_STREAMING);
    must(turn_keep(f->o.sessions, a.id, "A rep", 5, NULL, 0, &err));
    must(message_get(f->o.sessions, f->a, id, a.id, &got, &err));
    assert_string_equal(got.content, "A rep");
    assert_int_equal(found(f, "rep"), 0); /* not before it has ended */
    answer(f, a.id, OK, "A reptile.");
    assert_int_equal(turn_keep(f->o.sessions, a.id, "x", 1, NULL, 0, &err), VX11_ENOT_FOUND);
    must(session_get(f->o.sessions, f->a, id, &s, &err));
    assert_string_equal(s.title, "What is a *lizard*?");
    assert_string_equal(s.signature, "Msgs:2 Last:A reptile.");
    assert_int_equal(s.message_count, 2);
    assert_int_equal(s.bytes, 19 + 10);
    assert_int_equal(s.expires_at, s.updated_at + 60000);
    assert_int_equal(found(f, "reptile"), 1);
    assert_int_equal(found(f, "lizard"), 1);
}

static void failures_are_no_answers(void **state)
{
    struct fixture *f = *state;
    struct operator_message *list, q, a;
    size_t n;
    struct buf json = BUF_INIT;
    const char *id = new_session(f, "t");
    said(f, id, "one", OK, "first");
    said(f, id, "two", FAILED, "a part that is wrong");
    said(f, id, "three", CANCELLED, "a part that counts");
    said(f, id, "four", CANCELLED, "");
    ask(f, id, "five", NULL, &q, &a);
    must(session_history(f->o.sessions, f->a, id, q.seq, 50, &list, &n, &err));
    assert_int_equal(n, 4);
    assert_string_equal(list[0].content, "one");
    assert_string_equal(list[1].content, "first");
    assert_string_equal(list[2].content, "three");
    assert_string_equal(list[3].content, "a part that counts");
    must(session_history(f->o.sessions, f->a, id, q.seq, 3, &list, &n, &err));
    assert_int_equal(n, 2); /* no answer without its question */
    must(session_history(f->o.sessions, f->a, id, q.seq, 0, &list, &n, &err));
    assert_int_equal(n, 0);
    must(session_context(f->o.sessions, id, q.seq, &json, &err));
    assert_null(strstr(json.data, "wrong"));
    assert_null(strstr(json.data, "five"));
    assert_non_null(strstr(json.data, "\"message_count\":8"));
    assert_non_null(strstr(json.data, "assistant: first"));
    buf_free(&json);
    assert_int_equal(found(f, "wrong"), 0);
}

static void edits_and_retries_replace(void **state)
{
    struct fixture *f = *state;
    struct operator_message q1, a1, q, a, *list;
    struct operator_session s;
    size_t n;
    const char *id = new_session(f, NULL);
    answer(f, ask(f, id, "apple", NULL, &q1, &a1), OK, "banana");
    said(f, id, "cherry", OK, "damson");
    must(turn_again(f->o.sessions, f->a, id, a1.id, "other", &q, &a, &err)); /* by the answer */
    assert_string_equal(q.id, q1.id);
    assert_string_equal(a.requested_model, "other");
    answer(f, a.id, OK, "elder");
    must(session_get(f->o.sessions, f->a, id, &s, &err));
    assert_int_equal(s.message_count, 2);
    assert_int_equal(found(f, "banana") + found(f, "cherry") + found(f, "damson"), 0);
    assert_int_equal(found(f, "apple") + found(f, "elder"), 2);
    struct turn_question edit = {.session_id = id, .text = "apricot", .len = 7, .replaces = q1.id};
    must(turn_begin(f->o.sessions, f->a, &edit, &q, &a, &err));
    answer(f, a.id, OK, "fig");
    must(session_history(f->o.sessions, f->a, id, INT64_MAX, 50, &list, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].content, "apricot");
    assert_int_equal(found(f, "apple") + found(f, "elder"), 0);
    /* What is replaced cannot be replaced again, nor an answer by a question. */
    assert_int_equal(turn_again(f->o.sessions, f->a, id, a1.id, NULL, &q, &a, &err), VX11_EINVALID);
    edit.replaces = list[1].id;
    assert_int_equal(turn_begin(f->o.sessions, f->a, &edit, &q, &a, &err), VX11_EINVALID);
    edit.replaces = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_int_equal(turn_begin(f->o.sessions, f->a, &edit, &q, &a, &err), VX11_ENOT_FOUND);
    must(session_get(f->o.sessions, f->a, id, &s, &err));
    assert_int_equal(s.message_count, 2); /* what failed left nothing */
    assert_string_equal(s.title, "apple");
}

static void branches(void **state)
{
    struct fixture *f = *state;
    struct operator_message q, a, *list;
    struct operator_session s;
    char id2[ULID_LEN + 1];
    size_t n;
    const char *id = new_session(f, "Fruit");
    said(f, id, "apple", OK, "banana");
    answer(f, ask(f, id, "cherry", NULL, &q, &a), FAILED, "");
    said(f, id, "late", OK, "later");
    must(session_branch(f->o.sessions, id, a.id, NULL, id2, &err));
    must(session_get(f->o.sessions, f->a, id2, &s, &err));
    assert_string_equal(s.title, "Fruit");
    assert_string_equal(s.branched_from->session_id, id);
    assert_string_equal(s.branched_from->message_id, a.id);
    assert_int_equal(s.message_count, 4);
    must(session_history(f->o.sessions, f->a, id2, INT64_MAX, 50, &list, &n, &err));
    assert_int_equal(n, 2);
    assert_string_equal(list[1].content, "banana");
    assert_int_equal(found(f, "banana"), 2);
    must(session_remove(f->o.sessions, id, &err));
    assert_int_equal(found(f, "banana"), 1);
    assert_int_equal(found(f, "late"), 0);
    assert_int_equal(session_branch(f->o.sessions, id2, a.id, NULL, id2, &err),
                     VX11_ENOT_FOUND); /* of the other */
}

static void bounds(void **state)
{
    struct fixture *f = *state;
    struct operator_message q, a;
    struct operator_session s;
    char big[5000];
    memset(big, 'x', sizeof big);
    const char *id = new_session(f, "a");
    struct turn_question question = {.session_id = id, .text = big, .len = sizeof big};
    assert_int_equal(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err), VX11_ETOO_LARGE);
    question.len = 4096;
    for (int i = 0; i < 16; i++) {
        must(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err));
        answer(f, a.id, OK, "");
    }
    assert_int_equal(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err), VX11_ETOO_LARGE);
    /* The sixth session makes the one go that was not used longest, is not pinned and does not run. */
    const char *b = new_session(f, "b"), *c = new_session(f, "c"), *d = new_session(f, "d"),
               *e = new_session(f, "e");
    must(store_exec(f->m.store, "UPDATE operator_session SET updated_at = 1000 + n", NULL, 0, NULL, &err));
    must(session_change(f->o.sessions, b, &(struct session_change){.pinned = 1}, &err));
    must(store_exec(f->m.store, "UPDATE operator_session SET updated_at = 1000 + n", NULL, 0, NULL, &err));
    must(sessions_hold(f->o.sessions, id, &err));
    assert_int_equal(sessions_hold(f->o.sessions, id, &err), VX11_EBUSY);
    assert_int_equal(session_remove(f->o.sessions, id, &err), VX11_EBUSY);
    new_session(f, "f");
    assert_int_equal(session_get(f->o.sessions, f->a, c, &s, &err), VX11_ENOT_FOUND);
    must(session_get(f->o.sessions, f->a, id, &s, &err));
    assert_true(s.running);
    must(session_get(f->o.sessions, f->a, b, &s, &err));
    assert_false(s.has_expires_at);
    (void)d, (void)e;
    /* All but the pinned, the held and the one that was just used are too old. */
    bool more = false;
    must(session_clean(f->o.sessions, clock_wall_ms(), 8, &more, &err));
    assert_int_equal(count(f, "SELECT count(*) FROM operator_session"), 3);
    sessions_release(f->o.sessions, id);
    must(session_clean(f->o.sessions, clock_wall_ms() + 60001, 8, &more, &err));
    assert_int_equal(count(f, "SELECT count(*) FROM operator_session"), 1);
    assert_int_equal(count(f, "SELECT count(*) FROM operator_message"), 0);
    assert_int_equal(found(f, "x*"), 0);
}

/* Larger than one step: it goes in several, and never half of a message. */
static void large_ones_go_in_steps(void **state)
{
    struct fixture *f = *state;
    struct operator_session s;
    const char *id = new_session(f, "large");
    must(store_exec(
        f->m.store,
        "WITH RECURSIVE i (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 30) "
        "INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, created_at, "
        "ended_at, indexed) SELECT printf('%026d', x), ?1, x, 'user', printf('plum%d ', x) || "
        "hex(zeroblob(50000)), 100006, 'ok', 1, 1, 1 FROM i",
        (struct store_value[]){STORE_T(id)}, 1, NULL, &err));
    must(store_exec(
        f->m.store,
        "INSERT INTO operator_message_words (rowid, content) SELECT n, content FROM operator_message", NULL,
        0, NULL, &err));
    assert_int_equal(found(f, "plum*"), 30);
    bool done = false;
    int64_t bytes = 0, steps = 1, before = 30;
    must(session_remove_step(f->o.sessions, id, &done, &bytes, &err));
    for (; !done; steps++) {
        must(session_get(f->o.sessions, f->a, id, &s, &err));
        assert_true(s.message_count < before);
        before = s.message_count;
        assert_int_equal(s.bytes, s.message_count * 100006);
        assert_int_equal(found(f, "plum*"), s.message_count);
        must(session_remove_step(f->o.sessions, id, &done, &bytes, &err));
    }
    assert_int_equal(steps, 3);
    assert_int_equal(session_get(f->o.sessions, f->a, id, &s, &err), VX11_ENOT_FOUND);
    assert_int_equal(found(f, "plum*"), 0);
}

static void a_crash_leaves_failures(void **state)
{
    struct fixture *f = *state;
    struct operator_message q, a, got;
    const char *id = new_session(f, "a");
    ask(f, id, "hello", NULL, &q, &a);
    must(turn_keep(f->o.sessions, a.id, "half an ans", 11, "hm", 2, &err));
    sessions_close(f->o.sessions);
    uv_run(&f->m.loop, UV_RUN_NOWAIT);
    sessions_free(f->o.sessions);
    must(sessions_create(&f->o, &f->o.sessions, &err));
    must(message_get(f->o.sessions, f->a, id, a.id, &got, &err));
    assert_int_equal(got.status, FAILED);
    assert_string_equal(got.content, "half an ans");
    assert_string_equal(got.reasoning, "hm");
    assert_string_equal(got.error->code, "interrupted");
    assert_int_equal(found(f, "half"), 0);
}

static void hostile_words(void **state)
{
    static const char *const words[] = {
        "",          " ",          "\"",      "\"\"\"",    "AND",         "NOT",       "OR OR",
        "NEAR(a b)", "a*b",        "*",       "content:a", "(",           ")",         "a)",
        "^a",        "-a",         "{a b}:c", "a + b",     "\"a",         "a\"b",      "'; --",
        "😀",         "\"😀\" a",    "…",       "\x01\x02",  "a NEAR/2 b",  "\\",        "%",
        "lizard😀",   "\"a\"\"b\"", "ẞ",       "a\tb\nc",   "\"a b\" \"c", "+ - / ( )", "NULL"};
    struct fixture *f = *state;
    char many[4000];
    const char *id = new_session(f, NULL);
    said(f, id, "Árboles y lizards", OK, "the lazy dog and near or not");
    for (size_t i = 0; i < COUNT_OF(words); i++)
        found(f, words[i]); /* fails by itself on an error of syntax */
    memset(many, '"', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    found(f, many);
    for (size_t i = 0; i + 1 < sizeof many; i++)
        many[i] = i % 2 ? ' ' : 'a';
    found(f, many);
    assert_int_equal(found(f, "arboles"), 1);
    assert_int_equal(found(f, "LIZ"), 1);         /* a beginning */
    assert_int_equal(found(f, "liz arboles"), 0); /* only the last may be one */
    assert_int_equal(found(f, "arboles liz"), 1);
    assert_int_equal(found(f, "\"lazy dog\""), 1);
    assert_int_equal(found(f, "\"dog lazy\""), 0);
    assert_int_equal(found(f, "dog lazy"), 1);
    assert_int_equal(found(f, "near"), 1);
    assert_int_equal(found(f, "not or"), 1);
    assert_int_equal(found(f, "dog 😀"), 1);
}

static void marks_are_utf16(void **state)
{
    struct fixture *f = *state;
    const char *text;
    int64_t *marks;
    size_t n;
    must(words_marks("😀 \x02"
                     "café\x03 y \x02té\x03",
                     f->a, &text, &marks, &n));
    assert_string_equal(text, "😀 café y té");
    assert_int_equal(n, 4);
    assert_int_equal(marks[0], 3);
    assert_int_equal(marks[1], 4);
    assert_int_equal(marks[2], 10);
    assert_int_equal(marks[3], 2);
    must(words_marks("\x02\x02\x03\x03 a\x02", f->a, &text, &marks, &n)); /* in the text itself */
    assert_string_equal(text, " a");
    assert_int_equal(n, 0);
}

/* A file as an upload leaves it. */
static struct operator_file put_file(struct fixture *f, const char *name, int kind, const char *type,
                                     const char *data)
{
    static const char hash[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char *id = arena_alloc(f->a, ULID_LEN + 1), path[200];
    struct operator_file file = {
        .id = ulid_make(id), .name = name, .kind = kind, .media_type = type, .bytes = (int64_t)strlen(data)};
    snprintf(path, sizeof path, "%s/files/%s", f->dir, id);
    must(fs_write_file_atomic(path, data, strlen(data), 0600, &err));
    struct store_value values[] = {
        STORE_T(id),   STORE_T(name),         STORE_T(operator_file_kind_names[kind]),
        STORE_T(type), STORE_I(strlen(data)), STORE_T(hash)};
    must(store_exec(f->m.store,
                    "INSERT INTO operator_file (id, content_id, name, kind, media_type, bytes, sha256, "
                    "created_at) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, 1)",
                    values, COUNT_OF(values), NULL, &err));
    return file;
}

static void files_reach_the_model(void **state)
{
    struct fixture *f = *state;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *parts;
    struct operator_file files[] = {
        put_file(f, "notes.md", OPERATOR_FILE_KIND_TEXT, "text/plain", "a\n```\nb"),
        put_file(f, "dot.png", OPERATOR_FILE_KIND_IMAGE, "image/png", "abc"),
        put_file(f, "voice.wav", OPERATOR_FILE_KIND_AUDIO, "audio/wav", "RIFF"),
        put_file(f, "song.flac", OPERATOR_FILE_KIND_AUDIO, "audio/flac", "fLaC"),
    };
    must(files_content(f->o.files, doc, "look", files, 2, false, &parts, &err));
    assert_int_equal(yyjson_mut_arr_size(parts), 3);
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(yyjson_mut_arr_get(parts, 0), "text")), "look");
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(yyjson_mut_arr_get(parts, 1), "text")),
                        "File notes.md:\n````\na\n```\nb\n````");
    yyjson_mut_val *image = yyjson_mut_obj_get(yyjson_mut_arr_get(parts, 2), "image_url");
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(image, "url")), "data:image/png;base64,YWJj");
    assert_int_equal(files_content(f->o.files, doc, "", files + 2, 1, false, &parts, &err),
                     VX11_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "Shub"));
    must(files_content(f->o.files, doc, "", files + 2, 1, true, &parts, &err));
    assert_int_equal(files_content(f->o.files, doc, "", files + 3, 1, true, &parts, &err), VX11_EUNSUPPORTED);
    yyjson_mut_doc_free(doc);
}

static void files_follow_their_messages(void **state)
{
    struct fixture *f = *state;
    struct operator_message q, a, got;
    char branch[ULID_LEN + 1];
    const char *id = new_session(f, "t");
    struct operator_file file = put_file(f, "a.txt", OPERATOR_FILE_KIND_TEXT, "text/plain", "hello");
    struct turn_question question = {
        .session_id = id, .text = "see", .len = 3, .attachments = &file.id, .attachment_count = 1};
    must(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err));
    answer(f, a.id, OK, "seen");
    assert_int_equal(q.attachments_count, 1);
    assert_string_equal(q.attachments[0].id, file.id);
    question.replaces = q.id; /* the same file again, with the edited message */
    must(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err));
    answer(f, a.id, OK, "seen again");
    assert_int_equal(q.attachments_count, 1);
    assert_string_not_equal(q.attachments[0].id, file.id);
    must(session_branch(f->o.sessions, id, a.id, NULL, branch, &err));
    assert_int_equal(count(f, "SELECT count(*) FROM operator_file"), 3);
    assert_int_equal(count(f, "SELECT count(DISTINCT content_id) FROM operator_file"), 1);
    const char *nobody = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    question = (struct turn_question){
        .session_id = id, .text = "x", .len = 1, .attachments = &nobody, .attachment_count = 1};
    assert_int_equal(turn_begin(f->o.sessions, f->a, &question, &q, &a, &err), VX11_ENOT_FOUND);
    /* The content stays as long as a message has it. */
    char path[200];
    snprintf(path, sizeof path, "%s/files/%s", f->dir, file.id);
    must(session_remove(f->o.sessions, id, &err));
    for (int i = 0; i < 5; i++)
        uv_run(&f->m.loop, UV_RUN_NOWAIT);
    assert_true(fs_exists(path));
    must(message_get(f->o.sessions, f->a, branch, "none", &got, &err) == VX11_ENOT_FOUND ? 0 : -1);
    must(session_remove(f->o.sessions, branch, &err));
    for (int i = 0; i < 5; i++)
        uv_run(&f->m.loop, UV_RUN_NOWAIT);
    assert_false(fs_exists(path));
}

static void export_keeps_fences(void **state)
{
    struct buf out = BUF_INIT;
    struct operator_message m = {.role = OPERATOR_MESSAGE_ROLE_ASSISTANT,
                                 .content = "look:\n```c\nint a;",
                                 .status = OK,
                                 .timestamp = 1800000000000};
    char name[64];
    (void)state;
    export_markdown_message(&m, &out);
    assert_non_null(strstr(out.data, "```c\nint a;\n```\n"));
    buf_clear(&out);
    m.content = "````\n```\n# not the end\n````\nafter";
    export_markdown_message(&m, &out);
    assert_non_null(strstr(out.data, "after\n\n"));
    buf_clear(&out);
    m.status = FAILED;
    m.content = "part ````` of it";
    export_markdown_message(&m, &out);
    assert_non_null(strstr(out.data, "**Failed:**"));
    assert_non_null(strstr(out.data, "``````\npart"));
    buf_free(&out);
    export_file_name("¿Qué es ../../etc/passwd?", ".md", name, sizeof name);
    assert_string_equal(name, "Qu-es-etc-passwd.md");
    export_file_name("日本", ".json", name, sizeof name);
    assert_string_equal(name, "session.json");
}

#define with(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(a_turn_is_written_down),
        with(failures_are_no_answers),
        with(edits_and_retries_replace),
        with(branches),
        with(bounds),
        with(a_crash_leaves_failures),
        with(large_ones_go_in_steps),
        with(hostile_words),
        with(marks_are_utf16),
        with(export_keeps_fences),
        with(files_reach_the_model),
        with(files_follow_their_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
