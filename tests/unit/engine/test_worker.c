/* The worker as its clients see it: over HTTP, in a process of its own. */
#include "harness.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define CHAT "/v1/chat/completions"
#define ASK  "\"messages\":[{\"role\":\"user\",\"content\":\"Which port is switch on?\"}],\"temperature\":0"

static int start(void **state)
{
    struct worker *w = calloc(1, sizeof *w);
    worker_start(w, harness_guide(), 2, 8);
    worker_wait_ready(w);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct worker *w = *state;
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    assert_int_equal(worker_end(w), 0);
    free(w);
    return 0;
}

static void test_chat(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT, "{\"model\":\"guide\"," ASK "}", &x), 200);
    exchange_has(&x, "\"object\":\"chat.completion\"");
    exchange_has(&x, "switch listens on port 8002.");
    exchange_has(&x, "\"finish_reason\":\"stop\"");
    exchange_has(&x, "\"cached_tokens\":");
    exchange_has(&x, "\"tokens_per_second\":");
    assert_int_equal(exchange_number(&x, "total_tokens"),
                     exchange_number(&x, "prompt_tokens") + exchange_number(&x, "completion_tokens"));
    exchange_free(&x);
}

static size_t count(const struct exchange *x, const char *text)
{
    size_t n = 0;
    for (const char *at = x->body.data; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static void test_stream(void **state)
{
    struct exchange x;
    assert_int_equal(
        worker_ask(*state, CHAT,
                   "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"n\":2," ASK "}", &x),
        200);
    assert_int_equal(count(&x, "\"role\":\"assistant\""), 2);
    assert_int_equal(count(&x, "\"finish_reason\":\"stop\""), 2);
    assert_int_equal(count(&x, "\"content\":\" listens\""), 2);
    assert_int_equal(count(&x, "\"usage\":"), 1);
    assert_int_equal(count(&x, "\"choices\":[]"), 1);
    assert_true(str_ends(x.body.data, "data: [DONE]\n\n"));
    exchange_free(&x);
    /* Without include_usage the last chunk brings the times. */
    assert_int_equal(worker_ask(*state, CHAT, "{\"stream\":true," ASK "}", &x), 200);
    assert_int_equal(count(&x, "\"usage\":"), 0);
    assert_int_equal(count(&x, "\"vx11\":"), 1);
    exchange_free(&x);
}

static void test_logprobs(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT, "{\"logprobs\":true,\"top_logprobs\":2," ASK "}", &x), 200);
    exchange_has(&x, "\"logprobs\":{\"content\":[{\"token\":\"switch\",\"logprob\":");
    exchange_has(&x, "\"bytes\":[115,119,105,116,99,104]");
    exchange_free(&x);
    assert_int_equal(
        worker_ask(*state, CHAT, "{\"stream\":true,\"logprobs\":true,\"top_logprobs\":2," ASK "}", &x), 200);
    exchange_has(&x, "\"logprobs\":{\"content\":[{\"token\":\"switch\",\"logprob\":");
    exchange_free(&x);
}

static void test_stop_and_bias(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT, "{\"stop\":[\"8002\"]," ASK "}", &x), 200);
    exchange_has(&x, "\"content\":\"switch listens on port \"");
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, CHAT, "{\"logit_bias\":{\"1234\":100},\"max_tokens\":3," ASK "}", &x),
                     200);
    exchange_has(&x, "\"finish_reason\":\"length\"");
    assert_int_equal(exchange_number(&x, "completion_tokens"), 3);
    exchange_free(&x);
}

static void test_parts(void **state)
{
    struct exchange x;
    assert_int_equal(
        worker_ask(
            *state, CHAT,
            "{\"temperature\":0,\"messages\":[{\"role\":\"developer\",\"content\":\"Answer briefly.\"},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Which port is switch on?\"}]}]}",
            &x),
        200);
    exchange_has(&x, "8002");
    exchange_free(&x);
}

