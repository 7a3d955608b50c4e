/* Records: what has to outlive a bad day: backups and the ledger. */
#include "cli/doctor/doctor.h"

#include "base/clock.h"
#include "base/str.h"
#include "store/backup/backup.h"
#include "store/ledger/ledger.h"

static const char no_backup[] = "there is no backup";

static bool backups(struct doctor_run *r, struct doctor_result *x, struct backup_list *list)
{
    struct backup_place place;
    struct error err = {0};
    int rc = backup_place_of(r->d->c->home, r->d->database, &place, &err);
    if (rc == 0)
        rc = backup_list(&place, r->arena, list, &err);
    if (rc != 0)
        result_unknown(r, x, "the backups cannot be listed: %s", err.text);
    return rc == 0;
}

void check_backup_fresh(struct doctor_run *r)
{
    char age[24], most[24];
    struct doctor_result *x = doctor_result(r, NULL);
    struct backup_list list = {0};
    const int64_t limit = r->d->config->doctor->backup_age_ms;
    result_limit(r, x, "younger than %s", str_format_duration(limit, most));
    if (!backups(r, x, &list))
        return;
    const struct backup_item *b = backup_newest_verified(&list);
    if (!b) {
        result_failed(r, x, list.backups_count ? "none of the backups is whole" : no_backup);
        return;
    }
    const int64_t ms = clock_wall_ms() - b->made_at;
    str_format_duration(ms > 0 ? ms : 0, age);
    result_measured(r, x, "%s old: %s", age, b->name);
    result_value(x, (double)ms, "ms");
    result_judge(r, x, b->has_made_at && ms < limit, "the newest one that is whole is %s old", age);
}

void check_backup_whole(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct backup_list list = {0};
    size_t bad = 0;
    const char *first = NULL;
    if (!backups(r, x, &list))
        return;
    for (size_t i = 0; i < list.backups_count; i++) {
        const struct backup_item *b = &list.backups[i];
        if (!b->problem && b->has_verified_at)
            continue;
        first = first ? first
                      : arena_printf(r->arena, "%s: %s", b->name, b->problem ? b->problem : "never verified");
        bad++;
    }
    result_limit(r, x, "at least 1, all of them whole");
    result_measured(r, x, "%zu of %zu", list.backups_count - bad, list.backups_count);
    result_value(x, (double)(list.backups_count - bad), "backups");
    if (list.backups_count == 0)
        result_mend(r, x, "vx11 db backup");
    if (list.backups_count == 0)
        result_failed(r, x, no_backup);
    else
        result_judge(r, x, bad == 0, "%s", first ? first : "out of memory");
}

void check_ledger(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    struct ledger_report report;
    struct error err = {0};
    struct store *store = doctor_store(r, x);
    if (!store)
        return;
    int rc = ledger_verify(store, NULL, &r->abandoned, &report, &err);
    store_close(store);
    if (rc != 0) {
        result_unknown(r, x, "the ledger cannot be read: %s", err.text);
        return;
    }
    result_measured(r, x, "%lld rows", (long long)report.rows);
    result_value(x, (double)report.rows, "rows");
    result_judge(r, x, report.fault == LEDGER_SOUND, "%s", report.reason);
}
