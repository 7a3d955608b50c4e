/* Page: the newest records of all modules, found from the newest file backwards. A file can only be read
 * forwards, so each is read whole, and the newest records of it that are wanted are kept:
 *
 *   link.log        switch.log      of all modules, the one that may still hold the newest is read next,
 *   link.log.8.zst  switch.log.3    until what is missing is older than what is there
 *   link.log.7.zst
 *
 * The search ends after a bound of bytes; what is older than the oldest file read of any module is then left
 * for the next page, so that no page has holes. */
#include "base/log_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define MODULES_MAX 64
#define LINE_KEPT   16384 /* the writer's own are shorter */
#define FILES_LEAST 2     /* read of each module in any case, so that every page comes further */

struct source {
    char module[64];
    struct log_file *live; /* not read yet */
    uint64_t number;       /* of the oldest copy read */
    int64_t upper;         /* what is still to be read is not newer */
    unsigned files;        /* read */
    bool over;
};

struct search {
    const struct log_page_options *o;
    int dir_fd;
    struct source sources[MODULES_MAX];
    size_t source_count;
    struct log_page *page;
    uint64_t bytes;
    bool overflowed; /* a record was found that had no room */
};

int log_place_compare(const struct log_place *a, const struct log_place *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    int names = strcmp(a->module, b->module);
    if (names != 0)
        return names;
    return a->at < b->at ? -1 : a->at > b->at;
}

char *log_place_format(const struct log_place *p, char out[112])
{
    (void)snprintf(out, 112, "%" PRId64 ".%" PRIu64 ".%s", p->time_ms, p->at, p->module);
    return out;
}

bool log_place_parse(const char *text, struct log_place *out)
{
    char part[24];
    size_t first = strcspn(text, "."), second = text[first] ? strcspn(text + first + 1, ".") : 0;
    int64_t at;
    if (first == 0 || first >= sizeof part || second == 0 || second >= sizeof part ||
        text[first + 1 + second] != '.')
        return false;
    memcpy(part, text, first);
    part[first] = '\0';
    if (str_to_i64(part, 0, INT64_MAX, &out->time_ms) != 0)
        return false;
    memcpy(part, text + first + 1, second);
    part[second] = '\0';
    if (str_to_i64(part, 0, INT64_MAX, &at) != 0)
        return false;
    out->at = (uint64_t)at;
    const char *module = text + first + second + 2;
    return snprintf(out->module, sizeof out->module, "%s", module) < (int)sizeof out->module;
}

static bool text_fits(const struct log_page_options *o, const char *line)
{
    return !o->text || strcasestr(line, o->text) != NULL;
}

/* Room for one more, in its place; the oldest goes when there is none. */
static int keep(struct search *s, const struct log_place *place, enum log_level level, const struct buf *line)
{
    struct log_page *p = s->page;
    size_t low = 0, high = p->count;
    while (low < high) { /* newest first */
        size_t middle = (low + high) / 2;
        int order = log_place_compare(place, &p->records[middle].place);
        if (order == 0)
            return 0; /* its file was renamed while we read: seen twice */
        if (order > 0)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == s->o->limit) {
        s->overflowed = true;
        return 0;
    }
    size_t len = line->len > LINE_KEPT ? utf8_valid_prefix(line->data, LINE_KEPT) : line->len;
    char *copy = strndup(line->data, len);
    if (!copy)
        return VX11_ENOMEM;
    if (p->count == s->o->limit) {
        free(p->records[--p->count].line);
        s->overflowed = true;
    }
    memmove(p->records + low + 1, p->records + low, (p->count - low) * sizeof *p->records);
    p->records[low] =
        (struct log_page_record){.place = *place, .level = level, .line = copy, .len = strlen(copy)};
    p->count++;
    return 0;
}

static bool wanted(const struct search *s, const struct log_place *place, enum log_level level)
{
    const struct log_page_options *o = s->o;
    return level >= o->level && place->time_ms >= o->since_ms &&
           (o->until_ms == 0 || place->time_ms <= o->until_ms) &&
           (!o->before || log_place_compare(place, o->before) < 0);
}

/* Reads a file to its end; *first: time of its first record, unchanged when it has none. *newer: all of it is
 * newer than what is wanted, and was not read. */
static int file_read(struct search *s, const struct source *from, struct log_file *f, int64_t *first,
                     bool *newer)
{
    const struct log_page_options *o = s->o;
    int64_t end = o->before ? o->before->time_ms : o->until_ms ? o->until_ms : INT64_MAX;
    struct log_place place = {0};
    enum log_level level = LOG_INFO;
    struct buf line = BUF_INIT;
    bool begun = false;
    int rc = 0;
    (void)snprintf(place.module, sizeof place.module, "%s", from->module);
    while (rc == 0 && log_file_line(f, false, &line) == 1) {
        struct log_head head;
        log_head_parse(line.data, line.len, &head);
        place.time_ms = head.has_time ? head.time_ms : place.time_ms;
        level = head.has_level ? head.level : level;
        place.at = log_file_at(f);
        if (head.has_time && !begun) {
            begun = true;
            *first = head.time_ms;
            *newer = head.time_ms > end;
            if (*newer)
                break;
        }
        s->bytes += line.len + 1;
        if (wanted(s, &place, level) && text_fits(o, line.data))
            rc = keep(s, &place, level, &line);
    }
    buf_free(&line);
    return rc;
}