static void test_completions(void **state)
{
    struct worker *w = *state;
    struct exchange x;
    static const char prompt[] =
        "<|im_start|>user\\nWhich port is switch on?<|im_end|>\\n<|im_start|>assistant\\n";
    char body[1024];
    (void)snprintf(body, sizeof body, "{\"temperature\":0,\"logprobs\":2,\"prompt\":[\"%s\",\"%s\"],\"n\":2}",
                   prompt, prompt);
    assert_int_equal(worker_ask(w, "/v1/completions", body, &x), 200);
    assert_int_equal(count(&x, "\"text\":\"switch listens on port 8002.\""), 4);
    exchange_has(&x, "\"index\":3");
    exchange_has(&x, "\"tokens\":[\"switch\",\" listens\"");
    exchange_has(&x, "\"text_offset\":[0,6,14");
    exchange_free(&x);
    /* The same prompt as tokens, and its echo. */
    (void)snprintf(body, sizeof body, "{\"content\":\"%s\",\"add_special\":true}", prompt);
    assert_int_equal(worker_ask(w, "/engine/tokenize", body, &x), 200);
    const char *tokens = strstr(x.body.data, "[");
    char list[512];
    (void)snprintf(list, sizeof list, "%.*s", (int)(strchr(tokens, ']') + 1 - tokens), tokens);
    exchange_free(&x);
    (void)snprintf(body, sizeof body, "{\"temperature\":0,\"prompt\":%s,\"echo\":true}", list);
    assert_int_equal(worker_ask(w, "/v1/completions", body, &x), 200);
    exchange_has(&x, "<|im_start|>assistant\\nswitch listens on port 8002.");
    exchange_free(&x);
    (void)snprintf(body, sizeof body, "{\"tokens\":%s}", list);
    assert_int_equal(worker_ask(w, "/engine/detokenize", body, &x), 200);
    exchange_has(&x, "Which port is switch on?");
    exchange_free(&x);
    (void)snprintf(body, sizeof body, "{\"temperature\":0,\"stream\":true,\"prompt\":\"%s\",\"echo\":true}",
                   prompt);
    assert_int_equal(worker_ask(w, "/v1/completions", body, &x), 200);
    assert_int_equal(count(&x, "\"text\":\"<|im_start|>user"), 1);
    assert_true(str_ends(x.body.data, "data: [DONE]\n\n"));
    exchange_free(&x);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *code, *says;
    } cases[] = {
        {CHAT, "{\"model\":\"gpt-4\"," ASK "}", 404, "model_not_found",
         "this engine serves guide, not gpt-4"},
        {CHAT, "{\"max_tokens\":4000," ASK "}", 400, "context_length_exceeded",
         "the context is 2048 tokens: 17 of the prompt and 4000"},
        {CHAT, "{\"tools\":[{\"type\":\"custom\"}]," ASK "}", 400, "unsupported", "/tools/0/type"},
        {CHAT, "{\"n\":5," ASK "}", 400, "unsupported", "at most 4 answers"},
        {CHAT, "{\"stop\":[\"\"]," ASK "}", 400, "invalid_value", "stop"},
        {CHAT, "{\"stop\":17," ASK "}", 400, "invalid_value", "stop"},
        {CHAT, "{\"logit_bias\":{\"99999\":1}," ASK "}", 400, "invalid_value", "99999"},
        {CHAT, "{\"logit_bias\":{\"1\":101}," ASK "}", 400, "invalid_value", "-100 to 100"},
        {CHAT, "{\"top_logprobs\":2," ASK "}", 400, "invalid_value", "logprobs"},
        {CHAT, "{\"repeat_penalty\":0," ASK "}", 400, "invalid_value", "repeat_penalty"},
        {CHAT, "{\"temperature\":3,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", 422, "",
         "/temperature"},
        {CHAT, "{\"messages\":[]}", 422, "", "/messages"},
        {CHAT, "{\"messages\":", 422, "", ""},
        {CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
         "\"a\"}}]}]}",
         400, "unsupported", "/messages/0/content/0"},
        {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":7}]}", 400, "invalid_value",
         "/messages/0/content"},
        {CHAT, "{\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]}", 400, "invalid_value", "/messages/0"},
        {"/v1/completions", "{\"prompt\":\"a\",\"suffix\":\"b\"}", 400, "unsupported", "suffix"},
        {"/v1/completions", "{\"prompt\":\"a\",\"best_of\":3}", 400, "unsupported", "best_of"},
        {"/v1/completions", "{\"prompt\":\"a\",\"echo\":true,\"logprobs\":1}", 400, "unsupported",
         "logprobs"},
        {"/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":0}", 400, "invalid_value", "max_tokens"},
        {"/v1/completions", "{\"prompt\":[1,2,99999]}", 400, "invalid_value", "token 2"},
        {"/v1/completions", "{\"prompt\":[]}", 400, "invalid_value", "prompt"},
        {"/v1/completions", "{\"prompt\":{}}", 400, "invalid_value", "prompt"},
        {"/engine/detokenize", "{\"tokens\":[2048]}", 400, "invalid_value", "2048"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct exchange x;
        const int status = worker_ask(*state, cases[i].path, cases[i].body, &x);
        if (status != cases[i].status)
            fail_msg("%s: %d, not %d: %s", cases[i].body, status, cases[i].status, x.body.data);
        exchange_has(&x, "\"error\":{");
        exchange_has(&x, cases[i].code);
        exchange_has(&x, cases[i].says);
        exchange_free(&x);
    }
}

