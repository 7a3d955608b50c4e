/* Clients: several streamed chats at a time on one server, each on a connection of its own, and what each of
 * their readers sees: when the first piece of text came, how many tokens until when, the longest silence
 * between two pieces, and the longest while another one's prompt was being read.
 *
 *   bench_clients ADDRESS [--limit-s N] [--text PREFIX] REQUEST[@MS]...
 *
 * REQUEST is a file with a whole HTTP request; it is sent MS after the start (0: at once; more clients than
 * one at 0 are sent back to back). --text keeps what each was told in PREFIX0, PREFIX1, …  Prints one JSON
 * object:
 *
 *   {seconds, tokens, clients: [{sent_ms, first_ms, end_ms, prompt_tokens, cached_tokens, tokens, pieces,
 *    tokens_per_s, gap_ms, waited_gap_ms}]}
 *
 * first_ms and end_ms count from when the request was sent; tokens are the server's own count, and
 * tokens_per_s lies between first and last piece of text, without the first token; waited_gap_ms is the
 * longest silence of the others while this client waited for its first piece (null: nobody else was being
 * told anything). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "common/http.h"

enum { CLIENTS_MAX = 64 };

struct client {
    struct reply reply;
    struct lines lines;
    struct buf request, text;
    int fd;
    bool over;
    uint64_t due, sent, first, finish, last; /* last piece of text; 0: not yet */
    uint64_t gap;
    uint64_t *pieces; /* when each came */
    size_t count, cap;
    int64_t tokens, prompt_tokens, cached_tokens; /* -1: not told */
    char end[16];                                 /* finish_reason */
};

struct load {
    struct client clients[CLIENTS_MAX];
    size_t count;
    uint64_t start, limit;
    const char *text_prefix;
};

static void piece_take(struct client *c, const char *text, size_t len, uint64_t now)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 256;
        c->pieces = realloc(c->pieces, c->cap * sizeof *c->pieces);
        if (!c->pieces)
            abort();
    }
    c->pieces[c->count++] = now;
    if (!c->first)
        c->first = now;
    else if (now - c->last > c->gap)
        c->gap = now - c->last;
    c->last = now;
    buf_append(&c->text, text, len);
}

static void count_take(yyjson_val *v, int64_t *out)
{
    if (yyjson_is_int(v))
        *out = yyjson_get_sint(v);
}

static void event_take(struct client *c, yyjson_val *root)
{
    yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *content = yyjson_obj_get(yyjson_obj_get(choice, "delta"), "content");
    yyjson_val *end = yyjson_obj_get(choice, "finish_reason");
    yyjson_val *usage = yyjson_obj_get(root, "usage");
    uint64_t now = clock_mono_ns();
    if (yyjson_get_len(content) > 0)
        piece_take(c, yyjson_get_str(content), yyjson_get_len(content), now);
    if (yyjson_is_str(end)) {
        c->finish = now;
        snprintf(c->end, sizeof c->end, "%s", yyjson_get_str(end));
    }
    count_take(yyjson_obj_get(usage, "completion_tokens"), &c->tokens);
    count_take(yyjson_obj_get(usage, "prompt_tokens"), &c->prompt_tokens);
    count_take(yyjson_obj_get(yyjson_obj_get(usage, "prompt_tokens_details"), "cached_tokens"),
               &c->cached_tokens);
}

static void on_line(void *ctx, char *line, size_t len)
{
    if (!str_starts(line, "data: {"))
        return;
    yyjson_doc *doc = yyjson_read(line + 6, len - 6, 0);
    if (doc)
        event_take(ctx, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
}

static void on_body(void *ctx, const char *data, size_t len)
{
    struct client *c = ctx;
    lines_feed(&c->lines, data, len);
}

/* ---- the loop ---- */

static int client_send(struct client *c, const char *address)
{
    c->fd = dial(address);
    if (c->fd < 0)
        return -1;
    c->sent = clock_mono_ns();
    return send_all(c->fd, c->request.data, c->request.len);
}

/* 0, or -1 when what comes is no answer. */
static int client_read(struct client *c)
{
    static char bytes[65536];
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0 || reply_feed(&c->reply, bytes, (size_t)n) != 0)
        return -1;
    if (c->reply.done) {
        close(c->fd);
        c->over = true;
    }
    return 0;
}

/* Milliseconds until the next client is due, at most those until the limit. */
static int patience(const struct load *l, uint64_t now)
{
    uint64_t until = l->limit;
    for (size_t i = 0; i < l->count; i++)
        if (l->clients[i].fd < 0 && l->clients[i].due < until)
            until = l->clients[i].due;
    return until <= now ? 0 : (int)((until - now) / 1000000 + 1);
}

static int load_run(struct load *l, const char *address)
{
    for (size_t open = l->count; open > 0;) {
        struct pollfd fds[CLIENTS_MAX];
        uint64_t now = clock_mono_ns();
        if (now >= l->limit)
            return fprintf(stderr, "bench_clients: time is up with %zu clients waiting\n", open), -1;
        for (size_t i = 0; i < l->count; i++) {
            struct client *c = &l->clients[i];
            if (c->fd < 0 && c->due <= now && client_send(c, address) != 0)
                return -1;
            fds[i] = (struct pollfd){.fd = c->over ? -1 : c->fd, .events = POLLIN};
        }
        if (poll(fds, (nfds_t)l->count, patience(l, clock_mono_ns())) < 0 && errno != EINTR)
            return perror("bench_clients: poll"), -1;
        for (size_t i = 0; i < l->count; i++) {
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            if (client_read(&l->clients[i]) != 0)
                return fprintf(stderr, "bench_clients: client %zu: the answer breaks off\n", i), -1;
            open -= l->clients[i].over;
        }
    }
    return 0;
}

