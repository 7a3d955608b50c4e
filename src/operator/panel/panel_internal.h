/* What the files of the panels share. */
#ifndef VX11_OPERATOR_PANEL_INTERNAL_H
#define VX11_OPERATOR_PANEL_INTERNAL_H

#include <uv.h>

#include "api/operator.h"
#include "base/error.h"
#include "net/server.h"

struct operator_;
struct log_follower;
struct database_panel;

struct panel {
    struct operator_ *o;
    struct log_follower *followers;
    unsigned follower_count;
    struct database_panel *database;
    bool map_counting; /* a map with sizes is being made */
};

/* logs.c */
void panel_logs_end(struct panel *p); /* ends all followers */

/* database.c */
int panel_database_create(struct panel *p, struct error *err);
void panel_database_stop(struct panel *p, void (*done)(struct panel *p));
void panel_database_free(struct panel *p);

#endif
