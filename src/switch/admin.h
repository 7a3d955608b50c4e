/* Admin: the model's side of Switch, for those who know its older paths: each asks Hermes, which keeps the
 * models. And the decisions, to be read. */
#ifndef VX11_SWITCH_ADMIN_H
#define VX11_SWITCH_ADMIN_H

#include <stddef.h>

#include "base/error.h"
#include "net/server.h"
#include "store/store.h"

void admin_warmup_status(struct request *r, void *module);
void admin_warmup_manual(struct request *r, void *module);
void admin_preload(struct request *r, void *module);
void admin_default_model(struct request *r, void *module);
void admin_hot_reload(struct request *r, void *module);
void admin_models_available(struct request *r, void *module);

/* decisions.c */
void decisions_list(struct request *r, void *module);
struct switch_;
struct switch_decision;
/* One decision, its texts in the arena. VX11_ENOT_FOUND. */
int decision_read(struct switch_ *sw, struct arena *a, const char *id, struct switch_decision *out,
                  struct error *err);
/* observe/story_read.c: how it went; texts in the arena. */
struct switch_decision_story;
int decision_story(struct switch_ *sw, struct arena *a, const char *id, struct switch_decision_story *out,
                   struct error *err);

/* The default model that was set with POST /switch/admin/set_default_model; "" when none was: then the
 * configuration's is it. Read once at the start; the route keeps struct switch_'s copy up to date. */
int admin_default_read(struct store *s, char *out, size_t size, struct error *err);
struct switch_;
/* That one, else the configuration's; "": none. */
const char *admin_default_name(const struct switch_ *sw);

#endif
