/* Routes of the selection: what would be chosen, the mode, the learner, the host. */
#ifndef VX11_SWITCH_SELECTION_ROUTES_H
#define VX11_SWITCH_SELECTION_ROUTES_H

#include "net/server.h"

/* routes_select.c */
void select_explain(struct request *r, void *module); /* debug/select-provider, select_engine, select_model */
void select_shub(struct request *r, void *module);
/* routes_learner.c */
void learner_show(struct request *r, void *module);
void learner_record(struct request *r, void *module);
void learner_feedback(struct request *r, void *module);
/* routes_state.c */
void mode_control(struct request *r, void *module);
void fluzo_show(struct request *r, void *module);
void fluzo_show_signals(struct request *r, void *module);
void hermes_status(struct request *r, void *module);

#endif
