/* Queue: jobs that outlive their caller and this process.
 *
 *   POST /switch/task, /switch/queue ──put──> table job ──claim──> run.c ──POST /switch/chat──> this very
 *        │ waits: watch.c                        ^  lease, back-off   │     Switch, over its own socket
 *        <────────── 200, or 202 with the id ────┴────── result <─────┘
 *
 * A job runs as a request like any other, as the one who asked for it: budgets, breakers, limits and
 * accounting see it as they see all others. What is known of a job is in the table, never only in memory. */
#ifndef VX11_SWITCH_QUEUE_H
#define VX11_SWITCH_QUEUE_H

#include "contract/config.h"
#include "net/server.h"

struct switch_;
struct queue;

int queue_start(struct switch_ *sw, struct queue **out, struct error *err);
/* The process stops: nothing new is begun, streams of events end. Running jobs have the drain's time. */
void queue_stopping(struct queue *q);
/* After the drain: what still runs is given back. done runs once, later. */
void queue_stop(struct queue *q, void (*done)(void *ctx), void *ctx);
void queue_free(struct queue *q);
void queue_reload(struct queue *q);                  /* the configuration has changed */
void queue_set_active(struct queue *q, bool active); /* in standby nothing is begun */
/* Most queued jobs at a time when the configuration leaves it to the mode. */
void queue_set_mode_workers(struct queue *q, int workers);

int queue_workers(const struct queue *q); /* most queued jobs at a time */

void queue_on_task(struct request *r, void *module);
void queue_on_add(struct request *r, void *module);
void queue_on_get(struct request *r, void *module);
void queue_on_list(struct request *r, void *module);
void queue_on_status(struct request *r, void *module);
void queue_on_next(struct request *r, void *module);
void queue_on_claim(struct request *r, void *module);
void queue_on_renew(struct request *r, void *module);
void queue_on_complete(struct request *r, void *module);
void queue_on_cancel(struct request *r, void *module);
void queue_on_retry(struct request *r, void *module);
void queue_on_events(struct request *r, void *module);

#endif