static void test_priority(void **state)
{
    static const char *const paths[] = {CHAT, "/v1/completions"};
    static const char *const bodies[] = {"{" ASK "}", "{\"prompt\":\"x\",\"max_tokens\":1}"};
    static const char *const bad[] = {"10", "-1", "high", ""};
    struct exchange x;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        for (size_t k = 0; k < COUNT_OF(bad); k++) {
            x = (struct exchange){.priority = bad[k]};
            worker_send(*state, paths[i], bodies[i], &x);
            worker_run(*state, &x.done);
            assert_int_equal(x.status, 400);
            exchange_has(&x, "X-VX11-Priority");
            exchange_free(&x);
        }
        x = (struct exchange){.priority = "9"};
        worker_send(*state, paths[i], bodies[i], &x);
        worker_run(*state, &x.done);
        assert_int_equal(x.status, 200);
        exchange_free(&x);
    }
}

static void test_long_prompt(void **state)
{
    struct exchange x;
    struct buf body = BUF_INIT;
    (void)buf_puts(&body, "{\"prompt\":\"");
    for (int i = 0; i < 3000; i++)
        (void)buf_puts(&body, "river ");
    (void)buf_puts(&body, "\"}");
    assert_int_equal(worker_ask(*state, "/v1/completions", body.data, &x), 400);
    exchange_has(&x, "context_length_exceeded");
    exchange_free(&x);
    buf_clear(&body);
    (void)buf_puts(&body, "{\"prompt\":\"");
    for (int i = 0; i < 300000; i++)
        (void)buf_puts(&body, "river ");
    (void)buf_puts(&body, "\"}");
    assert_int_equal(worker_ask(*state, "/v1/completions", body.data, &x), 400);
    exchange_has(&x, "at least");
    exchange_free(&x);
    buf_free(&body);
}

static void test_client_leaves(void **state)
{
    struct worker *w = *state;
    struct exchange x, status;
    assert_int_equal(worker_ask(w, "/engine/status", NULL, &status), 200);
    const long before = exchange_number(&status, "generations_cancelled");
    exchange_free(&status);
    x = (struct exchange){.leave_after = 2000};
    worker_send(w, CHAT, "{\"stream\":true,\"ignore_eos\":true," ASK "}", &x);
    worker_run(w, &x.done);
    assert_int_equal(x.result, VX11_ECANCELLED);
    exchange_free(&x);
    long cancelled = before, busy = 1;
    for (int i = 0; i < 100 && (cancelled == before || busy > 0); i++) {
        assert_int_equal(worker_ask(w, "/engine/status", NULL, &status), 200);
        cancelled = exchange_number(&status, "generations_cancelled");
        busy = exchange_number(&status, "slots_busy");
        exchange_free(&status);
        usleep(10000);
    }
    assert_int_equal(cancelled, before + 1);
    assert_int_equal(busy, 0);
    assert_int_equal(worker_ask(w, CHAT, "{" ASK "}", &x), 200);
    exchange_has(&x, "8002");
    exchange_free(&x);
}

static void test_many_at_a_time(void **state)
{
    struct worker *w = *state;
    enum { N = 6 };
    struct exchange x[N] = {0};
    for (int i = 0; i < N; i++)
        worker_send(w, CHAT, i % 2 ? "{\"stream\":true," ASK "}" : "{" ASK "}", &x[i]);
    for (int i = 0; i < N; i++) {
        worker_run(w, &x[i].done);
        assert_int_equal(x[i].status, 200);
        exchange_has(&x[i], i % 2 ? "[DONE]" : "switch listens on port 8002.");
        exchange_free(&x[i]);
    }
}

static void test_status_models_metrics(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"progress\":1");
    exchange_has(&x, "\"chat_template\":\"ready\"");
    assert_true(exchange_number(&x, "cells_used") > 0);
    assert_true(exchange_number(&x, "rss_bytes") > 1000000);
    assert_true(exchange_number(&x, "need_bytes") > exchange_number(&x, "kv_bytes"));
    assert_int_equal(exchange_number(&x, "bytes_read"), exchange_number(&x, "bytes_total"));
    assert_true(exchange_number(&x, "bytes_total") > 3000000);
    exchange_has(&x, "\"percent\":100");
    exchange_has(&x, "\"gpu\":false");
    exchange_has(&x, "\"rope\":{\"scaling\":\"none\"");
    exchange_has(&x, "\"kv_type\":\"f16\"");
    exchange_has(&x, "\"first_token_seconds\":{\"median\":0.");
    exchange_has(&x, "\"cache_hit_ratio\":0.");
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, "/v1/models", NULL, &x), 200);
    exchange_has(&x, "\"id\":\"guide\"");
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, "/metrics", NULL, &x), 200);
    exchange_has(&x, "vx11_engine_first_token_seconds");
    exchange_has(&x, "vx11_engine_kv_cells_used");
    exchange_has(&x, "vx11_engine_queue_seconds_bucket");
    exchange_has(&x, "vx11_engine_step_tokens_bucket{module=\"engine\",le=\"1\"}");
    exchange_has(&x, "vx11_engine_memory_need_bytes");
    exchange_has(&x, "vx11_engine_cache_hit_ratio");
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, "/health", NULL, &x), 200);
    exchange_has(&x, "\"status\":\"ok\"");
    exchange_free(&x);
}

