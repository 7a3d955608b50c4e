/* Random model: runs the tool and waits for it. */
#include "random_model.h"

#include "harness.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { OPTIONS_MOST = 30 };

const char *random_model(const char *name, const char *const *options)
{
    static char path[512];
    const char *tool = getenv("VX11_SYNTH"), *build = getenv("VX11_BUILD");
    const char *argv[OPTIONS_MOST + 4] = {"vx11-synth", "--out", path};
    size_t argc = 3;
    pid_t pid;
    int status;
    assert_non_null(tool);
    assert_non_null(build);
    snprintf(path, sizeof path, "%s/tests/random-%s.gguf", build, name);
    for (; options && *options; options++) {
        assert_true(argc < OPTIONS_MOST + 3);
        argv[argc++] = *options;
    }
    assert_int_equal(posix_spawn(&pid, tool, NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return path;
}
