/* What the panels of the page show of the system itself, one handler for each route. */
#ifndef VX11_OPERATOR_PANEL_PANEL_H
#define VX11_OPERATOR_PANEL_PANEL_H

#include "module/module.h"

/* config.c */
void panel_config(struct request *r, void *module);

/* tokens.c */
void panel_tokens_list(struct request *r, void *module);
void panel_tokens_new(struct request *r, void *module);
void panel_tokens_rotate(struct request *r, void *module);
void panel_tokens_promote(struct request *r, void *module);
void panel_tokens_revoke(struct request *r, void *module);

#endif
