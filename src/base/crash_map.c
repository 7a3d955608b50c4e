/* What the crash handler needs and may not take from libc: output, and from which file an address comes. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/crash_internal.h"
#include "base/str.h"

void crash_write(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

void crash_flush(struct crash_out *o)
{
    if (o->fd < 0)
        return;
    crash_write(o->fd, o->buffer, o->len);
    o->len = 0;
}

void crash_put(struct crash_out *o, const char *text)
{
    for (; *text; text++) {
        if (o->len == o->cap)
            crash_flush(o);
        if (o->len < o->cap)
            o->buffer[o->len++] = *text;
    }
}

void crash_put_dec(struct crash_out *o, int64_t value)
{
    char text[24];
    size_t at = sizeof text - 1;
    uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (value < 0)
        text[--at] = '-';
    crash_put(o, text + at);
}

void crash_put_hex(struct crash_out *o, uintptr_t value)
{
    char text[24];
    size_t at = sizeof text - 1;
    text[at] = '\0';
    do {
        text[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value > 0);
    crash_put(o, text + at);
}

/* A line of maps, "start-end perms offset dev inode   path", read character by character. */
struct line_parser {
    struct crash_map *map;
    int field;
    uintptr_t start, end, offset;
    bool file, blank, readable;
    char name[sizeof((struct crash_area *)0)->name], path[sizeof((struct crash_area *)0)->path];
    size_t name_len, path_len;
};

static void line_begin(struct line_parser *p)
{
    *p = (struct line_parser){.map = p->map};
}

/* Mappings of one file follow each other; the one at offset 0 comes first and gives the base. */
static void line_end(struct line_parser *p)
{
    struct crash_map *map = p->map;
    if (p->file && p->end > p->start && map->n < CRASH_MAP_MAX) {
        struct crash_area *a = &map->areas[map->n];
        const struct crash_area *before = map->n > 0 ? a - 1 : NULL;
        a->start = p->start;
        a->end = p->end;
        memcpy(a->name, p->name, sizeof a->name);
        a->name[p->name_len] = '\0';
        memcpy(a->path, p->path, sizeof a->path);
        a->path[p->path_len < sizeof a->path ? p->path_len : 0] = '\0';
        a->readable = p->readable;
        a->wanted = false;
        bool same = before && p->offset > 0 && strcmp(before->name, a->name) == 0;
        a->base = same ? before->base : p->start - p->offset;
        map->n++;
    }
    line_begin(p);
}

static void path_char(struct line_parser *p, char c)
{
    if (c == '/') {
        p->file = true;
        p->name_len = 0;
    } else if (p->file && p->name_len + 1 < sizeof p->name) {
        p->name[p->name_len++] = c;
    }
    if (p->file && p->path_len < sizeof p->path)
        p->path[p->path_len++] = c;
}

static void line_char(struct line_parser *p, char c)
{
    if (p->field < 5 && c == ' ') {
        p->field += !p->blank;
        p->blank = true;
        return;
    }
    p->blank = false;
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;
    switch (p->field) {
    case 0:
        if (c == '-') { /* start is done: what follows is end */
            p->start = p->end;
            p->end = 0;
        } else if (digit < 16) {
            p->end = p->end << 4 | digit;
        }
        break;
    case 1:
        p->readable = p->readable || c == 'r';
        break;
    case 2:
        if (digit < 16)
            p->offset = p->offset << 4 | digit;
        break;
    case 5:
        path_char(p, c);
        break;
    default:
        break;
    }
}

void crash_map_read(struct crash_map *map)
{
    static char buffer[4096];
    struct line_parser p = {.map = map};
    map->n = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] == '\n')
                line_end(&p);
            else
                line_char(&p, buffer[i]);
        }
    }
    close(fd);
}

void crash_put_place(struct crash_out *o, const struct crash_map *map, uintptr_t address)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct crash_area *a = &map->areas[i];
        if (address < a->start || address >= a->end)
            continue;
        crash_put(o, a->name);
        crash_put(o, "+0x");
        crash_put_hex(o, address - a->base);
        return;
    }
    crash_put(o, "?");
}

struct build_id {
    char *out;
    size_t size;
};

/* The notes of one segment: name size, description size, type, then name and description padded to four
 * bytes. */
static bool find_note(const unsigned char *p, size_t len, struct build_id *id)
{
    while (len >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, p, sizeof note);
        size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3,
               desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name + desc > len - sizeof note)
            return false;
        const unsigned char *text = p + sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(text, "GNU", 4) == 0 &&
            (size_t)note.n_descsz * 2 + 1 <= id->size) {
            hex_encode(text + name, note.n_descsz, id->out);
            return true;
        }
        p += sizeof note + name + desc;
        len -= sizeof note + name + desc;
    }
    return false;
}

void crash_map_want(struct crash_map *map, uintptr_t address)
{
    uintptr_t base = 0;
    for (size_t i = 0; i < map->n; i++)
        if (address >= map->areas[i].start && address < map->areas[i].end)
            base = map->areas[i].base;
    for (size_t i = 0; base && i < map->n; i++)
        if (map->areas[i].start == base)
            map->areas[i].wanted = true;
}

/* The notes lie near the head of the file, in the mapping that begins with it: nothing is read outside. */
static void area_build_id(const struct crash_area *a, struct build_id *id)
{
    const unsigned char *at = (const unsigned char *)a->start;
    size_t len = a->end - a->start;
    ElfW(Ehdr) h;
    if (!a->readable || len < sizeof h || memcmp(at, ELFMAG, SELFMAG) != 0)
        return;
    memcpy(&h, at, sizeof h);
    for (size_t i = 0; i < h.e_phnum; i++) {
        ElfW(Phdr) p;
        if (h.e_phoff > len || len - h.e_phoff < (i + 1) * sizeof p)
            return;
        memcpy(&p, at + h.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type == PT_NOTE && p.p_offset < len && p.p_filesz <= len - p.p_offset &&
            find_note(at + p.p_offset, p.p_filesz, id))
            return;
    }
}

void crash_put_files(struct crash_out *o, const struct crash_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct crash_area *a = &map->areas[i];
        char text[80] = "-";
        struct build_id id = {.out = text, .size = sizeof text};
        if (!a->wanted || !a->path[0])
            continue;
        area_build_id(a, &id);
        crash_put(o, "  ");
        crash_put(o, a->name);
        crash_put(o, " ");
        crash_put(o, text);
        crash_put(o, " ");
        crash_put(o, a->path);
        crash_put(o, "\n");
    }
}

/* The first object is the executable; the others are not ours. */
static int visit_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const unsigned char *at = (const unsigned char *)(info->dlpi_addr + h->p_vaddr);
        if (h->p_type == PT_NOTE && find_note(at, h->p_memsz, arg))
            break;
    }
    return 1;
}

void crash_build_id(char *out, size_t size)
{
    struct build_id id = {.out = out, .size = size};
    static const char unknown[] = "unknown";
    if (size < sizeof unknown)
        return;
    memcpy(out, unknown, sizeof unknown);
    dl_iterate_phdr(visit_object, &id);
}
