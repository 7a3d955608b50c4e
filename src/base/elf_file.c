/* Read by pread and not by a mapping: a file that is replaced or cut while we read it gives short reads, not
 * SIGBUS. Every offset and size comes from the file and is checked against bounds of our own. */
#include "base/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum { NOTES_MAX = 64 * 1024, TABLE_MAX = 256 * 1024 * 1024, NAMES_MAX = 1024 * 1024 };

#if __SIZEOF_POINTER__ == 8
#define OUR_CLASS      ELFCLASS64
#define SYMBOL_TYPE(x) ELF64_ST_TYPE(x)
#else
#define OUR_CLASS      ELFCLASS32
#define SYMBOL_TYPE(x) ELF32_ST_TYPE(x)
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_DATA ELFDATA2LSB
#else
#define OUR_DATA ELFDATA2MSB
#endif

static bool read_at(const struct elf_file *f, uint64_t at, void *out, size_t len)
{
    char *p = out;
    if (at > f->size || len > f->size - at)
        return false;
    while (len > 0) {
        ssize_t n = pread(f->fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* Notes: name size, description size, type, then both padded to four bytes. */
static bool notes_find(const unsigned char *p, size_t len, char *out, size_t size)
{
    while (len >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, p, sizeof note);
        size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3,
               desc = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        len -= sizeof note;
        p += sizeof note;
        if (name > len || desc > len - name)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(p, "GNU", 4) == 0 &&
            note.n_descsz > 0 && (size_t)note.n_descsz * 2 + 1 <= size) {
            hex_encode(p + name, note.n_descsz, out);
            return true;
        }
        p += name + desc;
        len -= name + desc;
    }
    return false;
}

static void notes_read(struct elf_file *f, uint64_t at, uint64_t len)
{
    unsigned char *notes = len <= NOTES_MAX ? malloc((size_t)len + 1) : NULL;
    if (notes && !f->build_id[0] && read_at(f, at, notes, (size_t)len))
        (void)notes_find(notes, (size_t)len, f->build_id, sizeof f->build_id);
    free(notes);
}

/* Segments: where the file's first byte would be, and the notes. */
static bool segments_read(struct elf_file *f, const ElfW(Ehdr) * h)
{
    bool loaded = false;
    for (size_t i = 0; i < h->e_phnum; i++) {
        ElfW(Phdr) p;
        if (!read_at(f, h->e_phoff + i * sizeof p, &p, sizeof p))
            return false;
        if (p.p_type == PT_LOAD && !loaded) {
            f->vaddr_bias = p.p_vaddr - p.p_offset;
            loaded = true;
        } else if (p.p_type == PT_NOTE) {
            notes_read(f, p.p_offset, p.p_filesz);
        }
    }
    return true;
}

static bool section_get(const struct elf_file *f, size_t i, ElfW(Shdr) * out)
{
    return i < f->section_count && read_at(f, f->section_at + i * sizeof *out, out, sizeof *out);
}

/* Sections: whether there is debug information and a table of symbols. A file that holds nothing but debug
 * information has its note in a section only. */
static void sections_read(struct elf_file *f, const ElfW(Ehdr) * h)
{
    ElfW(Shdr) names, s;
    if (h->e_shentsize != sizeof s)
        return;
    f->section_at = h->e_shoff;
    f->section_count = h->e_shnum;
    if (!section_get(f, h->e_shstrndx, &names) || names.sh_size > NAMES_MAX)
        return;
    for (size_t i = 1; i < f->section_count && section_get(f, i, &s); i++) {
        char name[16] = "";
        uint64_t left = names.sh_size > s.sh_name ? names.sh_size - s.sh_name : 0;
        (void)read_at(f, names.sh_offset + s.sh_name, name,
                      left < sizeof name - 1 ? (size_t)left : sizeof name - 1);
        bool here = s.sh_type != SHT_NOBITS && s.sh_size > 0;
        if (here && (strcmp(name, ".debug_line") == 0 || strcmp(name, ".zdebug_line") == 0))
            f->has_debug = true;
        if (here && s.sh_type == SHT_SYMTAB)
            f->has_symbols = true;
        if (here && s.sh_type == SHT_NOTE)
            notes_read(f, s.sh_offset, s.sh_size);
    }
}

int elf_open_fd(int fd, struct elf_file *out, struct error *err)
{
    struct stat st;
    ElfW(Ehdr) h;
    *out = (struct elf_file){.fd = fd};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        elf_close(out);
        return error_set(err, VX11_ESYNTAX, "it is no regular file");
    }
    out->size = (uint64_t)st.st_size;
    if (!read_at(out, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != OUR_CLASS || h.e_ident[EI_DATA] != OUR_DATA ||
        h.e_phentsize != sizeof(ElfW(Phdr)) || !segments_read(out, &h)) {
        elf_close(out);
        return error_set(err, VX11_ESYNTAX, "it is no program or library of this machine");
    }
    sections_read(out, &h);
    return 0;
}

int elf_open(const char *path, struct elf_file *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    *out = (struct elf_file){.fd = -1};
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    int rc = elf_open_fd(fd, out, err);
    return rc == 0 ? 0 : error_prefix(err, rc, "%s", path);
}

void elf_close(struct elf_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* ---- symbols ---- */

static void *table_read(const struct elf_file *f, uint64_t at, uint64_t len)
{
    void *p = len > 0 && len <= TABLE_MAX && len <= f->size ? malloc((size_t)len) : NULL;
    if (p && read_at(f, at, p, (size_t)len))
        return p;
    free(p);
    return NULL;
}

static void name_copy(struct elf_symbol *out, const char *names, uint64_t names_len, uint64_t at)
{
    size_t n = at < names_len ? strnlen(names + at, (size_t)(names_len - at)) : 0;
    if (n == 0 || n == names_len - at || !utf8_valid(names + at, n))
        return;
    if (n >= sizeof out->name)
        n = utf8_valid_prefix(names + at, sizeof out->name - 1);
    memcpy(out->name, names + at, n);
    out->name[n] = '\0';
    out->found = true;
}

static void table_search(const ElfW(Sym) * table, size_t count, const char *names, uint64_t names_len,
                         struct elf_symbol *out)
{
    for (size_t i = 0; i < count; i++) {
        ElfW(Sym) s;
        memcpy(&s, &table[i], sizeof s);
        int type = SYMBOL_TYPE(s.st_info);
        if (s.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC) ||
            out->address < s.st_value || out->address - s.st_value >= s.st_size)
            continue;
        name_copy(out, names, names_len, s.st_name);
        out->into = out->address - s.st_value;
        if (out->found)
            return;
    }
}

static int section_search(const struct elf_file *f, const ElfW(Shdr) * s, struct elf_symbol *symbols,
                          size_t n, struct error *err)
{
    ElfW(Shdr) names;
    if (!section_get(f, s->sh_link, &names) || names.sh_type != SHT_STRTAB || s->sh_size < sizeof(ElfW(Sym)))
        return 0;
    ElfW(Sym) *table = table_read(f, s->sh_offset, s->sh_size);
    char *text = table_read(f, names.sh_offset, names.sh_size);
    int rc = table && text ? 0 : error_set(err, VX11_EIO, "its table of symbols cannot be read");
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!symbols[i].found)
            table_search(table, (size_t)(s->sh_size / sizeof *table), text, names.sh_size, &symbols[i]);
    free(table);
    free(text);
    return rc;
}

int elf_symbols(const struct elf_file *f, struct elf_symbol *symbols, size_t n, struct error *err)
{
    static const unsigned kinds[] = {SHT_SYMTAB, SHT_DYNSYM}; /* the fuller one first */
    int rc = 0;
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        ElfW(Shdr) s;
        for (size_t i = 1; rc == 0 && i < f->section_count && section_get(f, i, &s); i++)
            if (s.sh_type == kinds[k])
                rc = section_search(f, &s, symbols, n, err);
    }
    return rc;
}
