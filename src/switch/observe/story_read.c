/* Story, read: what story.c and selection/explain.c wrote into the row of a decision, in the words of the
 * contract. */
#include <string.h>

#include "base/str.h"
#include "switch/admin.h"
#include "switch/switch_internal.h"

enum { STORY_TIMES = 6, STORY_READ = 16 };

static const char sql_story[] = "SELECT trace_id, task_type, mode, privacy, fluzo, score, candidates, story "
                                "FROM decision WHERE id = ?1";

static bool enum_read(const char *const *names, size_t count, const char *name, int *out)
{
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        *out = (int)i;
        return true;
    }
    return false;
}

static double moment(yyjson_val *times, size_t i, bool *there)
{
    const int64_t micro = yyjson_get_sint(yyjson_arr_get(times, i));
    if (there)
        *there = micro >= 0;
    return (double)micro / 1000;
}

static bool attempt_read(yyjson_val *v, struct switch_attempt *out)
{
    yyjson_val *t = yyjson_obj_get(v, "t");
    const int64_t kind = yyjson_get_sint(yyjson_obj_get(v, "k")),
                  end = yyjson_get_sint(yyjson_obj_get(v, "o")),
                  status = yyjson_get_sint(yyjson_obj_get(v, "s"));
    *out = (struct switch_attempt){.provider = yyjson_get_str(yyjson_obj_get(v, "p")),
                                   .model = yyjson_get_str(yyjson_obj_get(v, "m")),
                                   .error = yyjson_get_str(yyjson_obj_get(v, "e")),
                                   .kind = (int)kind,
                                   .outcome = (int)end,
                                   .has_status = status > 0,
                                   .status = status};
    out->start_ms = moment(t, 0, NULL);
    out->called_ms = moment(t, 1, &out->has_called_ms);
    out->connected_ms = moment(t, 2, &out->has_connected_ms);
    out->headers_ms = moment(t, 3, &out->has_headers_ms);
    out->first_token_ms = moment(t, 4, &out->has_first_token_ms);
    out->end_ms = moment(t, 5, NULL);
    return out->provider && out->model && yyjson_arr_size(t) == STORY_TIMES && kind >= 0 &&
           kind < (int64_t)COUNT_OF(switch_attempt_kind_names) && end >= 0 &&
           end < (int64_t)COUNT_OF(switch_attempt_end_names);
}

static int attempts_read(struct arena *a, const char *text, struct switch_decision_story *out)
{
    yyjson_val *root, *v;
    struct contract_error bad;
    yyjson_arr_iter iter;
    if (!text)
        return 0;
    if (contract_json_parse(a, text, strlen(text), NULL, &root, &bad) != 0)
        return bad.code;
    const size_t n = yyjson_arr_size(root) < STORY_READ ? yyjson_arr_size(root) : STORY_READ;
    struct switch_attempt *list = arena_array(a, n + 1, sizeof *list);
    if (!list)
        return VX11_ENOMEM;
    yyjson_arr_iter_init(root, &iter);
    while (out->attempts_count < n && (v = yyjson_arr_iter_next(&iter)))
        if (attempt_read(v, &list[out->attempts_count]))
            out->attempts_count++;
    out->attempts = list;
    return 0;
}

struct reading {
    struct arena *a;
    struct switch_decision_story *out;
};

static int read_row(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    struct arena *a = r->a;
    struct switch_decision_story *out = r->out;
    struct switch_candidate_list list = {0};
    struct contract_error bad;
    out->trace_id = arena_strdup(a, row_text(row, 0));
    out->task_type = arena_strdup(a, row_text(row, 1));
    out->has_mode = enum_read(switch_mode_names, COUNT_OF(switch_mode_names), row_text(row, 2), &out->mode);
    out->has_privacy =
        enum_read(switch_decision_story_privacy_names, COUNT_OF(switch_decision_story_privacy_names),
                  row_text(row, 3), &out->privacy);
    out->has_fluzo = enum_read(switch_fluzo_profile_names, COUNT_OF(switch_fluzo_profile_names),
                               row_text(row, 4), &out->fluzo);
    out->has_score = !row_is_null(row, 5);
    out->score = out->has_score ? row_real(row, 5) : 0;
    const char *candidates = arena_strdup(a, row_text(row, 6)), *story = arena_strdup(a, row_text(row, 7));
    if (candidates && switch_candidate_list_parse(a, candidates, strlen(candidates), &list, &bad) == 0) {
        out->candidates = list.candidates;
        out->candidates_count = list.candidates_count;
    }
    return attempts_read(a, story, out);
}

int decision_story(struct switch_ *sw, struct arena *a, const char *id, struct switch_decision_story *out,
                   struct error *err)
{
    struct reading r = {a, out};
    const struct store_value value = STORE_T(id);
    memset(out, 0, sizeof *out);
    return store_query(module_store(sw->m), sql_story, &value, 1, read_row, &r, err);
}
