/* Round trips: whatever a table allows is written, read back equal, and written again as the same text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/common.h"
#include "api/config.h"
#include "api/openai.h"
#include "base/str.h"
#include "odd.h"
#include "random_message.h"

static const struct contract_message *const messages[] = {
    &odd_message,
    &openai_chat_request_message,
    &openai_completion_request_message,
    &openai_chat_reply_message,
    &openai_chat_chunk_message,
    &openai_completion_reply_message,
    &openai_model_list_message,
    &common_error_message,
    &common_health_reply_message,
    &config_config_message,
};

static void whatever_is_written_reads_back(void **state)
{
    (void)state;
    struct random_source r = {.state = 20251122, .arena = arena_create(0)};
    for (unsigned round = 0; round < 400; round++) {
        const struct contract_message *m = messages[round % COUNT_OF(messages)];
        uint64_t seed = r.state;
        void *in = arena_zalloc(r.arena, m->size), *out = arena_zalloc(r.arena, m->size);
        struct buf text = BUF_INIT, again = BUF_INIT, pretty = BUF_INIT;
        struct contract_error err = {0};
        random_message_fill(&r, m, in, 0);
        assert_int_equal(contract_serialize(m, in, &text), 0);
        assert_true(utf8_valid(text.data, text.len));
        if (contract_parse(m, r.arena, text.data, text.len, NULL, out, &err) != 0) {
            fail_msg("%s seed %llu: %s %s\n%s", m->name, (unsigned long long)seed, err.pointer, err.text,
                     text.data);
        }
        const char *difference = message_difference(m, in, out);
        if (difference != NULL) {
            fail_msg("%s seed %llu: field %s\n%s", m->name, (unsigned long long)seed, difference, text.data);
        }
        assert_int_equal(contract_serialize(m, out, &again), 0);
        assert_string_equal(text.data, again.data);
        assert_int_equal(contract_serialize_pretty(m, in, &pretty), 0);
        memset(out, 0, m->size);
        assert_int_equal(contract_parse(m, r.arena, pretty.data, pretty.len, NULL, out, NULL), 0);
        assert_null(message_difference(m, in, out));
        buf_free(&text);
        buf_free(&again);
        buf_free(&pretty);
        arena_reset(r.arena);
    }
    arena_destroy(r.arena);
}

/* Any single byte changed gives a message or an error, never anything else. */
static void changed_bytes_do_no_harm(void **state)
{
    (void)state;
    struct random_source r = {.state = 7, .arena = arena_create(0)};
    struct buf text = BUF_INIT;
    struct odd in, out;
    for (unsigned round = 0; round < 30; round++) {
        random_message_fill(&r, &odd_message, &in, 1);
        buf_clear(&text);
        assert_int_equal(contract_serialize(&odd_message, &in, &text), 0);
        for (unsigned k = 0; k < 200; k++) {
            size_t at = random_next(&r) % text.len;
            char old = text.data[at];
            struct contract_error err = {0};
            text.data[at] = (char)random_next(&r);
            int rc = contract_parse(&odd_message, r.arena, text.data, text.len, NULL, &out, &err);
            assert_true(rc == 0 ||
                        (rc == err.code && err.text[0] != '\0' && utf8_valid(err.text, strlen(err.text))));
            text.data[at] = old;
        }
        arena_reset(r.arena);
    }
    buf_free(&text);
    arena_destroy(r.arena);
}

static void refuses_to_write_what_breaks_the_contract(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    buf_puts(&out, "before");
    struct odd in = {.name = "n", .colour = 3};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.colour = 1};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.name = "n", .has_ratio = true, .ratio = NAN};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.name = "n", .ratios = (double[]){INFINITY}, .ratios_count = 1};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.name = "n", .names = (const char *[]){"a", NULL}, .names_count = 2};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.name = "n", .names_count = 2};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    in = (struct odd){.name = "n"};
    in.child = &in; /* a cycle */
    assert_int_equal(contract_serialize(&odd_message, &in, &out), VX11_EINVALID);
    assert_string_equal(out.data, "before");
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void writes_what_a_reader_expects(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct openai_delta delta = {.content = "a\xff\"\n"};
    struct openai_chunk_choice choice = {.delta = &delta};
    struct openai_chat_chunk chunk = {
        .id = "c1", .created = 5, .model = "guide", .choices = &choice, .choices_count = 1};
    assert_int_equal(openai_chat_chunk_serialize(&chunk, &out), 0);
    assert_string_equal(out.data,
                        "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":"
                        "\"guide\",\"choices\":[{\"index\":0,"
                        "\"delta\":{\"content\":\"a\xef\xbf\xbd\\\"\\n\"},\"finish_reason\":null}]}");
    buf_clear(&out);
    struct odd in = {.name = "n",
                     .has_ratio = true,
                     .ratio = 0.1,
                     .big = INT64_MIN,
                     .ratios = (double[]){1e300, -0.0, 5e-324, 1e21, 123456789.0},
                     .ratios_count = 5};
    assert_int_equal(contract_serialize(&odd_message, &in, &out), 0);
    assert_string_equal(
        out.data,
        "{\"big\":-9223372036854775808,\"ratio\":0.1,\"name\":\"n\",\"code\":null,\"greeting\":\"say "
        "\\\"hi\\\"\\n\",\"colour\":\"red\",\"maybe\":null,\"counts\":[],\"ratios\":[1e300,0,5e-324,1e21,"
        "123456789]}");
    buf_free(&out);
}

static void becomes_a_value_of_a_document(void **state)
{
    (void)state;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct common_check check = {.name = "x", .status = COMMON_HEALTH_DEGRADED};
    yyjson_mut_val *v = contract_to_value(&common_check_message, &check, doc);
    assert_non_null(v);
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(v, "status")), "degraded");
    assert_true(yyjson_mut_is_null(yyjson_mut_obj_get(v, "detail")));
    check.status = 9;
    assert_null(contract_to_value(&common_check_message, &check, doc));
    yyjson_mut_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_written_reads_back),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(refuses_to_write_what_breaks_the_contract),
        cmocka_unit_test(writes_what_a_reader_expects),
        cmocka_unit_test(becomes_a_value_of_a_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
