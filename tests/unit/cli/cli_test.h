/* What every unit test of cli includes: cmocka, a folder of its own, the program's output, the program
 * itself. */
#ifndef VX11_TEST_CLI_H
#define VX11_TEST_CLI_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* A fresh folder, in memory where there is such a place; temp_remove removes it with all it holds. */
void temp_make(char out[64]);
void temp_remove(const char *dir);
void file_put(const char *dir, const char *name, const char *text);
void file_append(const char *dir, const char *name, const char *text);
/* The same, compressed by zstd. */
void file_put_packed(const char *dir, const char *name, const char *text);

/* What fn prints on stdout, into out (replaced), and what it returns. */
int output_of(int (*fn)(int argc, char **argv), int argc, char **argv, struct buf *out);

/* Runs a program. argv[0] is its path or name; input (NULL: none) goes to its stdin. Its exit status (128 +
 * signal when one ended it), and what it said on stdout and stderr. out, err may be NULL. */
int program_run(const char *const *argv, const char *input, struct buf *out, struct buf *err);
/* $VX11_BIN when it is a program, else NULL. */
const char *program_vx11(void);

#endif
