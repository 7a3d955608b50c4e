/* Selector: what Switch keeps in mind to choose by: the mode, the learner, the host's signals, and what
 * Hermes says of local models. One of it, in struct switch_. */
#ifndef VX11_SWITCH_SELECTOR_H
#define VX11_SWITCH_SELECTOR_H

#include <uv.h>

#include "contract/config.h"
#include "switch/selection/choice.h"
#include "switch/selection/fluzo.h"
#include "switch/selection/learner.h"

struct switch_;
struct selector;
struct selection;
struct candidate;
struct hermes_model;

/* ---- life: switch.c ---- */
int selector_start(struct switch_ *sw, struct selector **out, struct error *err);
void selector_reload(struct selector *s); /* the configuration has changed */
/* Writes what was learned and closes its handles; done runs once, later. */
void selector_stop(struct selector *s, void (*done)(void *ctx), void *ctx);
void selector_free(struct selector *s); /* NULL is fine */

/* ---- for the others ---- */
enum switch_mode selector_mode(const struct selector *s);     /* that applies */
enum switch_mode selector_mode_set(const struct selector *s); /* that is set */
/* Sets it and remembers it. */
int selector_set_mode(struct selector *s, enum switch_mode mode, struct error *err);
enum switch_fluzo_profile selector_host(const struct selector *s);
const struct fluzo *selector_fluzo(const struct selector *s);
struct learner *selector_learner(struct selector *s);

/* What Hermes says of its models, whenever they are listed. Copies. */
void selector_models(struct selector *s, const struct hermes_model *models, size_t n);

/* Jobs that wait in the queue; -1: the store does not tell. */
int64_t selector_queue_size(struct selector *s);
/* Fills mode, warm_model and queue_size. */
void selector_context(struct switch_ *sw, struct switch_context *out);

struct local_fact { /* negative: not known */
    char *name;
    int64_t context, parameters, size_bytes;
    int64_t load_ms; /* of its last load */
    int64_t last_used_at;
    bool ready, loading;
    bool external; /* of an engine that is not VX11's own */
    char *engine;  /* its name, then; NULL: not told */
};
const struct local_fact *selector_local(const struct selector *s, const char *model);
/* Whether what a local model is sent stays on this machine: not when its engine is an address that nobody
 * said is here, and not when that cannot be told. By the configuration as it is now. */
bool selector_stays(const struct selector *s, const char *model);
/* The loaded model used last besides `active` (may be NULL); NULL: none. */
const char *selector_warm_model(const struct selector *s, const char *active);

/* ---- for dispatch, attempt and account ---- */
/* Whether the wish leaves the choice to Switch, so that what is loaded and what there is must be known
 * freshly. */
bool selection_is_open(const struct switch_ *sw, const struct wish *w);
/* How an attempt of a candidate of this selection ended. ok: it answered in full. Not for attempts that say
 * nothing: the caller left, another one was faster, the request was the caller's fault. Times are those of
 * the attempt, negative: none; tokens -1: not known. */
void selection_outcome(struct selector *s, struct selection *selection, const struct candidate *c, bool ok,
                       double first_token_ms, double total_ms, int64_t tokens);
/* "local/guide; mode=BALANCED; task=chat; score=0.61; reason=…" for the header X-VX11-Decision. c: who
 * answers. Returns out. */
char *selection_header(const struct selection *selection, const struct candidate *c, char *out, size_t size);
/* Longest time to the first token of a candidate that Switch chose while another one is left: the provider's
 * own, bounded by the mode. */
int64_t selection_first_token_ms(const struct selection *selection, const struct candidate *c);

/* The columns of a decision row, in this order: task_type, mode, score, candidates, privacy, fluzo. `text`
 * (BUF_INIT) holds what they point to, to be freed by the caller. c: who answered or failed last; NULL. */
#define SELECTION_COLUMNS 6
void selection_columns(const struct selection *selection, const struct candidate *c, struct buf *text,
                       struct store_value out[SELECTION_COLUMNS]);
/* The whole explanation; everything lives in the arena. 0 or VX11_ENOMEM. */
int selection_explain(struct arena *a, const struct selection *selection, struct switch_explanation *out);

#endif
