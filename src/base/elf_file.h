/* Elf: what a program or library on disk says of itself: its build id, whether it has debug information, and
 * which function of its tables of symbols covers an address. For crash reports; reads only, and trusts
 * nothing in the file. Of this machine's word size and byte order. */
#ifndef VX11_BASE_ELF_FILE_H
#define VX11_BASE_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct elf_file {
    int fd;
    uint64_t size;
    char build_id[80];   /* hexadecimal; "": none */
    bool has_debug;      /* debug information with lines */
    bool has_symbols;    /* .symtab: every function; else only what it offers to others */
    uint64_t vaddr_bias; /* address in the tables = offset from the file's first byte + this */
    /* private */
    uint64_t section_at;
    size_t section_count;
};

/* VX11_ENOT_FOUND, VX11_EPERMISSION, VX11_ESYNTAX (no such file of ours), VX11_EIO. elf_close after 0. */
int elf_open(const char *path, struct elf_file *out, struct error *err);
int elf_open_fd(int fd, struct elf_file *out, struct error *err); /* takes fd over, also when it fails */
void elf_close(struct elf_file *f);

struct elf_symbol {
    uint64_t address; /* in: in the file's own tables (offset + vaddr_bias) */
    bool found;
    char name[256];
    uint64_t into; /* bytes from the function's beginning */
};
/* The functions that cover n addresses. What none covers stays found = false. */
int elf_symbols(const struct elf_file *f, struct elf_symbol *symbols, size_t n, struct error *err);

#endif
