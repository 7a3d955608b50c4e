/* Log: the two formats, escaping, redaction, levels, request ids, the ring. Rotation is in test_log_rotate.c.
 */
#include "test.h"

#include <limits.h>
#include <math.h>

#include "base/log.h"
#include "base/log_internal.h"
#include "base/str.h"

static char dir[64], path[128];

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    snprintf(path, sizeof path, "%s/m.log", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_request(NULL);
    log_close();
    temp_remove(dir);
    return 0;
}

static void open_log(enum log_format format, enum log_level level)
{
    struct error err = {0};
    struct log_options o = {.module = "link", .path = path, .format = format, .level = level};
    if (log_open(&o, &err) != 0)
        fail_msg("%s", err.text);
}

/* What the file holds; the caller frees. */
static struct buf content(void)
{
    struct buf b = BUF_INIT;
    assert_int_equal(fs_read_file(path, 1 << 24, &b, NULL), 0);
    if (!b.data)
        buf_puts(&b, "");
    return b;
}

/* The file is the given text after the time of its only record. */
static void expect(const char *want)
{
    struct buf b = content();
    const char *rest = strstr(b.data, "level=");
    if (!rest)
        rest = strstr(b.data, "\"level\"");
    assert_non_null(rest);
    assert_string_equal(rest, want);
    buf_free(&b);
    assert_int_equal(truncate(path, 0), 0);
}

static void logfmt(void **state)
{
    (void)state;
    open_log(LOG_LOGFMT, LOG_INFO);
    log_info("server", "listening", LOG_S("address", "127.0.0.1"), LOG_I("port", 8000), LOG_D("load", 0.25),
             LOG_B("tls", false));
    expect(
        "level=info module=link part=server msg=listening address=127.0.0.1 port=8000 load=0.25 tls=false\n");
    log_warn("x", "two words");
    expect("level=warn module=link part=x msg=\"two words\"\n");
    log_error(NULL, "", LOG_S("none", NULL), LOG_S("empty", ""), LOG_D("nan", (double)NAN),
              LOG_D("inf", (double)INFINITY));
    expect("level=error module=link msg=\"\" none=null empty=\"\" nan=null inf=null\n");
    log_info("x", "m", LOG_S("a b=c\n", "v"), LOG_S("", "w"), LOG_S("é", "u"));
    expect("level=info module=link part=x msg=m a_b_c_=v _=w __=u\n");
    log_set_request("01ARYZ6S41TSV4RRFFQ69G5FAV");
    log_info("x", "m", LOG_I("n", INT64_MIN));
    expect(
        "level=info module=link part=x msg=m request_id=01ARYZ6S41TSV4RRFFQ69G5FAV n=-9223372036854775808\n");
    assert_string_equal(log_current_request(), "01ARYZ6S41TSV4RRFFQ69G5FAV");
    log_set_request(NULL);
    assert_string_equal(log_current_request(), "");

    struct buf b = BUF_INIT;
    log_info("x", "m");
    assert_int_equal(fs_read_file(path, 1000, &b, NULL), 0);
    assert_true(str_starts(b.data, "time=20") && b.data[4 + 1 + 24] == ' ' && b.data[4 + 24] == 'Z');
    buf_free(&b);
}

static void json(void **state)
{
    (void)state;
    open_log(LOG_JSON, LOG_INFO);
    log_info("s", "hi \"you\"", LOG_S("none", NULL), LOG_D("d", 1.5), LOG_B("b", true), LOG_S("api_key", "x"),
             LOG_D("nan", (double)NAN));
    expect("\"level\":\"info\",\"module\":\"link\",\"part\":\"s\",\"msg\":\"hi "
           "\\\"you\\\"\",\"none\":null,\"d\":1.5,"
           "\"b\":true,\"api_key\":\"[redacted]\",\"nan\":null}\n");
}

