/* Odd: a message of every type there is, written by hand, for what the real tables do not use. */
#ifndef VX11_TESTS_CONTRACT_ODD_H
#define VX11_TESTS_CONTRACT_ODD_H

#include "contract/contract.h"

enum odd_colour { ODD_RED, ODD_GREEN, ODD_BLUE };

struct odd {
    bool has_flag;
    bool flag;
    bool has_count;
    int64_t count; /* -10 to 10 */
    int64_t big;   /* default 9007199254740993, which no double holds */
    bool has_ratio;
    double ratio;         /* 0 to 1 */
    const char *name;     /* required, 1 to 8 characters */
    const char *code;     /* [a-z]+[0-9]{2}, nullable (written as null) */
    const char *greeting; /* default "say \"hi\"\n" */
    int colour;           /* default green */
    bool has_maybe;
    int maybe; /* enum, nullable, required */
    bool has_at;
    int64_t at;            /* timestamp */
    const char *id;        /* ulid */
    yyjson_val *free_form; /* json */
    struct odd *child;     /* recursive */
    struct odd *children;  /* at most 4 */
    size_t children_count;
    bool *flags;
    size_t flags_count;
    int64_t *counts; /* default [1,2,3] */
    size_t counts_count;
    double *ratios;
    size_t ratios_count;
    const char **names; /* at least 1 when there, at most 5; each at most 4 characters */
    size_t names_count;
    int *colours;
    size_t colours_count;
    yyjson_val **forms; /* nullable, not written when absent */
    size_t forms_count;
};
extern const struct contract_message odd_message;

/* What fits path and query. */
struct odd_params {
    const char *id; /* required */
    bool has_page;
    int64_t page;  /* required */
    int64_t limit; /* default 50, 1 to 500 */
    bool has_deep;
    bool deep;
    bool has_share;
    double share;
    bool has_colour;
    int colour;
    const char **tags; /* at most 3 */
    size_t tags_count;
    int64_t *numbers;
    size_t numbers_count;
    yyjson_val *filter;
};
extern const struct contract_message odd_params_message;

#endif