static int source_step(struct search *s, struct source *from)
{
    struct log_file *f = from->live;
    int64_t first = from->upper;
    bool newer = false;
    int rc = 0;
    from->live = NULL;
    if (!f)
        rc = log_copy_open(s->dir_fd, from->module, &from->number, &f);
    if (rc == VX11_ENOT_FOUND) {
        from->over = true;
        return 0;
    }
    if (rc == VX11_ENOMEM)
        return rc;
    if (rc == 0) /* one that cannot be opened has nothing to show */
        rc = file_read(s, from, f, &first, &newer);
    log_file_close(f);
    from->files += !newer;
    from->upper = first < from->upper ? first : from->upper;
    from->over = from->upper < s->o->since_ms;
    return rc == VX11_ENOMEM ? rc : 0;
}

/* The one that may hold the newest of what is missing. */
static struct source *source_next(struct search *s)
{
    struct source *best = NULL;
    for (size_t i = 0; i < s->source_count; i++)
        if (!s->sources[i].over && (!best || s->sources[i].upper > best->upper))
            best = &s->sources[i];
    return best;
}

static bool bound_reached(const struct search *s)
{
    if (s->bytes < s->o->most_bytes)
        return false;
    for (size_t i = 0; i < s->source_count; i++)
        if (!s->sources[i].over && s->sources[i].files < FILES_LEAST)
            return false;
    return true;
}

/* Takes away what is not newer than `horizon`: there may be others of that time that were not seen. */
static void page_cut(struct log_page *p, int64_t horizon)
{
    while (p->count > 0 && p->records[p->count - 1].place.time_ms <= horizon)
        free(p->records[--p->count].line);
    p->cut = p->more = true;
    p->next = (struct log_place){.time_ms = horizon < INT64_MAX ? horizon + 1 : horizon};
}

static int search_run(struct search *s)
{
    struct log_page *p = s->page;
    struct source *next;
    while ((next = source_next(s)) != NULL) {
        if (p->count == s->o->limit && next->upper < p->records[p->count - 1].place.time_ms)
            break; /* all that is missing is older than all that is here */
        if (bound_reached(s)) {
            if (p->count < s->o->limit || next->upper >= p->records[p->count - 1].place.time_ms) {
                page_cut(p, next->upper);
                return 0;
            }
            break;
        }
        int rc = source_step(s, next);
        if (rc != 0)
            return rc;
    }
    p->more = s->overflowed || next != NULL;
    if (p->more && p->count > 0)
        p->next = p->records[p->count - 1].place;
    return 0;
}

/* The live files first, all of them: what is turned over afterwards is then seen twice rather than never. */
static int sources_open(struct search *s)
{
    struct buf names = BUF_INIT;
    char *left = NULL;
    int rc = log_reader_names(s->o->dir, &names);
    int64_t end = s->o->before ? s->o->before->time_ms : INT64_MAX;
    for (char *name = names.data ? strtok_r(names.data, " ", &left) : NULL;
         name && s->source_count < MODULES_MAX; name = strtok_r(NULL, " ", &left)) {
        if (s->o->module && strcmp(s->o->module, name) != 0)
            continue;
        struct source *one = &s->sources[s->source_count++];
        *one = (struct source){.number = UINT64_MAX, .upper = end};
        (void)snprintf(one->module, sizeof one->module, "%s", name);
        if (log_live_open(s->dir_fd, one->module, &one->live) == VX11_ENOMEM)
            rc = VX11_ENOMEM;
    }
    buf_free(&names);
    return rc;
}

int log_page_read(const struct log_page_options *options, struct log_page *out)
{
    struct search *s = calloc(1, sizeof *s);
    *out = (struct log_page){0};
    if (!s)
        return VX11_ENOMEM;
    s->o = options;
    s->page = out;
    s->dir_fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = s->dir_fd < 0 ? error_set_errno(NULL, errno, "%s", options->dir) : 0;
    if (rc == 0) {
        out->records = calloc(options->limit + 1, sizeof *out->records);
        rc = out->records ? sources_open(s) : VX11_ENOMEM;
    }
    if (rc == 0)
        rc = search_run(s);
    for (size_t i = 0; i < s->source_count; i++)
        log_file_close(s->sources[i].live);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s);
    return rc == VX11_ENOT_FOUND ? 0 : rc;
}

void log_page_free(struct log_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->records[i].line);
    free(p->records);
    *p = (struct log_page){0};
}