static void no_forging(void **state)
{
    (void)state;
    open_log(LOG_LOGFMT, LOG_INFO);
    log_info("x", "a\nlevel=error msg=forged",
             LOG_S("v", "1\r\n2\t\"3\" \\ = \x1b[31m \x7f \xC2\x9B \xE2\x80\xA8 \xff é"));
    expect("level=info module=link part=x msg=\"a\\nlevel=error msg=forged\" "
           "v=\"1\\r\\n2\\t\\\"3\\\" \\\\ = \\u001b[31m \\u007f \\u009b \\u2028 \xEF\xBF\xBD é\"\n");
}

static void levels(void **state)
{
    (void)state;
    int evaluated = 0;
    open_log(LOG_LOGFMT, LOG_WARN);
    log_info("x", "not shown", LOG_I("n", ++evaluated));
    assert_int_equal(evaluated, 0); /* fields of a level that is off cost nothing */
    log_warn("x", "shown");
    expect("level=warn module=link part=x msg=shown\n");
    log_set_level(LOG_OFF);
    log_error("x", "not shown");
    log_write(LOG_OFF, "x", "never", NULL, 0);
    assert_false(log_enabled(LOG_ERROR) || log_enabled(LOG_OFF));
    log_set_level(LOG_TRACE);
    log_trace("x", "shown");
    expect("level=trace module=link part=x msg=shown\n");

    static const char *const names[] = {"trace", "DEBUG", "Info", "warn", "error", "off"};
    enum log_level level;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse("warning", &level), 0);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("loud", &level), VX11_EINVALID);
    assert_int_equal(log_level_parse(NULL, &level), VX11_EINVALID);
    assert_string_equal(log_level_name(LOG_DEBUG), "debug");
}

static void secret_keys(void **state)
{
    (void)state;
    static const char *const secret[] = {"api_key",       "API_KEY",
                                         "X-Api-Key",     "apiKey",
                                         "apikey",        "key",
                                         "Key",           "token",
                                         "TOKEN",         "access_token",
                                         "accessToken",   "authToken",
                                         "Authorization", "proxy-authorization",
                                         "password",      "db_password",
                                         "client.secret", "Cookie",
                                         "set-cookie",    "private_key",
                                         "PRIVATE-KEY",   "credentials",
                                         "passphrase"};
    static const char *const open[] = {"tokens",
                                       "prompt_tokens",
                                       "max_tokens",
                                       "token_count",
                                       "completion_tokens",
                                       "cached_tokens",
                                       "tokens_per_second",
                                       "key_path",
                                       "api_key_env",
                                       "monkey",
                                       "hotkey",
                                       "keyboard",
                                       "keys",
                                       "token_file",
                                       "cookie_count",
                                       "KEYS",
                                       "secretary",
                                       ""};
    for (size_t i = 0; i < COUNT_OF(secret); i++) {
        if (!log_is_secret(secret[i], "x"))
            fail_msg("%s is a secret", secret[i]);
    }
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        if (log_is_secret(open[i], "x"))
            fail_msg("%s is no secret", open[i]);
    }
    assert_false(log_is_secret(NULL, NULL));

    open_log(LOG_LOGFMT, LOG_INFO);
    log_info("x", "m", LOG_S("api_key", "hunter2"), LOG_I("token", 4711), LOG_B("token", true),
             LOG_I("prompt_tokens", 12), LOG_I("max_tokens", 99), LOG_S("token", NULL), LOG_S("key", ""));
    expect("level=info module=link part=x msg=m api_key=[redacted] token=[redacted] token=true "
           "prompt_tokens=12 max_tokens=99 "
           "token=null key=\"\"\n");
}

#define OURS "vx11_9fA3kQ0ZbXc7dEe1RtYuIoP2aSdFgHjK4lMnBvC5xZq"

