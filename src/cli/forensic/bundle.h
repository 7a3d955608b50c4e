/* Bundle, inside: what the files that fill it share. */
#ifndef VX11_CLI_FORENSIC_BUNDLE_H
#define VX11_CLI_FORENSIC_BUNDLE_H

#include "cli/forensic/forensic_cli.h"
#include "cli/forensic/pack.h"
#include "cli/forensic/secrets.h"

struct bundle {
    struct cli *c;
    const char *config_reason; /* why the configuration could not be read; NULL: it could */
    struct store *store;       /* NULL: store_reason */
    struct error store_error;
    struct forensic_options options;
    struct secrets *secrets;
    struct pack *pack;
    size_t crashes, log_records;
    struct cli_forensic_bundle_manifest manifest;
    size_t files_cap, missing_cap;
};

/* Adds a file, redacted. note may be NULL (a literal, or in the command's arena). Errors end the bundle:
 * there is no room for it. */
enum bundle_kind { BUNDLE_TEXT, BUNDLE_JSON };
int bundle_add(struct bundle *b, const char *name, enum bundle_kind kind, const struct buf *content,
               const char *note, struct error *err);
/* What could not be had; the reason is redacted and copied. */
int bundle_missing(struct bundle *b, const char *name, const char *reason, struct error *err);

/* bundle_machine.c */
int bundle_versions(struct bundle *b, struct error *err);
int bundle_machine(struct bundle *b, struct error *err);
int bundle_environment(struct bundle *b, struct error *err);
/* bundle_state.c */
int bundle_config(struct bundle *b, struct error *err);
int bundle_status(struct bundle *b, struct error *err);
int bundle_logs(struct bundle *b, struct error *err);
int bundle_crashes(struct bundle *b, struct error *err);
/* bundle_database.c */
int bundle_schema(struct bundle *b, struct error *err);
int bundle_runs(struct bundle *b, struct error *err);
int bundle_doctor(struct bundle *b, struct error *err);

#endif
