/* See fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "fixture.h"
#include "gguf_writer.h"

int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = {0};
    char path[128];
    (void)snprintf(f->home, sizeof f->home, "/tmp/vx11-hermes-XXXXXX");
    if (!mkdtemp(f->home))
        return -1;
    (void)snprintf(path, sizeof path, "%s/vx11.db", f->home);
    struct store_options options = {.path = path, .migrate = true};
    if (store_open(&options, &f->store, &err) != 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    f->arena = arena_create(0);
    *state = f;
    return f->arena && uv_loop_init(&f->loop) == 0 ? 0 : -1;
}

int fixture_close(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    uv_run(&f->loop, UV_RUN_NOWAIT);
    int rc = uv_loop_close(&f->loop);
    store_close(f->store);
    arena_destroy(f->arena);
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tmp < 0 || fs_remove_tree(tmp, f->home + 5, &err) != 0)
        rc = -1;
    close(tmp);
    free(f);
    return rc;
}

const char *fixture_path(struct fixture *f, const char *name)
{
    return arena_printf(f->arena, "%s/%s", f->home, name);
}

const char *fixture_file(struct fixture *f, const char *name, const void *data, size_t len)
{
    struct error err = {0};
    const char *path = fixture_path(f, name);
    char *folder = arena_strdup(f->arena, path);
    *strrchr(folder, '/') = '\0';
    if (fs_mkdirs(folder, 0700, &err) != 0 || fs_write_file_atomic(path, data, len, 0600, &err) != 0)
        fail_msg("%s", err.text);
    return path;
}

const char *fixture_model(struct fixture *f, const char *name, const char *salt)
{
    struct buf b = BUF_INIT;
    gw_model(&b, salt);
    const char *path = fixture_file(f, name, b.data, b.len);
    buf_free(&b);
    return path;
}

static void on_tick(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void run_until(struct fixture *f, const bool *done, const bool *over)
{
    while (!*done && !*over)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void run_with_timer(struct fixture *f, const bool *done, int ms, bool must)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(&f->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_tick, (uint64_t)ms, 0);
    run_until(f, done, &over);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    while (uv_is_active((uv_handle_t *)&timer))
        uv_run(&f->loop, UV_RUN_NOWAIT);
    if (must && !*done)
        fail_msg("not done within %d ms", ms);
}

void fixture_run(struct fixture *f, const bool *done, int limit_ms)
{
    run_with_timer(f, done, limit_ms, true);
}

void fixture_run_ms(struct fixture *f, int ms)
{
    const bool never = false;
    run_with_timer(f, &never, ms, false);
}
