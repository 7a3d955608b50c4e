/* What the panels of the page show of the system itself, one handler for each route. */
#ifndef VX11_OPERATOR_PANEL_PANEL_H
#define VX11_OPERATOR_PANEL_PANEL_H

#include "module/module.h"

struct operator_;
struct panel;

/* panel.c */
int panel_create(struct operator_ *o, struct panel **out, struct error *err);
void panel_stopping(struct panel *p); /* ends the followers of logs */
void panel_stop(struct panel *p);     /* operator_part_stopped runs once, now or later */
void panel_free(struct panel *p);     /* NULL is fine */

/* logs.c */
void panel_logs(struct request *r, void *module);
void panel_logs_events(struct request *r, void *module);

/* database.c */
void panel_database(struct request *r, void *module);
void panel_database_growth(struct request *r, void *module);

/* database_map.c */
void panel_database_map(struct request *r, void *module);

/* config.c */
void panel_config(struct request *r, void *module);

/* tokens.c */
void panel_tokens_list(struct request *r, void *module);
void panel_tokens_new(struct request *r, void *module);
void panel_tokens_rotate(struct request *r, void *module);
void panel_tokens_promote(struct request *r, void *module);
void panel_tokens_revoke(struct request *r, void *module);

#endif