/* ---- what came of it ---- */

/* Longest silence of the others, of any part that lies between when this client sent and was first told. */
static double waited_gap_ms(const struct load *l, const struct client *waiter)
{
    double worst = -1;
    for (size_t i = 0; i < l->count; i++) {
        const struct client *c = &l->clients[i];
        for (size_t n = 1; c != waiter && n < c->count; n++) {
            if (c->pieces[n] < waiter->sent || c->pieces[n - 1] > waiter->first)
                continue;
            double gap = (double)(c->pieces[n] - c->pieces[n - 1]) / 1e6;
            worst = gap > worst ? gap : worst;
        }
    }
    return worst;
}

static int client_check(const struct client *c, size_t i)
{
    if (c->reply.status == 200 && c->first && c->finish && c->tokens > 0)
        return 0;
    fprintf(stderr, "bench_clients: client %zu: status %d, %lld tokens, text %s, end %s\n", i,
            c->reply.status, (long long)c->tokens, c->first ? "seen" : "missing",
            c->finish ? "seen" : "missing");
    return -1;
}

static void client_print(const struct load *l, const struct client *c)
{
    double told = (double)(c->finish - c->first) / 1e9, waited = waited_gap_ms(l, c);
    printf(
        "{\"sent_ms\":%.3f,\"first_ms\":%.3f,\"end_ms\":%.3f,\"prompt_tokens\":%lld,\"cached_tokens\":%lld,"
        "\"tokens\":%lld,\"pieces\":%zu,\"end\":\"%s\",\"tokens_per_s\":%.3f,\"gap_ms\":%.3f",
        (double)(c->sent - l->start) / 1e6, (double)(c->first - c->sent) / 1e6,
        (double)(c->finish - c->sent) / 1e6, (long long)c->prompt_tokens, (long long)c->cached_tokens,
        (long long)c->tokens, c->count, c->end, told > 0 ? (double)(c->tokens - 1) / told : 0,
        (double)c->gap / 1e6);
    if (waited < 0)
        printf(",\"waited_gap_ms\":null}");
    else
        printf(",\"waited_gap_ms\":%.3f}", waited);
}

static int report(const struct load *l)
{
    uint64_t end = l->start;
    int64_t tokens = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct client *c = &l->clients[i];
        struct error err = {0};
        char path[4096];
        if (client_check(c, i) != 0)
            return 1;
        end = c->finish > end ? c->finish : end;
        tokens += c->tokens;
        if (!l->text_prefix)
            continue;
        snprintf(path, sizeof path, "%s%zu", l->text_prefix, i);
        if (fs_write_file_atomic(path, c->text.data, c->text.len, 0600, &err) != 0)
            return fprintf(stderr, "bench_clients: %s\n", err.text), 1;
    }
    printf("{\"seconds\":%.6f,\"tokens\":%lld,\"clients\":[", (double)(end - l->start) / 1e9,
           (long long)tokens);
    for (size_t i = 0; i < l->count; i++) {
        printf("%s", i ? "," : "");
        client_print(l, &l->clients[i]);
    }
    puts("]}");
    return 0;
}

/* ---- command line ---- */

static int client_add(struct load *l, char *word)
{
    int64_t after = 0;
    char *at = strrchr(word, '@');
    if (l->count == CLIENTS_MAX || (at && str_to_i64(at + 1, 0, 3600000, &after) != 0))
        return -1;
    if (at)
        *at = '\0';
    struct client *c = &l->clients[l->count++];
    c->fd = -1;
    c->tokens = c->prompt_tokens = c->cached_tokens = -1;
    c->due = (uint64_t)after * 1000000;
    c->lines = (struct lines){.on_line = on_line, .ctx = c};
    reply_start(&c->reply, on_body, c);
    return request_read(word, &c->request);
}

static int options(struct load *l, int argc, char **argv, int64_t *limit_s)
{
    for (int i = 2; i < argc; i++) {
        if (i + 1 < argc && str_eq(argv[i], "--limit-s")) {
            if (str_to_i64(argv[++i], 1, 36000, limit_s) != 0)
                return -1;
        } else if (i + 1 < argc && str_eq(argv[i], "--text")) {
            l->text_prefix = argv[++i];
        } else if (client_add(l, argv[i]) != 0) {
            return -1;
        }
    }
    return l->count > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct load l;
    int64_t limit_s = 120;
    if (options(&l, argc, argv, &limit_s) != 0) {
        fprintf(stderr, "usage: bench_clients ADDRESS [--limit-s N] [--text PREFIX] REQUEST[@MS]...\n");
        return 2;
    }
    l.start = clock_mono_ns();
    l.limit = l.start + (uint64_t)limit_s * 1000000000;
    for (size_t i = 0; i < l.count; i++)
        l.clients[i].due += l.start;
    int rc = load_run(&l, argv[1]) != 0 ? 1 : report(&l);
    for (size_t i = 0; i < l.count; i++) {
        struct client *c = &l.clients[i];
        buf_free(&c->request);
        buf_free(&c->text);
        buf_free(&c->lines.held);
        free(c->pieces);
    }
    return rc;
}
