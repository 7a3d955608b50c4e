/* See fake_server.h. A thread for each connection; nothing of VX11's is used. */
#include "fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *model, *name, *offers;
    long ready_ms, answer_ms;
    bool quiet;
    struct timespec began;
    atomic_int requests, running;
    pthread_mutex_t lock;
    char last[256], file[512];
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static bool flag(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

static long number(int argc, char **argv, const char *name)
{
    const char *text = option(argc, argv, name);
    return text ? atol(text) : 0;
}

static long age_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - self.began.tv_sec) * 1000 + (now.tv_nsec - self.began.tv_nsec) / 1000000;
}

static void nap(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static void put(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        const ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void reply(int fd, int status, const char *type, const char *body)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                   status, type, strlen(body));
    put(fd, head);
    put(fd, body);
}

/* The text of a string field; the bodies of tests hold no escapes. */
static void field(const char *body, const char *name, char *out, size_t size)
{
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(body, key);
    out[0] = '\0';
    if (at)
        (void)snprintf(out, size, "%.*s", (int)strcspn(at + strlen(key), "\""), at + strlen(key));
}

static void generate(int fd, const char *body, bool chat)
{
    char event[512];
    const char *most = strstr(body, "\"max_tokens\":");
    int n = most ? atoi(most + strlen("\"max_tokens\":")) : 4;
    if (self.quiet)
        n = 0;
    nap(self.answer_ms);
    if (!strstr(body, "\"stream\":true")) {
        (void)snprintf(
            event, sizeof event,
            "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"%s\",\"choices\":[{"
            "\"index\":"
            "0,\"message\":{\"role\":\"assistant\",\"content\":\"fake\"},\"text\":\"fake\",\"finish_reason\":"
            "\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":%d,\"total_tokens\":%d}}",
            self.name, n, n + 3);
        reply(fd, 200, "application/json", event);
        return;
    }
    put(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < n; i++) {
        (void)snprintf(
            event, sizeof event,
            "data: "
            "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"%s\",\"choices\":"
            "[{\"index\":0,%s,\"finish_reason\":null}]}\n\n",
            self.name, chat ? "\"delta\":{\"content\":\" f\"}" : "\"text\":\" f\"");
        put(fd, event);
        nap(2);
    }
    (void)snprintf(
        event, sizeof event,
        "data: "
        "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"%s\",\"choices\":[{"
        "\"index\":0,%s,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":3,"
        "\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n",
        self.name, chat ? "\"delta\":{}" : "\"text\":\"\"", n, n + 3);
    put(fd, event);
}

static void list(int fd)
{
    char body[2048] = "{\"object\":\"list\",\"data\":[", names[1024];
    char *rest = NULL;
    (void)snprintf(names, sizeof names, "%s", self.offers ? self.offers : self.name);
    for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        const size_t len = strlen(body);
        (void)snprintf(body + len, sizeof body - len, "%s{\"id\":\"%.200s\",\"object\":\"model\"}",
                       body[len - 1] == '[' ? "" : ",", name);
    }
    const size_t len = strlen(body);
    (void)snprintf(body + len, sizeof body - len, "]}");
    reply(fd, 200, "application/json", body);
}

static void answer(int fd, const char *head, const char *body)
{
    char text[1024];
    if (strncmp(head, "GET /health ", 12) == 0) {
        const bool ready = age_ms() >= self.ready_ms;
        reply(fd, ready ? 200 : 503, "application/json",
              ready ? "{\"status\":\"ok\"}" : "{\"status\":\"loading\"}");
    } else if (strncmp(head, "GET /slots ", 11) == 0) {
        (void)snprintf(text, sizeof text,
                       "[{\"id\":0,\"is_processing\":%s},{\"id\":1,\"is_processing\":false}]",
                       atomic_load(&self.running) > 0 ? "true" : "false");
        reply(fd, 200, "application/json", text);
    } else if (strncmp(head, "GET /v1/models ", 15) == 0) {
        list(fd);
    } else if (strncmp(head, "GET /seen ", 10) == 0) {
        (void)pthread_mutex_lock(&self.lock);
        (void)snprintf(text, sizeof text, "{\"requests\":%d,\"model\":\"%s\",\"file\":\"%s\"}",
                       atomic_load(&self.requests), self.last, self.file);
        (void)pthread_mutex_unlock(&self.lock);
        reply(fd, 200, "application/json", text);
    } else if (strncmp(head, "POST /v1/", 9) == 0) {
        atomic_fetch_add(&self.requests, 1);
        atomic_fetch_add(&self.running, 1);
        (void)pthread_mutex_lock(&self.lock);
        field(body, "model", self.last, sizeof self.last);
        (void)pthread_mutex_unlock(&self.lock);
        generate(fd, body, strncmp(head, "POST /v1/chat/", 14) == 0);
        atomic_fetch_sub(&self.running, 1);
    } else {
        reply(fd, 404, "application/json", "{\"error\":{\"message\":\"no such path\"}}");
    }
}

