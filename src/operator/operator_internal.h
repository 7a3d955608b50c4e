/* What the files of this room share.
 *
 *   request ──> sessions/  sessions, messages, search, export, branch      operator_session, operator_message
 *           ──> files/     attachments                                      operator_file, files/ of the home
 *           ──> chat/      one turn ──> run/switch.sock                     (history of sessions/, tools/)
 *           ──> intent/    what a text asks for, and who does it            operator_intent
 *           ──> browser/   tasks ──MCP──> the sidecar ──> Chromium ──> egress/ ──> the web
 *           ──> panel/     logs, database, configuration, tokens
 *           ──> samples/   metrics of every module, calls between them
 *
 * Each part is a struct of its own, made in operator_start, known to the others by its header only. */
#ifndef VX11_OPERATOR_INTERNAL_H
#define VX11_OPERATOR_INTERNAL_H

#include "api/operator.h"
#include "operator/operator.h"

struct samples;

struct operator_ {
    struct module *m;
    struct samples *samples;
    void (*stopped)(struct module *m); /* while parts of it are still ending */
    int stopping_parts;
    struct sessions *sessions; /* sessions/sessions.h */
    struct files *files;       /* files/files.h */
    struct browser *browser;   /* browser/browser.h */
    struct chat *chat;         /* chat/chat.h */
    struct panel *panel;       /* panel/panel.h */
};

/* A part that needs time to stop calls this once when it has (see operator_stop). */
void operator_part_stopped(struct operator_ *o);

static inline const struct config_operator *operator_config(const struct operator_ *o)
{
    return module_config(o->m)->values->operator_;
}

#endif
