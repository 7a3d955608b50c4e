/* Crash reports, the output of symbolisers, and programs on disk: whatever the bytes, a sound struct or an
 * error. What a report says stays text that JSON can hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crash_report.h"
#include "base/elf_file.h"
#include "base/str.h"
#include "module/forensic/symbolize.h"

static void report(const char *text, size_t size)
{
    static struct crash_report r;
    if (crash_report_parse(text, size, &r, NULL) != 0)
        return;
    if (!r.signal[0] || r.frame_count > CRASH_FRAMES_MAX || r.log < text || r.log + r.log_len > text + size)
        abort();
    for (size_t i = 0; i < r.frame_count; i++)
        if (!utf8_valid(r.frames[i].object, strlen(r.frames[i].object)))
            abort();
    for (size_t i = 0; i < r.object_count; i++)
        if (r.objects[i].path[0] != '/')
            abort();
}

static void output(const char *text, size_t size)
{
    static const uint64_t addresses[] = {0x1001, 0x2002};
    struct symbol_line *lines[2];
    size_t counts[2];
    struct arena *a = arena_create(0);
    if (a && symbol_output_parse(a, text, size, addresses, 2, lines, counts) == 0)
        for (size_t i = 0; i < 2; i++)
            for (size_t k = 0; k < counts[i]; k++)
                if (lines[i][k].line < 0 || (lines[i][k].line > 0 && !lines[i][k].source))
                    abort();
    arena_destroy(a);
}

static void program(const uint8_t *data, size_t size)
{
    struct elf_file f;
    struct elf_symbol s[] = {{.address = 0x1000}, {.address = 0}};
    int fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, data, size) != (ssize_t)size) {
        close(fd);
    } else if (elf_open_fd(fd, &f, NULL) == 0) {
        (void)elf_symbols(&f, s, 2, NULL);
        for (size_t i = 0; i < 2; i++)
            if (s[i].found && (!s[i].name[0] || !utf8_valid(s[i].name, strlen(s[i].name))))
                abort();
        elf_close(&f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    if (size >= 4 && memcmp(data, "\177ELF", 4) == 0)
        program(data, size);
    else if (size >= 2 && memcmp(data, "0x", 2) == 0)
        output(text, size);
    else
        report(text, size);
    free(text);
    return 0;
}
