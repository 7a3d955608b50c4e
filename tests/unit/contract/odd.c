/* The tables of odd.h. */
#include "odd.h"

static const char *const colours[] = {"red", "green", "blue"};

#define OFFSETS(member) .offset = offsetof(struct odd, member), .has_offset = SIZE_MAX
#define WITH_HAS(member)                                                                                     \
    .offset = offsetof(struct odd, member), .has_offset = offsetof(struct odd, has_##member)
#define LIST(member, kind)                                                                                   \
    OFFSETS(member), .count_offset = offsetof(struct odd, member##_count), .type = CONTRACT_ARRAY,           \
                     .element = &kind
#define ENUM .type = CONTRACT_ENUM, .values = colours, .values_count = 3
#define TEXT .doc = "", .unit = ""

static const struct contract_field e_bool = {
    .name = "e", TEXT, .type = CONTRACT_BOOL, .has_offset = SIZE_MAX};
static const struct contract_field e_int = {
    .name = "e", TEXT, .type = CONTRACT_INTEGER, .has_offset = SIZE_MAX};
static const struct contract_field e_number = {
    .name = "e", TEXT, .type = CONTRACT_NUMBER, .has_offset = SIZE_MAX};
static const struct contract_field e_string = {
    .name = "e", TEXT, .type = CONTRACT_STRING, .has_offset = SIZE_MAX, .max_length = 4};
static const struct contract_field e_enum = {.name = "e", TEXT, ENUM, .has_offset = SIZE_MAX};
static const struct contract_field e_json = {
    .name = "e", TEXT, .type = CONTRACT_JSON, .has_offset = SIZE_MAX};
static const struct contract_field e_odd = {
    .name = "e", TEXT, .type = CONTRACT_MESSAGE, .has_offset = SIZE_MAX, .message = &odd_message};

static const struct contract_field fields[] = {
    {.name = "flag", TEXT, .type = CONTRACT_BOOL, WITH_HAS(flag)},
    {.name = "count",
     TEXT,
     .type = CONTRACT_INTEGER,
     WITH_HAS(count),
     .flags = CONTRACT_HAS_MIN | CONTRACT_HAS_MAX,
     .min = -10,
     .max = 10},
    {.name = "big",
     TEXT,
     .type = CONTRACT_INTEGER,
     OFFSETS(big),
     .flags = CONTRACT_HAS_DEFAULT,
     .default_json = "9007199254740993"},
    {.name = "ratio",
     TEXT,
     .type = CONTRACT_NUMBER,
     WITH_HAS(ratio),
     .flags = CONTRACT_HAS_MIN | CONTRACT_HAS_MAX,
     .min = 0,
     .max = 1},
    {.name = "name",
     TEXT,
     .type = CONTRACT_STRING,
     OFFSETS(name),
     .flags = CONTRACT_REQUIRED,
     .min_length = 1,
     .max_length = 8},
    {.name = "code",
     TEXT,
     .type = CONTRACT_STRING,
     OFFSETS(code),
     .flags = CONTRACT_NULLABLE,
     .max_length = 20,
     .pattern = "[a-z]+[0-9]{2}"},
    {.name = "greeting",
     TEXT,
     .type = CONTRACT_STRING,
     OFFSETS(greeting),
     .flags = CONTRACT_HAS_DEFAULT,
     .default_json = "\"say \\\"hi\\\"\\n\""},
    {.name = "colour",
     TEXT,
     ENUM,
     OFFSETS(colour),
     .flags = CONTRACT_HAS_DEFAULT,
     .default_json = "\"green\""},
    {.name = "maybe", TEXT, ENUM, WITH_HAS(maybe), .flags = CONTRACT_REQUIRED | CONTRACT_NULLABLE},
    {.name = "at", TEXT, .type = CONTRACT_TIMESTAMP, WITH_HAS(at)},
    {.name = "id", TEXT, .type = CONTRACT_ULID, OFFSETS(id)},
    {.name = "free_form", TEXT, .type = CONTRACT_JSON, OFFSETS(free_form)},
    {.name = "child", TEXT, .type = CONTRACT_MESSAGE, OFFSETS(child), .message = &odd_message},
    {.name = "children", TEXT, LIST(children, e_odd), .message = &odd_message, .max_length = 4},
    {.name = "flags", TEXT, LIST(flags, e_bool)},
    {.name = "counts", TEXT, LIST(counts, e_int), .flags = CONTRACT_HAS_DEFAULT, .default_json = "[1,2,3]"},
    {.name = "ratios", TEXT, LIST(ratios, e_number)},
    {.name = "names", TEXT, LIST(names, e_string), .min_length = 1, .max_length = 5},
    {.name = "colours", TEXT, LIST(colours, e_enum)},
    {.name = "forms", TEXT, LIST(forms, e_json), .flags = CONTRACT_NULLABLE | CONTRACT_OMIT_NULL},
};
const struct contract_message odd_message = {.name = "Odd",
                                             .file = "test",
                                             .doc = "Every type.",
                                             .size = sizeof(struct odd),
                                             .fields = fields,
                                             .field_count = sizeof fields / sizeof fields[0]};

#undef OFFSETS
#undef WITH_HAS
#define OFFSETS(member) .offset = offsetof(struct odd_params, member), .has_offset = SIZE_MAX
#define WITH_HAS(member)                                                                                     \
    .offset = offsetof(struct odd_params, member), .has_offset = offsetof(struct odd_params, has_##member)
#define COUNT(member) .count_offset = offsetof(struct odd_params, member##_count)

static const struct contract_field params[] = {
    {.name = "id", TEXT, .type = CONTRACT_STRING, OFFSETS(id), .flags = CONTRACT_REQUIRED, .max_length = 10},
    {.name = "page", TEXT, .type = CONTRACT_INTEGER, WITH_HAS(page), .flags = CONTRACT_REQUIRED},
    {.name = "limit",
     TEXT,
     .type = CONTRACT_INTEGER,
     OFFSETS(limit),
     .flags = CONTRACT_HAS_DEFAULT | CONTRACT_HAS_MIN | CONTRACT_HAS_MAX,
     .min = 1,
     .max = 500,
     .default_json = "50"},
    {.name = "deep", TEXT, .type = CONTRACT_BOOL, WITH_HAS(deep)},
    {.name = "share", TEXT, .type = CONTRACT_NUMBER, WITH_HAS(share)},
    {.name = "colour", TEXT, ENUM, WITH_HAS(colour)},
    {.name = "tags",
     TEXT,
     .type = CONTRACT_ARRAY,
     OFFSETS(tags),
     COUNT(tags),
     .element = &e_string,
     .max_length = 3},
    {.name = "numbers", TEXT, .type = CONTRACT_ARRAY, OFFSETS(numbers), COUNT(numbers), .element = &e_int},
    {.name = "filter", TEXT, .type = CONTRACT_JSON, OFFSETS(filter)},
};
const struct contract_message odd_params_message = {.name = "OddParams",
                                                    .file = "test",
                                                    .doc = "Path and query.",
                                                    .size = sizeof(struct odd_params),
                                                    .fields = params,
                                                    .field_count = sizeof params / sizeof params[0]};
