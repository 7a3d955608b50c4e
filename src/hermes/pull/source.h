/* Source: what a person asks to be pulled, taken apart. Pure: touches neither network nor disk.
 *
 *   NAME                                  a model of the catalogue
 *   hf:OWNER/REPO[:WHICH][@REVISION]      a repository of the hub; WHICH: a file, or a quantisation (Q5_K_M)
 *   https://…/FILE.gguf                   any server; a page or resolve URL of the hub's own is read as hf:
 *   file:///PATH                          a file of this machine, copied */
#ifndef VX11_HERMES_PULL_SOURCE_H
#define VX11_HERMES_PULL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum pull_kind { PULL_NAME, PULL_HUB, PULL_URL, PULL_FILE };

struct pull_source {
    enum pull_kind kind;
    char name[129];       /* PULL_NAME */
    char repository[201]; /* PULL_HUB: OWNER/REPO */
    char which[513];      /* PULL_HUB: file or quantisation; "": none given */
    char revision[129];   /* PULL_HUB; "": the default */
    char url[4097];       /* PULL_URL */
    char path[4097];      /* PULL_FILE: absolute */
};

/* hub: the hub's address, so that its own URLs are known ("https://huggingface.co"). VX11_EINVALID with a
 * sentence that does not repeat a URL's query. */
int pull_source_parse(const char *text, const char *hub, struct pull_source *out, struct error *err);
/* As it is shown and stored: a URL without its query, which may hold a signature; "?" is left of it. */
void pull_source_show(const struct pull_source *s, char *out, size_t size);
bool pull_repository_valid(const char *s);
bool pull_revision_valid(const char *s);
/* A path inside a repository: relative, no "..", no empty or dot part, no control characters. */
bool pull_file_valid(const char *s);
/* The last part of a path or URL, as a safe file name that ends in .gguf; false when there is none. */
bool pull_file_name(const char *path, char *out, size_t size);

#endif