/* What a text looks like after masking; NULL: as it is. */
static void secret_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"Bearer abcdef0123456789", "[redacted]"},
        {"bearer   abcdef0123456789", "[redacted]"},
        {"sk-proj-abc_DEF-123456", "[redacted]"},
        {OURS, "[redacted]"},
        {"hf_abcdefghijklmnopqrstuvwxyz", "[redacted]"},
        {"Incorrect API key provided: sk-abcdefgh12. See docs.",
         "Incorrect API key provided: [redacted]. See docs."},
        {"a " OURS " b " OURS, "a [redacted] b [redacted]"},
        {"http://127.0.0.1:8020/login?token=abc123&next=/",
         "http://127.0.0.1:8020/login?token=[redacted]&next=/"},
        {"https://ana:hunter2@example.org/v1", "https://[redacted]@example.org/v1"},
        {"{\"api_key\": \"a\\\"b\", \"n\": 1}", "{\"api_key\": \"[redacted]\", \"n\": 1}"},
        {"{\\\"password\\\":\\\"x y\\\",\\\"n\\\":1}", "{\\\"password\\\":\\\"[redacted]\\\",\\\"n\\\":1}"},
        {"Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"},
        {"Cookie: a=b; c=d", "Cookie: [redacted]"},
        {"password=hunter2", "password=[redacted]"},
        {"PGPASSWORD='a b' psql", "PGPASSWORD='[redacted]' psql"},
        /* and these stay */
        {"task-force-is-here", NULL},
        {"the sk-learn package", NULL},
        {"vx11_http_request_duration_seconds_bucket", NULL},
        {"vx11_switch", NULL},
        {"Bearer", NULL},
        {"unknown key: temprature", NULL},
        {"bad token: expected a comma", NULL},
        {"{\"prompt_tokens\": 12, \"max_tokens\":5}", NULL},
        {"http://127.0.0.1:8000/v1/models", NULL},
        {"mail ana@example.org: hello", NULL},
        {"", NULL},
        {"=:=:", NULL},
        {"token=", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *want = cases[i].want ? cases[i].want : cases[i].text;
        struct buf masked = BUF_INIT;
        size_t len = strlen(cases[i].text), from = 0, start, end;
        while (log_find_secret(cases[i].text, len, from, &start, &end)) {
            assert_true(start >= from && end > start && end <= len);
            buf_append(&masked, cases[i].text + from, start - from);
            buf_puts(&masked, "[redacted]");
            from = end;
        }
        buf_append(&masked, cases[i].text + from, len - from);
        assert_string_equal(masked.data, want);
        assert_int_equal(log_is_secret(NULL, cases[i].text), cases[i].want != NULL);
        buf_free(&masked);
    }
    open_log(LOG_LOGFMT, LOG_INFO);
    log_info("x", "got " OURS, LOG_S("url", "http://h/?key=abc"), LOG_S("header", "Bearer 0123456789"));
    expect("level=info module=link part=x msg=\"got [redacted]\" url=\"http://h/?key=[redacted]\" "
           "header=\"[redacted]\"\n");
}

/* A strict reader of one flat JSON object; NULL when s is none. */
static const char *skip_json_string(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s == '\\' && !strchr("\"\\/bfnrtu", *++s))
            return NULL;
    }
    return s + 1;
}

static bool is_json_object(const char *s)
{
    if (*s++ != '{')
        return false;
    for (;; s++) {
        s = skip_json_string(s);
        if (!s || *s++ != ':')
            return false;
        s = *s == '"' ? skip_json_string(s) : s + strcspn(s, ",}\n");
        if (!s || (*s != ',' && *s != '}'))
            return false;
        if (*s == '}')
            return s[1] == '\n' && s[2] == '\0';
    }
}

