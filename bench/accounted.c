/* Accounted: keeps a number of connections busy with chats and notes the id of each that was answered with
 * 200, until told to stop or the server goes away; then looks for the rows of those ids.
 *
 *   bench_accounted load HOST:PORT REQUEST-FILE CONNECTIONS IDS-FILE    until SIGTERM, or every connection
 * has been lost bench_accounted check DB-FILE IDS-FILE
 *   bench_accounted count DB-FILE
 *
 * load prints {"acknowledged"}, check prints {"acknowledged", "missing"}: how many of them lack a decision or
 * a usage row; count prints how many rows of each there are. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/str.h"
#include "common/http.h"
#include "store/store.h"

struct load {
    uv_loop_t loop;
    uv_signal_t stop;
    struct sockaddr_in to;
    struct buf request;
    FILE *ids;
    int64_t acknowledged, refused, live;
};

struct client {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t write;
    struct load *load;
    struct reply reply;
};

static void client_lost(struct client *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    uv_close((uv_handle_t *)&c->tcp, NULL);
    if (--c->load->live == 0)
        uv_stop(&c->load->loop);
}

static void client_ask(struct client *c)
{
    uv_buf_t b = uv_buf_init(c->load->request.data, (unsigned)c->load->request.len);
    reply_start(&c->reply, NULL, NULL);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, NULL) != 0)
        client_lost(c);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    static char shared[65536];
    (void)handle, (void)size;
    *out = uv_buf_init(shared, sizeof shared);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *b)
{
    struct client *c = tcp->data;
    struct load *l = c->load;
    if (n < 0 || reply_feed(&c->reply, b->base, (size_t)n) != 0) {
        client_lost(c);
        return;
    }
    if (!c->reply.done)
        return;
    if (c->reply.status == 200) {
        l->acknowledged++;
        fprintf(l->ids, "%s\n", c->reply.id);
        client_ask(c);
    } else { /* what comes now is refusals: there is nothing left to be lost */
        l->refused++;
        client_lost(c);
    }
}

static void on_connect(uv_connect_t *req, int status)
{
    struct client *c = req->handle->data;
    if (status != 0 || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        client_lost(c);
    else
        client_ask(c);
}

static void on_stop(uv_signal_t *handle, int signal)
{
    (void)signal;
    uv_stop(handle->loop);
}

static int address_parse(const char *address, struct sockaddr_in *out)
{
    char host[64];
    int64_t port;
    const char *colon = strrchr(address, ':');
    if (!colon || str_to_i64(colon + 1, 1, 65535, &port) != 0)
        return -1;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    return uv_ip4_addr(host, (int)port, out);
}

static int load_run(char **args)
{
    static struct load l;
    int64_t count;
    if (address_parse(args[0], &l.to) != 0 || request_read(args[1], &l.request) != 0 ||
        str_to_i64(args[2], 1, 1000, &count) != 0)
        return 2;
    l.ids = fopen(args[3], "we");
    struct client *clients = calloc((size_t)count, sizeof *clients);
    if (!l.ids || !clients) {
        fprintf(stderr, "bench_accounted: %s: %s\n", args[3], strerror(errno));
        free(clients);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&l.loop);
    uv_signal_init(&l.loop, &l.stop);
    uv_signal_start(&l.stop, on_stop, SIGTERM);
    for (int64_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        c->load = &l;
        l.live++;
        uv_tcp_init(&l.loop, &c->tcp);
        uv_tcp_nodelay(&c->tcp, 1);
        c->tcp.data = c;
        if (uv_tcp_connect(&c->connecting, &c->tcp, (const struct sockaddr *)&l.to, on_connect) != 0)
            client_lost(c);
    }
    uv_run(&l.loop, UV_RUN_DEFAULT);
    printf("{\"acknowledged\":%lld,\"refused\":%lld}\n", (long long)l.acknowledged, (long long)l.refused);
    int rc = fclose(l.ids) == 0 ? 0 : 1;
    free(clients);
    buf_free(&l.request);
    return rc;
}

/* ---- check ---- */

static int on_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static int check_all(struct store *s, FILE *ids, int64_t *acknowledged, int64_t *missing)
{
    static const char find[] = "SELECT count(*) FROM decision d JOIN usage u ON u.decision_id = d.id WHERE "
                               "d.request_id = ?1 AND d.outcome = 'ok'";
    char line[128];
    struct error err = {0};
    while (fgets(line, sizeof line, ids)) {
        int64_t rows = 0;
        struct store_value id = store_text_len(line, strcspn(line, "\n"));
        if (store_query(s, find, &id, 1, on_count, &rows, &err) != 0) {
            fprintf(stderr, "bench_accounted: %s\n", err.text);
            return 1;
        }
        (*acknowledged)++;
        if (rows != 1)
            (*missing)++;
    }
    return 0;
}

static int check_run(char **args)
{
    struct store *s;
    struct error err = {0};
    int64_t acknowledged = 0, missing = 0;
    FILE *ids = fopen(args[1], "re");
    if (!ids || store_open(&(struct store_options){.path = args[0], .read_only = true}, &s, &err) != 0) {
        fprintf(stderr, "bench_accounted: %s\n", ids ? err.text : strerror(errno));
        return 1;
    }
    int rc = check_all(s, ids, &acknowledged, &missing);
    store_close(s);
    fclose(ids);
    if (rc == 0)
        printf("{\"acknowledged\":%lld,\"missing\":%lld}\n", (long long)acknowledged, (long long)missing);
    return rc;
}

static int count_run(char **args)
{
    struct store *s;
    struct error err = {0};
    int64_t decisions = 0, usages = 0;
    if (store_open(&(struct store_options){.path = args[0], .read_only = true}, &s, &err) != 0) {
        fprintf(stderr, "bench_accounted: %s\n", err.text);
        return 1;
    }
    int rc = store_query(s, "SELECT count(*) FROM decision", NULL, 0, on_count, &decisions, &err);
    if (rc == 0)
        rc = store_query(s, "SELECT count(*) FROM usage", NULL, 0, on_count, &usages, &err);
    store_close(s);
    if (rc != 0) {
        fprintf(stderr, "bench_accounted: %s\n", err.text);
        return 1;
    }
    printf("{\"decisions\":%lld,\"usages\":%lld}\n", (long long)decisions, (long long)usages);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && str_eq(argv[1], "load"))
        return load_run(argv + 2);
    if (argc == 4 && str_eq(argv[1], "check"))
        return check_run(argv + 2);
    if (argc == 3 && str_eq(argv[1], "count"))
        return count_run(argv + 2);
    fprintf(stderr, "usage: bench_accounted load HOST:PORT REQUEST-FILE CONNECTIONS IDS-FILE\n"
                    "       bench_accounted check DB-FILE IDS-FILE\n"
                    "       bench_accounted count DB-FILE\n");
    return 2;
}
