/* Files: bounded reads, atomic writes, escapes from a root folder by both ways of opening, removal of hostile
 * trees. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/str.h"

static char dir[64];
static int root = -1;

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0;
}

static int teardown(void **state)
{
    (void)state;
    close(root);
    temp_remove(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[PATH_MAX];
    assert_int_equal(fs_path(path, sizeof path, dir, name), 0);
    return path;
}

static void put_file(const char *name, const char *text)
{
    temp_put(in_dir(name), text);
}

static void read_bounded(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct error err = {0};
    put_file("ten", "0123456789");
    buf_puts(&b, ">");
    assert_int_equal(fs_read_file(in_dir("ten"), 10, &b, &err), 0);
    assert_string_equal(b.data, ">0123456789");
    assert_int_equal(fs_read_file(in_dir("ten"), 9, &b, &err), VX11_ETOO_LARGE);
    assert_string_equal(b.data, ">0123456789"); /* as before */
    assert_int_equal(fs_read_file(in_dir("none"), 9, &b, &err), VX11_ENOT_FOUND);
    assert_non_null(strstr(err.text, "none"));
    assert_int_equal(fs_read_file(dir, 9, &b, &err), VX11_EINVALID);
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(fs_read_file(in_dir("pipe"), 9, &b, &err), VX11_EINVALID); /* and does not hang */
    assert_int_equal(fs_read_file("/proc/self/status", 65536, &b, &err), 0);    /* size 0 in stat */
    assert_non_null(strstr(b.data, "VmRSS"));
    buf_clear(&b);
    put_file("empty", "");
    assert_int_equal(fs_read_file(in_dir("empty"), 0, &b, &err), 0);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void write_atomic(void **state)
{
    (void)state;
    struct stat st;
    struct error err = {0};
    mode_t old = umask(0077);
    assert_int_equal(fs_write_file_atomic(in_dir("f"), "one", 3, 0644, &err), 0);
    umask(old);
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* whatever the umask */
    assert_int_equal(fs_write_file_atomic(in_dir("f"), "two!", 4, 0600, &err), 0);
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 4);
    /* A link is replaced, what it points to is left alone. */
    assert_int_equal(symlinkat("f", root, "link"), 0);
    assert_int_equal(fs_write_file_atomic(in_dir("link"), "three", 5, 0600, &err), 0);
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(fs_write_file_atomic(in_dir("no/f"), "x", 1, 0600, &err), VX11_ENOT_FOUND);
    /* Cannot replace a folder; nothing is left behind. */
    assert_int_equal(mkdirat(root, "folder", 0700), 0);
    assert_true(fs_write_file_atomic(in_dir("folder"), "x", 1, 0600, &err) < 0);
    DIR *d = fdopendir(dup(root));
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        assert_null(strstr(e->d_name, ".tmp-"));
    closedir(d);
}

static void mkdirs(void **state)
{
    (void)state;
    struct error err = {0};
    struct stat st;
    assert_int_equal(fs_mkdirs(in_dir("a/b//c/"), 0750, &err), 0);
    assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(fs_mkdirs(in_dir("a/b/c"), 0750, &err), 0);
    assert_int_equal(fs_mkdirs("/", 0750, &err), 0);
    put_file("a/file", "");
    assert_int_equal(fs_mkdirs(in_dir("a/file"), 0750, &err), VX11_EEXISTS);
    assert_true(fs_mkdirs(in_dir("a/file/x"), 0750, &err) < 0);
    assert_int_equal(fs_mkdirs("", 0750, &err), VX11_EINVALID);
    assert_int_equal(fs_mkdirs("/proc/nothing/here", 0750, &err), VX11_ENOT_FOUND);
    char longest[PATH_MAX + 10];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(fs_mkdirs(longest, 0750, &err), VX11_ETOO_LARGE);
}

static void check_open(const char *name, int flags, int want)
{
    struct error err = {0};
    int fd = fs_open_beneath(root, name, flags, 0600, &err);
    if (want == 0 ? fd < 0 : fd != want)
        fail_msg("%s: %d (%s), not %s", name, fd, err.text, want ? error_name(want) : "a descriptor");
    if (fd >= 0) {
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
    }
}