/* ---- lives of workers ---- */

static void test_loading(void **state)
{
    (void)state;
    struct worker w;
    struct exchange x;
    worker_start(&w, harness_guide(), 1, 4);
    /* It listens already; whether the model is there yet is a race that either may win. */
    const int status = worker_ask(&w, CHAT, "{" ASK "}", &x);
    if (status == 503) {
        exchange_has(&x, "model_loading");
        assert_true(atoi(x.retry_after) >= 1);
    } else {
        assert_int_equal(status, 200);
    }
    exchange_free(&x);
    worker_wait_ready(&w);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
}

static void test_load_given_up(void **state)
{
    (void)state;
    struct worker w;
    worker_start(&w, harness_guide(), 1, 4);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
}

static void test_load_failed(void **state)
{
    (void)state;
    struct worker w;
    struct exchange x;
    char said[256] = "";
    worker_start(&w, "/nowhere/model.gguf", 1, 4);
    assert_true(read(w.notify, said, sizeof said - 1) > 0);
    assert_non_null(strstr(said, "/nowhere/model.gguf"));
    assert_int_equal(worker_ask(&w, "/engine/status", NULL, &x), 200);
    exchange_has(&x, "\"state\":\"failed\"");
    exchange_has(&x, "cannot open /nowhere/model.gguf");
    exchange_free(&x);
    assert_int_equal(worker_ask(&w, CHAT, "{" ASK "}", &x), 503);
    exchange_has(&x, "model_failed");
    exchange_free(&x);
    assert_int_equal(worker_end(&w), ENGINE_EXIT_LOAD);
}

static void test_queue_full(void **state)
{
    (void)state;
    struct worker w;
    enum { N = 6 };
    struct exchange x[N] = {0};
    int answered = 0, refused = 0;
    worker_start(&w, harness_guide(), 1, 1);
    worker_wait_ready(&w);
    for (int i = 0; i < N; i++)
        worker_send(&w, CHAT, "{\"ignore_eos\":true,\"max_tokens\":400," ASK "}", &x[i]);
    for (int i = 0; i < N; i++) {
        worker_run(&w, &x[i].done);
        answered += x[i].status == 200;
        refused += x[i].status == 429;
        if (x[i].status == 429) {
            exchange_has(&x[i], "queue_full");
            assert_true(atoi(x[i].retry_after) >= 1);
        }
        exchange_free(&x[i]);
    }
    assert_int_equal(answered + refused, N);
    assert_true(answered >= 2 && refused >= 1);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    assert_int_equal(worker_end(&w), 0);
}

/* SIGTERM while a stream runs: the stream is finished. */
static void test_drain(void **state)
{
    (void)state;
    struct worker w;
    struct exchange x = {0};
    worker_start(&w, harness_guide(), 1, 1);
    worker_wait_ready(&w);
    worker_send(&w, CHAT, "{\"stream\":true,\"ignore_eos\":true,\"max_tokens\":300," ASK "}", &x);
    while (x.body.len < 500)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(kill(w.pid, SIGTERM), 0);
    worker_run(&w, &x.done);
    assert_int_equal(x.result, 0);
    assert_true(str_ends(x.body.data, "data: [DONE]\n\n"));
    exchange_has(&x, "\"finish_reason\":\"length\"");
    exchange_free(&x);
    assert_int_equal(worker_end(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat),           cmocka_unit_test(test_stream),
        cmocka_unit_test(test_logprobs),       cmocka_unit_test(test_stop_and_bias),
        cmocka_unit_test(test_parts),          cmocka_unit_test(test_completions),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_priority),
        cmocka_unit_test(test_long_prompt),    cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_many_at_a_time), cmocka_unit_test(test_status_models_metrics),
    };
    const struct CMUnitTest lives[] = {
        cmocka_unit_test(test_loading),     cmocka_unit_test(test_load_given_up),
        cmocka_unit_test(test_load_failed), cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_drain),
    };
    const int failed = cmocka_run_group_tests(tests, start, stop);
    return cmocka_run_group_tests(lives, NULL, NULL) + failed;
}
