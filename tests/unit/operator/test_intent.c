/* Intent: what texts of both languages ask for, what they only seem to, and which operations they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "operator/intent/intent.h"

static const struct {
    const char *text;
    enum operator_intent_mode mode;
    const char *ops; /* with commas */
} texts[] = {
    {"hello, how are you?", OPERATOR_INTENT_MODE_CHAT, ""},
    {"this is something", OPERATOR_INTENT_MODE_CHAT, ""},
    {"write a function in Python that sorts a list", OPERATOR_INTENT_MODE_CODE, ""},
    {"Escribe una función en Python", OPERATOR_INTENT_MODE_CODE, ""},
    /* a mix, and what is none */
    {"mix this", OPERATOR_INTENT_MODE_MIX, "normalize,eq,limiter"},
    {"Please mix it", OPERATOR_INTENT_MODE_MIX, "normalize,eq,limiter"},
    {"haz la mezcla", OPERATOR_INTENT_MODE_MIX, "normalize,eq,limiter"},
    {"Mezcla esta canción", OPERATOR_INTENT_MODE_MIX, "normalize,eq,limiter"},
    {"mix the vocals with some reverb and a limiter", OPERATOR_INTENT_MODE_MIX, "reverb,limiter"},
    {"mezcla la canción, sube la voz y ecualiza", OPERATOR_INTENT_MODE_MIX, "raise_voice,eq"},
    {"mix this song with natural panning and remove resonances", OPERATOR_INTENT_MODE_MIX,
     "natural_panning,remove_resonances"},
    {"compara las tomas de audio", OPERATOR_INTENT_MODE_AUDIO, "compare_takes"},
    {"fix the mixer schema", OPERATOR_INTENT_MODE_CHAT, ""},
    {"fix the bug in the mixer schema of the database", OPERATOR_INTENT_MODE_CODE, ""},
    {"mix flour and eggs", OPERATOR_INTENT_MODE_CHAT, ""},
    {"a mix of ideas", OPERATOR_INTENT_MODE_CHAT, ""},
    {"una mezcla de sabores", OPERATOR_INTENT_MODE_CHAT, ""},
    {"mixture models in statistics", OPERATOR_INTENT_MODE_ANALYSIS, ""},
    {"quita el ruido de este audio", OPERATOR_INTENT_MODE_AUDIO, "denoise"},
    {"normalize the loudness of this wav file", OPERATOR_INTENT_MODE_AUDIO, "normalize"},
    {"normalize the database tables with SQL", OPERATOR_INTENT_MODE_ANALYSIS, ""},
    /* the others */
    {"analyze the data in this csv", OPERATOR_INTENT_MODE_ANALYSIS, ""},
    {"analiza el rendimiento", OPERATOR_INTENT_MODE_ANALYSIS, ""},
    {"create a task for tomorrow", OPERATOR_INTENT_MODE_TASK, ""},
    {"Crea una tarea para mañana", OPERATOR_INTENT_MODE_TASK, ""},
    {"recuérdame llamar", OPERATOR_INTENT_MODE_TASK, ""},
    {"spawn two workers", OPERATOR_INTENT_MODE_SPAWN, ""},
    {"lanza un proceso nuevo", OPERATOR_INTENT_MODE_SPAWN, ""},
    {"open https://example.com/a?b=c and tell me the title", OPERATOR_INTENT_MODE_BROWSE, ""},
    {"abre la página https://example.com.", OPERATOR_INTENT_MODE_BROWSE, ""},
    {"status", OPERATOR_INTENT_MODE_SYSTEM, ""},
    {"estado del sistema", OPERATOR_INTENT_MODE_SYSTEM, ""},
    {"", OPERATOR_INTENT_MODE_CHAT, ""},
};

static const char *ops_of(const struct detected *d)
{
    static char all[300];
    size_t at = 0;
    all[0] = '\0';
    for (size_t i = 0; i < d->op_count; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? "," : "", d->ops[i]);
    return all;
}

static void modes_and_operations(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct detected d;
        intent_detect(texts[i].text, strlen(texts[i].text), &d);
        assert_true(d.confidence >= 0 && d.confidence <= 1);
        assert_true((d.confidence > 0) == (d.word_count > 0));
        if (d.mode != texts[i].mode || strcmp(ops_of(&d), texts[i].ops) != 0) {
            print_error("\"%s\": %s [%s], first word %s\n", texts[i].text, operator_intent_mode_names[d.mode],
                        ops_of(&d), d.word_count ? d.words[0] : "none");
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void addresses(void **state)
{
    static const struct {
        const char *text, *url;
    } list[] = {
        {"see (https://example.com/x).", "https://example.com/x"},
        {"HTTP://Example.com:8080/a?b=1,2 now", "HTTP://Example.com:8080/a?b=1,2"},
        {"ftp://example.com", ""},
        {"https://", ""},
        {"https:// and nothing", ""},
        {"<a href=\"https://e.org/\">", "https://e.org/"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        struct detected d;
        intent_detect(list[i].text, strlen(list[i].text), &d);
        assert_int_equal(d.url_len, strlen(list[i].url));
        assert_memory_equal(list[i].text + d.url_at, list[i].url, d.url_len);
    }
}

static void languages(void **state)
{
    struct detected d;
    (void)state;
    intent_detect("mix this for me, please", 23, &d);
    assert_int_equal(d.language, OPERATOR_DETECTED_LANGUAGE_EN);
    intent_detect("haz la mezcla de esta canción", strlen("haz la mezcla de esta canción"), &d);
    assert_int_equal(d.language, OPERATOR_DETECTED_LANGUAGE_ES);
    intent_detect("mix", 3, &d);
    assert_int_equal(d.language, OPERATOR_DETECTED_LANGUAGE_UNKNOWN);
}

static void noise_is_no_harm(void **state)
{
    char noise[4096];
    struct detected d;
    (void)state;
    for (unsigned seed = 1; seed < 50; seed++) {
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)((seed * 2654435761u + i * 40503u) >> (i % 13));
        intent_detect(noise, sizeof noise, &d);
        assert_true(d.url_at + d.url_len <= sizeof noise);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_and_operations),
        cmocka_unit_test(addresses),
        cmocka_unit_test(languages),
        cmocka_unit_test(noise_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