static void *serve(void *arg)
{
    const int fd = (int)(long)arg;
    char text[65536];
    size_t len = 0, want = 0;
    char *body = NULL;
    while (len + 1 < sizeof text) {
        const ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
        if (!body && (body = strstr(text, "\r\n\r\n")) != NULL) {
            const char *length = strcasestr(text, "\r\nContent-Length:");
            body += 4;
            want = (size_t)(body - text) + (length ? (size_t)atol(length + 17) : 0);
        }
        if (body && len >= want) {
            answer(fd, text, body);
            break;
        }
    }
    (void)shutdown(fd, SHUT_RDWR);
    close(fd);
    return NULL;
}

static int listen_at(long port, const char *path)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const int one = 1, fd = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (path)
        (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const int rc =
        path ? bind(fd, (struct sockaddr *)&un, sizeof un) : bind(fd, (struct sockaddr *)&in, sizeof in);
    return rc == 0 && listen(fd, 64) == 0 ? fd : -1;
}

static void start_child(const char *file)
{
    const pid_t child = fork();
    if (child == 0) {
        for (;;)
            (void)pause();
    }
    FILE *f = fopen(file, "we");
    if (f) {
        (void)fprintf(f, "%d", (int)child);
        (void)fclose(f);
    }
}

static void *exit_later(void *arg)
{
    nap((long)arg);
    (void)fputs("the fake server has had enough\n", stderr);
    _exit(7);
    return NULL;
}

bool fake_server_asked(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "serve") == 0;
}

int fake_server_main(int argc, char **argv)
{
    pthread_t thread;
    pthread_attr_t small;
    const char *env = option(argc, argv, "--want-env"), *say = option(argc, argv, "--say"),
               *child = option(argc, argv, "--child");
    (void)clock_gettime(CLOCK_MONOTONIC, &self.began);
    self.model = option(argc, argv, "--model");
    self.name = option(argc, argv, "--name");
    self.name = self.name ? self.name : "fake";
    self.offers = option(argc, argv, "--offers");
    self.ready_ms = number(argc, argv, "--ready-ms");
    self.answer_ms = number(argc, argv, "--answer-ms");
    self.quiet = flag(argc, argv, "--quiet");
    (void)snprintf(self.file, sizeof self.file, "%s", self.model ? self.model : "");
    (void)pthread_attr_init(&small);
    (void)pthread_attr_setstacksize(&small, 256 * 1024);
    (void)pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    if (flag(argc, argv, "--deaf"))
        (void)signal(SIGTERM, SIG_IGN);
    if (say)
        (void)fprintf(stderr, "%s\n", say);
    if (env && (!getenv(env) || getenv("SECRET_OF_THE_PARENT")))
        return 9;
    if (child)
        start_child(child);
    if (number(argc, argv, "--exit-ms") > 0)
        (void)pthread_create(&thread, &small, exit_later, (void *)number(argc, argv, "--exit-ms"));
    const int listener = listen_at(number(argc, argv, "--port"), option(argc, argv, "--socket"));
    if (listener < 0) {
        perror("listen");
        return 3;
    }
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && pthread_create(&thread, &small, serve, (void *)(long)fd) != 0)
            close(fd);
    }
}