static void escapes(bool kernel)
{
    char absolute[PATH_MAX];
    assert_int_equal(fs_mkdirs(in_dir("in/deep"), 0700, NULL), 0);
    put_file("in/deep/file", "x");
    snprintf(absolute, sizeof absolute, "%s/in/deep/file", dir);
    (void)!symlinkat("/etc/passwd", root, "to-file");
    (void)!symlinkat("/etc", root, "to-etc");
    (void)!symlinkat("../../../../../../etc", root, "to-up");
    (void)!symlinkat("in", root, "to-in");
    (void)!symlinkat("loop", root, "loop");
    (void)!symlinkat("/proc/self/root", root, "magic");

    check_open("in/deep/file", O_RDONLY, 0);
    check_open("./in//deep/./file", O_RDONLY, 0);
    check_open("in/deep", O_RDONLY | O_DIRECTORY, 0);
    check_open("in/deep/", O_RDONLY, 0);
    check_open("in/new", O_WRONLY | O_CREAT | O_EXCL, 0);
    check_open("in/new", O_WRONLY | O_CREAT | O_EXCL, VX11_EEXISTS);
    assert_int_equal(unlinkat(root, "in/new", 0), 0);

    check_open("", O_RDONLY, VX11_EINVALID);
    check_open("in/none", O_RDONLY, VX11_ENOT_FOUND);
    check_open("in/deep/file/x", O_RDONLY, VX11_ENOT_FOUND);
    check_open(absolute, O_RDONLY, VX11_EPERMISSION);
    check_open("/", O_RDONLY, VX11_EPERMISSION);
    check_open("..", O_RDONLY, VX11_EPERMISSION);
    check_open("../etc/passwd", O_RDONLY, VX11_EPERMISSION);
    check_open("in/../in/deep/file", O_RDONLY, VX11_EPERMISSION);
    check_open("in/deep/..", O_RDONLY, VX11_EPERMISSION);
    check_open("to-file", O_RDONLY, VX11_EPERMISSION);
    check_open("to-file", O_WRONLY | O_CREAT, VX11_EPERMISSION);
    check_open("loop", O_RDONLY, VX11_EPERMISSION);
    /* The walk reports a link in the middle as "not a folder". */
    static const char *const through[] = {"to-etc/passwd", "to-up/passwd", "magic/etc/passwd"};
    for (size_t i = 0; i < COUNT_OF(through); i++)
        check_open(through[i], O_RDONLY, kernel ? VX11_EPERMISSION : VX11_ENOT_FOUND);
    check_open("to-in/deep/file", O_RDONLY, kernel ? 0 : VX11_ENOT_FOUND);
    if (!kernel)
        check_open("to-file", O_PATH, VX11_EPERMISSION);
    check_open("...", O_RDONLY, VX11_ENOT_FOUND); /* only a strange name */
}

static void beneath_kernel(void **state)
{
    (void)state;
    if (syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == ENOSYS)
        skip();
    escapes(true);
}

/* The same without openat2, which a seccomp filter takes away from a child: once as unknown, once as
 * forbidden. */
static void without_openat2(int answer)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(77);
        if (syscall(SYS_openat2, -1, "", NULL, 0) != -1 || errno != answer)
            _exit(78);
        escapes(false); /* a failed check ends the child with another status */
        _exit(42);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void beneath_walk(void **state)
{
    (void)state;
    without_openat2(ENOSYS);
    without_openat2(EPERM);
}

static void remove_tree(void **state)
{
    (void)state;
    struct error err = {0};
    char outside[64];
    struct stat st;
    temp_make(outside);
    assert_int_equal(fs_mkdirs(in_dir("tree/a/b"), 0700, &err), 0);
    put_file("tree/a/b/f", "x");
    assert_int_equal(symlinkat(outside, root, "tree/a/link"), 0);
    assert_int_equal(fchmodat(root, "tree/a/b", 0, 0), 0); /* a folder that gives nobody any right */
    assert_int_equal(fs_remove_tree(root, "tree", &err), 0);
    assert_false(fs_exists(in_dir("tree")));
    assert_int_equal(stat(outside, &st), 0);

    put_file("single", "x");
    assert_int_equal(fs_remove_tree(root, "single", &err), 0);
    assert_int_equal(symlinkat(outside, root, "link"), 0);
    assert_int_equal(fs_remove_tree(root, "link", &err), 0);
    assert_int_equal(stat(outside, &st), 0);
    assert_int_equal(fs_remove_tree(root, "none", &err), VX11_ENOT_FOUND);
    static const char *const bad[] = {"", ".", "..", "a/b", "/"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(fs_remove_tree(root, bad[i], &err), VX11_EINVALID);
    temp_remove(outside);
}

/* Deeper than any path and than there are descriptors. */
static void remove_deep(void **state)
{
    (void)state;
    enum { DEPTH = 3000 };
    struct error err = {0};
    int fd = dup(root);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "deep", 0700), 0);
        int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(openat(fd, "file", O_WRONLY | O_CREAT, 0600));
    close(fd);
    if (fs_remove_tree(root, "deep", &err) != 0)
        fail_msg("%s", err.text);
    assert_false(fs_exists(in_dir("deep")));
}

