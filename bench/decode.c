/* Decode: one streamed chat, timed from its first piece of text to the piece that says why it ended. What
 * lies before is the prompt; the number of tokens is the server's own count.
 *
 *   bench_decode ADDRESS REQUEST-FILE [--text FILE]
 *
 * Prints one JSON object: {first_ms, tokens, seconds, tokens_per_s}; --text keeps what was said. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "common/http.h"

struct decode {
    struct lines lines;
    struct buf text;
    uint64_t start, first, finish;
    int64_t tokens; /* -1: not told */
};

static void event_take(struct decode *d, yyjson_val *root)
{
    yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *content = yyjson_obj_get(yyjson_obj_get(choice, "delta"), "content");
    yyjson_val *tokens = yyjson_obj_get(yyjson_obj_get(root, "usage"), "completion_tokens");
    uint64_t now = clock_mono_ns();
    if (yyjson_get_len(content) > 0) {
        if (!d->first)
            d->first = now;
        buf_append(&d->text, yyjson_get_str(content), yyjson_get_len(content));
    }
    if (yyjson_is_str(yyjson_obj_get(choice, "finish_reason")))
        d->finish = now;
    if (yyjson_is_int(tokens))
        d->tokens = yyjson_get_sint(tokens);
}

static void on_line(void *ctx, char *line, size_t len)
{
    struct decode *d = ctx;
    if (!str_starts(line, "data: {"))
        return;
    yyjson_doc *doc = yyjson_read(line + 6, len - 6, 0);
    if (doc)
        event_take(d, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}

static void on_body(void *ctx, const char *data, size_t len)
{
    struct decode *d = ctx;
    lines_feed(&d->lines, data, len);
}

static int report(struct decode *d, const struct reply *r, const char *text_file)
{
    struct error err = {0};
    if (r->status != 200 || !d->first || !d->finish || d->tokens < 2) {
        fprintf(stderr, "bench_decode: status %d, %lld tokens, text %s, end %s\n", r->status,
                (long long)d->tokens, d->first ? "seen" : "missing", d->finish ? "seen" : "missing");
        return 1;
    }
    if (text_file && fs_write_file_atomic(text_file, d->text.data, d->text.len, 0600, &err) != 0) {
        fprintf(stderr, "bench_decode: %s\n", err.text);
        return 1;
    }
    double seconds = (double)(d->finish - d->first) / 1e9;
    printf("{\"first_ms\":%.3f,\"tokens\":%lld,\"seconds\":%.6f,\"tokens_per_s\":%.3f}\n",
           (double)(d->first - d->start) / 1e6, (long long)d->tokens, seconds,
           (double)(d->tokens - 1) / seconds);
    return 0;
}

int main(int argc, char **argv)
{
    struct decode d = {.tokens = -1};
    static struct reply r;
    struct buf request = BUF_INIT;
    if (argc != 3 && !(argc == 5 && str_eq(argv[3], "--text"))) {
        fprintf(stderr, "usage: bench_decode ADDRESS REQUEST-FILE [--text FILE]\n");
        return 2;
    }
    d.lines = (struct lines){.on_line = on_line, .ctx = &d};
    int fd = dial(argv[1]);
    if (fd < 0 || request_read(argv[2], &request) != 0)
        return 1;
    reply_start(&r, on_body, &d);
    d.start = clock_mono_ns();
    int rc =
        exchange(fd, request.data, request.len, &r) != 0 ? 1 : report(&d, &r, argc == 5 ? argv[4] : NULL);
    close(fd);
    buf_free(&request);
    buf_free(&d.text);
    buf_free(&d.lines.held);
    return rc;
}
