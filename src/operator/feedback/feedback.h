/* Feedback: what people think of answers, and changes of how Switch chooses. Both are stored here with what
 * Switch truly made of them. */
#ifndef VX11_OPERATOR_FEEDBACK_FEEDBACK_H
#define VX11_OPERATOR_FEEDBACK_FEEDBACK_H

#include "operator/operator_internal.h"

void feedback_on_put(struct request *r, void *module);
void feedback_on_delete(struct request *r, void *module);
void feedback_on_switch(struct request *r, void *module);
void adjustment_on_new(struct request *r, void *module);
void adjustment_on_list(struct request *r, void *module);

#endif
