/* What the files of limits share. */
#ifndef VX11_SWITCH_LIMITS_INTERNAL_H
#define VX11_SWITCH_LIMITS_INTERNAL_H

#include "base/ulid.h"
#include "switch/limits/limits.h"

#define DAY_MS INT64_C(86400000)

/* Requests of the last minute by whole seconds: the running one and the 60 before it. */
#define WINDOW_SECONDS 61
struct limits_window {
    int64_t second; /* the newest that is counted; epoch s */
    int64_t sum;
    uint32_t counts[WINDOW_SECONDS]; /* by second modulo their number */
};

struct limits_bounds {
    int64_t of[LIMITS_BUDGETS]; /* 0: none; cost in micro */
};

/* One who has a budget: a principal (a token and what it is rotated to, all sessions of the page, the
 * modules) or a provider. Lives as long as the limits: there are as many as tokens and providers. */
struct limits_account {
    struct limits_account *next; /* in its bucket */
    bool provider;
    char id[ULID_LEN + 1 + 64];
    char name[64];
    struct limits_bounds bounds;
    struct limits_window window;
    int64_t day, month; /* beginnings of those that the counters are of */
    int64_t day_tokens, month_tokens, month_cost;
    int64_t reserved_tokens, reserved_cost, running;
};

/* What is remembered of a principal's id. Counted references: a running request keeps the one it began with.
 */
struct limits_key {
    struct limits_key *next; /* in its bucket */
    unsigned refs;
    char id[ULID_LEN + 1];
    struct limits_account *account;
    bool local_only;
    char mode[16];
    size_t model_count;
    char *models[]; /* patterns, in the block behind the pointers */
};

#define ACCOUNT_BUCKETS 256
#define KEY_BUCKETS     1024
#define KEYS_MAX        16384 /* sessions come and go: beyond this all are forgotten and read again */

struct limits_default { /* from switch.budgets */
    char principal[64];
    struct limits_bounds bounds;
};

struct limits {
    struct store *store;
    struct limits_account *accounts[ACCOUNT_BUCKETS];
    struct limits_key *keys[KEY_BUCKETS];
    size_t key_count;
    int64_t data_version, token_version;
    int64_t last_now, tick_at;
    struct limits_default *defaults;
    size_t default_count;
    int64_t assumed_answer;
    char currency[17];
};

/* window.c */
int64_t limits_day(int64_t now);   /* when its UTC day began */
int64_t limits_month(int64_t now); /* when its UTC month began */
int64_t limits_next_month(int64_t now);
int64_t window_count(struct limits_window *w, int64_t now);
void window_add(struct limits_window *w, int64_t now);
/* A request of an earlier moment; nothing when that is too long ago. */
void window_restore(struct limits_window *w, int64_t at, int64_t now);
/* When fewer than `limit` will be counted, if nothing more comes. 1: when all are forgotten. */
int64_t window_free_at(struct limits_window *w, int64_t limit, int64_t now);

/* account.c */
struct limits_account *account_get(struct limits *l, bool provider,
                                   const char *id);       /* made when new; NULL: no memory */
void account_turn(struct limits_account *a, int64_t now); /* into the day and the month of now */
int limits_load(struct limits *l, int64_t now, struct error *err);

/* keys.c */
/* With a reference taken. */
int key_get(struct limits *l, const struct principal *p, struct limits_key **out, struct error *err);
void key_drop(struct limits_key *k);
void keys_forget(struct limits *l);
bool key_allows(const struct limits_key *k, const char *requested, const char *provider, const char *model);

#endif
