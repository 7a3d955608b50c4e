/* Helpers of the command line's tests (see cli_test.h). */
#include "cli_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <zstd.h>

#include "base/fs.h"
#include "cli/cli.h"

/* main.c has the program's; a test runs no module. */
const struct cli_module cli_modules[] = {{NULL, NULL}};
const size_t cli_module_count = 0;

void temp_make(char out[64])
{
    snprintf(out, 64, "%s/vx11-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(out));
}

void temp_remove(const char *dir)
{
    char parent[64];
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    *slash = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_remove_tree(fd, slash + 1, NULL), 0);
    close(fd);
}

static void put(const char *dir, const char *name, const void *data, size_t len, int flags)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

void file_put(const char *dir, const char *name, const char *text)
{
    put(dir, name, text, strlen(text), O_TRUNC);
}

void file_append(const char *dir, const char *name, const char *text)
{
    put(dir, name, text, strlen(text), O_APPEND);
}

void file_put_packed(const char *dir, const char *name, const char *text)
{
    size_t bound = ZSTD_compressBound(strlen(text));
    char *packed = malloc(bound);
    assert_non_null(packed);
    size_t n = ZSTD_compress(packed, bound, text, strlen(text), 1);
    assert_false(ZSTD_isError(n));
    put(dir, name, packed, n, O_TRUNC);
    free(packed);
}

int output_of(int (*fn)(int argc, char **argv), int argc, char **argv, struct buf *out)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    int code = fn(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    char piece[4096];
    buf_clear(out);
    rewind(file);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_append(out, piece, n);
    fclose(file);
    return code;
}

/* ---- programs ---- */

const char *program_vx11(void)
{
    const char *path = getenv("VX11_BIN");
    return path && access(path, X_OK) == 0 ? path : NULL;
}

static void child(const char *const *argv, const int in[2], const int out[2], const int err[2])
{
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Takes what is there; false at the end. */
static bool drain(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t n = read(fd, piece, sizeof piece);
    if (n > 0 && out)
        buf_append(out, piece, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

int program_run(const char *const *argv, const char *input, struct buf *out, struct buf *err)
{
    int in[2], o[2], e[2], status = 0;
    assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(o, O_CLOEXEC) == 0 && pipe2(e, O_CLOEXEC) == 0);
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(argv, in, o, e);
    close(in[0]);
    close(o[1]);
    close(e[1]);
    if (input && write(in[1], input, strlen(input)) < 0)
        assert_int_equal(errno, EPIPE);
    close(in[1]);
    struct pollfd p[2] = {{.fd = o[0], .events = POLLIN}, {.fd = e[0], .events = POLLIN}};
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        poll(p, 2, -1);
        if (p[0].revents && !drain(p[0].fd, out))
            p[0].fd = -1;
        if (p[1].revents && !drain(p[1].fd, err))
            p[1].fd = -1;
    }
    close(o[0]);
    close(e[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
