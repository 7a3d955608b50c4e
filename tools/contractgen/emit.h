/* Emit: the three generated files of one table. Each function writes one of them into `out`. */
#ifndef CONTRACTGEN_EMIT_H
#define CONTRACTGEN_EMIT_H

#include <stdio.h>

#include "model.h"

void emit_header(struct model *m, const struct file *f, FILE *out);
void emit_source(struct model *m, const struct file *f, FILE *out);
void emit_client(struct model *m, const struct file *f, FILE *out);

/* Writes s as a C string literal, or as the inside of a C comment. */
void emit_string(FILE *out, const char *s);
void emit_comment_text(FILE *out, const char *s);

#endif
