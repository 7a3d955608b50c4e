/* A home folder with a database, and model files, for tests. */
#ifndef VX11_TEST_HERMES_FIXTURE_H
#define VX11_TEST_HERMES_FIXTURE_H

#include <stdbool.h>
#include <uv.h>

#include "base/arena.h"
#include "store/store.h"

struct fixture {
    char home[64];
    struct store *store;
    struct arena *arena;
    uv_loop_t loop;
};

/* For cmocka_unit_test_setup_teardown: *state is a struct fixture. */
int fixture_open(void **state);
int fixture_close(void **state);

/* Path below the home, in the arena. */
const char *fixture_path(struct fixture *f, const char *name);
/* Writes a sound small model (see gguf_writer.h) at a path below the home; folders are made. */
const char *fixture_model(struct fixture *f, const char *name, const char *salt);
const char *fixture_file(struct fixture *f, const char *name, const void *data, size_t len);
/* Runs the loop until *done, or fails after limit_ms. */
void fixture_run(struct fixture *f, const bool *done, int limit_ms);
void fixture_run_ms(struct fixture *f, int ms);

#endif