static void private_files(void **state)
{
    (void)state;
    struct error err = {0};
    put_file("secret", "x");
    assert_int_equal(fs_check_private(in_dir("secret"), &err), 0);
    static const mode_t open_modes[] = {0640, 0604, 0660, 0602, 0610};
    for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
        assert_int_equal(chmod(in_dir("secret"), open_modes[i]), 0);
        assert_int_equal(fs_check_private(in_dir("secret"), &err), VX11_EPERMISSION);
    }
    assert_int_equal(fs_check_private(dir, &err), VX11_EINVALID);
    assert_int_equal(fs_check_private(in_dir("none"), &err), VX11_ENOT_FOUND);
    if (geteuid() == 0) {
        assert_int_equal(chmod(in_dir("secret"), 0600), 0);
        assert_int_equal(chown(in_dir("secret"), 12345, 12345), 0);
        assert_int_equal(fs_check_private(in_dir("secret"), &err), VX11_EPERMISSION);
    }
}

static void homes(void **state)
{
    (void)state;
    char out[PATH_MAX], cwd[PATH_MAX], want[2 * PATH_MAX];
    struct error err = {0};
    setenv("VX11_HOME", "/srv/vx11//", 1);
    setenv("XDG_DATA_HOME", "/xdg/", 1);
    setenv("HOME", "/home/ana", 1);
    assert_int_equal(fs_home(out, sizeof out, &err), 0);
    assert_string_equal(out, "/srv/vx11");
    assert_int_equal(fs_home(out, 5, &err), VX11_ETOO_LARGE);
    setenv("VX11_HOME", "rel", 1);
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(want, sizeof want, "%s/rel", cwd);
    assert_int_equal(fs_home(out, sizeof out, &err), 0);
    assert_string_equal(out, want);
    setenv("VX11_HOME", "", 1);
    assert_int_equal(fs_home(out, sizeof out, &err), 0);
    assert_string_equal(out, "/xdg/vx11");
    setenv("XDG_DATA_HOME", "not/absolute", 1);
    assert_int_equal(fs_home(out, sizeof out, &err), 0);
    assert_string_equal(out, "/home/ana/.local/share/vx11");
    setenv("HOME", "/", 1);
    assert_int_equal(fs_home(out, sizeof out, &err), 0);
    assert_string_equal(out, "/.local/share/vx11");
    unsetenv("HOME");
    assert_int_equal(fs_home(out, sizeof out, &err), VX11_ENOT_FOUND);
}

static void paths(void **state)
{
    (void)state;
    char out[PATH_MAX];
    assert_int_equal(fs_path(out, sizeof out, "/a", "b/c"), 0);
    assert_string_equal(out, "/a/b/c");
    assert_int_equal(fs_path(out, sizeof out, "/a/", "b"), 0);
    assert_string_equal(out, "/a/b");
    assert_int_equal(fs_path(out, 4, "/a", "b"), VX11_ETOO_LARGE);
    assert_int_equal(fs_path(out, 5, "/a", "b"), 0);
    assert_int_equal(fs_self_exe(out, sizeof out), 0);
    assert_true(str_ends(out, "/test_base_fs"));
    assert_int_equal(fs_self_exe(out, 4), VX11_ETOO_LARGE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(read_bounded), TEST(write_atomic), TEST(mkdirs),        TEST(beneath_kernel), TEST(beneath_walk),
        TEST(remove_tree),  TEST(remove_deep),  TEST(private_files), TEST(homes),          TEST(paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
