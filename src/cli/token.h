/* Token: what the files of `vx11 token` share. */
#ifndef VX11_CLI_TOKEN_H
#define VX11_CLI_TOKEN_H

#include <stdbool.h>

#include "base/arena.h"
#include "store/tokens.h"

/* What the subcommands work with. */
struct tokens {
    char file[4200]; /* the owner's */
    char currency[17];
    struct store *store;
    struct arena *arena;
};
/* 0, or an exit code after having said why. tokens_close either way. */
int tokens_open(struct tokens *t, bool with_store);
void tokens_close(struct tokens *t);
int tokens_code_of(int rc);

/* token_limits.c: what a token may use, as given with options. */
struct token_wishes {
    struct token_limits limits;
    unsigned given; /* bit of each option */
    bool clear;     /* --unlimited */
};
/* 1: argv[*i] was one of its options; 0: it was not; -1: it was wrong, which has been said. */
int token_wish_option(int argc, char **argv, int *i, struct token_wishes *w);
/* The options that were given over what is there. */
void token_wishes_apply(const struct token_wishes *w, struct token_limits *l);
/* token limits NAME [options] */
int token_command_limits(int argc, char **argv);

#endif