/* Whatever is given, a record is one sound line within its bound, and says when something is missing. */
static void too_long(void **state)
{
    (void)state;
    static struct log_line line;
    enum { LONG = 20000 };
    char *value = malloc(LONG + 1);
    static const char *const fills[] = {"a", "é", "😀", "\x01", "\"", "\xff", " "};
    for (size_t f = 0; f < COUNT_OF(fills); f++) {
        for (size_t shift = 0; shift < 5; shift++) {
            size_t n = strlen(fills[f]);
            memset(value, 'x', shift);
            for (size_t i = shift; i + n <= LONG; i += n)
                memcpy(value + i, fills[f], n);
            value[LONG / 2] = '\0';
            const struct log_field fields[] = {LOG_S("a", value), LOG_S("b", value), LOG_S("c", value),
                                               LOG_I("n", 5), LOG_S("d", value)};
            struct log_record r = {
                .module = "m", .msg = shift % 2 ? value : "m", .fields = fields, .n = COUNT_OF(fields)};
            for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
                log_format(&line, (enum log_format)format, &r);
                assert_true(line.len < LOG_LINE_MAX);
                assert_true(line.cut);
                line.text[line.len] = '\0';
                assert_int_equal(line.text[0], '\n');
                assert_ptr_equal(strchr(line.text + 1, '\n'), line.text + line.len - 1);
                assert_true(utf8_valid(line.text, line.len));
                assert_non_null(strstr(line.text, "…"));
                assert_non_null(strstr(line.text, format == LOG_JSON ? ",\"cut\":true}" : " cut=true"));
                if (format == LOG_JSON)
                    assert_true(is_json_object(line.text + 1));
            }
        }
    }
    free(value);
}

/* A secret that the cut goes through must not show its first half. */
static void cut_secret(void **state)
{
    (void)state;
    static struct log_line line;
    char value[6000];
    for (size_t at = 4040; at < 4100; at++) {
        memset(value, ' ', sizeof value);
        memcpy(value + at, OURS, strlen(OURS));
        value[sizeof value - 1] = '\0';
        const struct log_field f = LOG_S("v", value);
        struct log_record r = {.module = "m", .msg = "m", .fields = &f, .n = 1};
        log_format(&line, LOG_JSON, &r);
        line.text[line.len] = '\0';
        assert_null(strstr(line.text, "vx11_"));
        assert_true(is_json_object(line.text + 1));
    }
}

static void ring(void **state)
{
    (void)state;
    static char tail[128 * 1024];
    open_log(LOG_LOGFMT, LOG_INFO);
    for (int i = 0; i < 200; i++)
        log_info("x", "m", LOG_I("number", i));
    size_t n = log_tail(tail, sizeof tail - 1);
    tail[n] = '\0';
    int next = 136; /* 64 records */
    for (char *line = tail, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL, next++) {
        char want[32];
        snprintf(want, sizeof want, " number=%d", next);
        assert_true(str_ends(line, want));
    }
    assert_int_equal(next, 200);
    /* What fits of the newest. */
    n = log_tail(tail, 300);
    tail[n] = '\0';
    assert_true(n > 0 && n <= 300 && str_ends(tail, " number=199\n"));
    assert_int_equal(log_tail(tail, 0), 0);
    /* A record longer than a slot ends its line all the same. */
    char value[3000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    log_info("x", "m", LOG_S("v", value));
    n = log_tail(tail, sizeof tail - 1);
    assert_int_equal(tail[n - 1], '\n');
}

static void reopen(void **state)
{
    (void)state;
    open_log(LOG_LOGFMT, LOG_INFO);
    log_info("x", "one");
    open_log(LOG_JSON, LOG_INFO);
    log_info("x", "two");
    struct buf b = content();
    assert_non_null(strstr(b.data, "msg=one\n"));
    assert_non_null(strstr(b.data, "\"msg\":\"two\"}\n"));
    buf_free(&b);

    /* What cannot be opened leaves the log as it was. */
    struct error err = {0};
    struct log_options o = {.module = "x", .path = "/proc/no/such/log"};
    assert_int_equal(log_open(&o, &err), VX11_ENOT_FOUND);
    assert_non_null(strstr(err.text, "/proc/no/such/log"));
    char longest[PATH_MAX + 10];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    o.path = longest;
    assert_int_equal(log_open(&o, &err), VX11_ETOO_LARGE);
    log_info("x", "three");
    b = content();
    assert_non_null(strstr(b.data, "\"msg\":\"three\"}\n"));
    buf_free(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(logfmt),        TEST(json),     TEST(no_forging), TEST(levels), TEST(secret_keys),
        TEST(secret_values), TEST(too_long), TEST(cut_secret), TEST(ring),   TEST(reopen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
