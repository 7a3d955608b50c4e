/* Elf: this very program, what is none, and one that is cut short. */
#include "test.h"

#include <sys/mman.h>

#include "base/crash_internal.h"
#include "base/elf_file.h"

static struct error err;

__attribute__((noinline)) static int landmark(volatile int *p)
{
    return *p + 40;
}

static void own(void **state)
{
    (void)state;
    static struct crash_map map;
    struct elf_file f;
    char id[80], place[128];
    volatile int two = 2;
    assert_int_equal(landmark(&two), 42);
    struct crash_out out = {.fd = -1, .buffer = place, .cap = sizeof place - 1};
    crash_map_read(&map);
    crash_put_place(&out, &map, (uintptr_t)landmark);
    place[out.len] = '\0';
    unsigned long long offset;
    assert_int_equal(sscanf(place, "test_base_elf_file+0x%llx", &offset), 1);

    assert_int_equal(elf_open("/proc/self/exe", &f, &err), 0);
    crash_build_id(id, sizeof id);
    assert_string_equal(f.build_id, id);
    assert_true(f.has_debug && f.has_symbols);
    struct elf_symbol s[] = {{.address = offset + f.vaddr_bias + 2}, {.address = 1}};
    assert_int_equal(elf_symbols(&f, s, 2, &err), 0);
    assert_true(s[0].found);
    assert_string_equal(s[0].name, "landmark");
    assert_int_equal(s[0].into, 2);
    assert_false(s[1].found);
    elf_close(&f);
}

static void none(void **state)
{
    (void)state;
    struct elf_file f;
    assert_int_equal(elf_open("/nowhere", &f, &err), VX11_ENOT_FOUND);
    assert_int_equal(elf_open("/etc/passwd", &f, &err), VX11_ESYNTAX);
    assert_int_equal(elf_open("/tmp", &f, &err), VX11_ESYNTAX);
}

/* However much of it is there: an answer, or an error, and nothing else. */
static void short_ones(void **state)
{
    (void)state;
    char head[8192];
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(self, head, sizeof head), sizeof head);
    close(self);
    for (size_t n = 0; n < sizeof head; n += n < 600 ? 1 : 509) {
        struct elf_file f;
        struct elf_symbol s = {.address = 4096};
        int fd = memfd_create("elf", MFD_CLOEXEC);
        assert_int_equal(write(fd, head, n), n);
        if (elf_open_fd(fd, &f, &err) == 0) {
            (void)elf_symbols(&f, &s, 1, &err);
            assert_false(s.found);
            elf_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(own), cmocka_unit_test(none),
                                       cmocka_unit_test(short_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
