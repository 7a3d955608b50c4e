/* Task types: what texts of both languages ask for, and what they only seem to. */
#include "test.h"

#include <string.h>

#include "base/audio_task.h"
#include "base/str.h"
#include "base/task_type.h"

static enum task_type type_of(const char *text)
{
    struct task_guess g;
    task_guess(text, strlen(text), &g);
    assert_true(g.confidence >= 0 && g.confidence < 1);
    assert_true((g.confidence > 0) == (g.matched > 0));
    return g.type;
}

static const struct {
    enum task_type type;
    const char *text;
} phrases[] = {
    {TASK_TYPE_CHAT, "hello, how are you?"},
    {TASK_TYPE_CHAT, "hola, ¿qué tal estás?"},
    {TASK_TYPE_CHAT, "tell me something nice"},
    {TASK_TYPE_CHAT, ""},
    {TASK_TYPE_CHAT, "   \n\t "},
    {TASK_TYPE_CHAT, "I think that sounds good, let us keep track of it"},
    {TASK_TYPE_CODE, "Write a function in Python that reverses a linked list"},
    {TASK_TYPE_CODE, "Escribe una función en Python que invierta una lista"},
    {TASK_TYPE_CODE, "why do I get a TypeError in this JavaScript code?"},
    {TASK_TYPE_CODE, "refactor the parser"},
    {TASK_TYPE_CODE, "Depura este código, por favor"},
    {TASK_TYPE_CODE, "merge the git master branch into mine"},
    {TASK_TYPE_CODE, "git master: fix the bug on that track of work"},
    {TASK_TYPE_CODE, "¿cómo compilo C++ con un compilador nuevo?"},
    {TASK_TYPE_REASONING, "Prove that the square root of two is irrational, step by step"},
    {TASK_TYPE_REASONING, "Demuestra que la raíz de dos es irracional"},
    {TASK_TYPE_REASONING, "Resuelve la ecuación x + 3 = 9"},
    {TASK_TYPE_REASONING, "What are the pros and cons of moving abroad? Compare them"},
    {TASK_TYPE_SUMMARY, "Summarize the following minutes"},
    {TASK_TYPE_SUMMARY, "Hazme un resumen de la reunión"},
    {TASK_TYPE_SUMMARY, "TL;DR of this thread please"},
    {TASK_TYPE_SUMMARY, "summarise what this Python code does"},
    {TASK_TYPE_TRANSLATION, "Translate this paragraph into German"},
    {TASK_TYPE_TRANSLATION, "Tradúceme esta carta al inglés"},
    {TASK_TYPE_TRANSLATION, "traduce el artículo al francés"},
    {TASK_TYPE_WRITING, "Write a poem about the sea"},
    {TASK_TYPE_WRITING, "Escribe un cuento para niños"},
    {TASK_TYPE_WRITING, "redacta una carta de presentación"},
    {TASK_TYPE_DATA, "plot a histogram of this dataset and its median"},
    {TASK_TYPE_DATA, "analiza estos datos del CSV y calcula el promedio"},
    {TASK_TYPE_DATA, "analyze the data of the database table, column by column"},
    {TASK_TYPE_VISION, "what do you see in the picture?"},
    {TASK_TYPE_VISION, "Describe la imagen"},
    {TASK_TYPE_AUDIO, "mix and master this track"},
    {TASK_TYPE_AUDIO, "mezcla las pistas y masteriza la canción a -14 LUFS"},
    {TASK_TYPE_AUDIO, "denoise the vocals and restore the audio"},
    {TASK_TYPE_AUDIO, "quita el ruido de fondo de la grabación"},
    {TASK_TYPE_AUDIO, "add reverb to the drums"},
    {TASK_TYPE_BROWSE, "search the web for the latest news"},
    {TASK_TYPE_BROWSE, "busca en internet las últimas noticias"},
    {TASK_TYPE_SYSTEM, "restart the service on the Ubuntu server"},
    {TASK_TYPE_SYSTEM, "reinicia el servidor y mira los logs de systemd"},
    {TASK_TYPE_SYSTEM, "deploy it to the Kubernetes cluster"},
    {TASK_TYPE_SYSTEM, "restore the database from the backup"},
};

static void phrases_have_their_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(phrases); i++) {
        enum task_type t = type_of(phrases[i].text);
        if (t != phrases[i].type)
            fail_msg("%s: %s instead of %s", phrases[i].text, task_type_name(t),
                     task_type_name(phrases[i].type));
    }
}

/* What the old matcher took for sound, since it looked for parts of words. */
static const char *const silent[] = {
    "restore the database",
    "git master",
    "restaura la base de datos",
    "merge master into the release branch",
    "keep track of my expenses",
    "a mix of ideas",
    "I have a master degree",
    "he beat the champion",
    "which tracks of the train are closed",
    "una mezcla de culturas",
    "dame una pista",
    "remix-ui is a framework for React", /* "mix" within a word */
    "mixed feelings",
    "the soundness of the proof",
    "the restorative power of sleep",
    "instrumentation of the server",
};

static void words_that_only_seem_to_be_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(silent); i++)
        if (type_of(silent[i]) == TASK_TYPE_AUDIO)
            fail_msg("audio: %s", silent[i]);
}

static void accents_case_and_bytes(void **state)
{
    (void)state;
    assert_int_equal(type_of("TRADUCE ESTO"), TASK_TYPE_TRANSLATION);
    assert_int_equal(type_of("TRADUCCI\xc3\x93N"), TASK_TYPE_TRANSLATION);
    assert_int_equal(type_of("traduccio\xcc\x81n"), TASK_TYPE_TRANSLATION); /* a combining accent */
    assert_int_equal(type_of("\xc2\xbfTraduces?traduce"), TASK_TYPE_TRANSLATION);
    assert_int_equal(type_of("\xff\xfe translate \xc3"), TASK_TYPE_TRANSLATION);
    assert_int_equal(type_of("\xe7\xbf\xbb\xe8\xaf\x91translate"),
                     TASK_TYPE_CHAT); /* one word of two scripts */
    assert_int_equal(type_of("translate\xe2\x80\x94now"), TASK_TYPE_TRANSLATION);
    char cut[3] = {'\xc3', '\xa1', '\xc3'};
    struct task_guess g;
    for (size_t n = 0; n <= sizeof cut; n++)
        task_guess(cut, n, &g);
    assert_int_equal(g.type, TASK_TYPE_CHAT);
}

/* What is wanted stands before or after the material. */
static void long_texts_are_looked_at_on_both_ends(void **state)
{
    static char text[200000];
    struct task_guess g;
    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 7; i < sizeof text; i += 8)
        text[i] = ' ';
    memcpy(text, "translate this: ", 16);
    task_guess(text, sizeof text, &g);
    assert_int_equal(g.type, TASK_TYPE_TRANSLATION);
    memset(text, 'x', 16);
    memcpy(text + sizeof text - 20, " summarize that now ", 20);
    task_guess(text, sizeof text, &g);
    assert_int_equal(g.type, TASK_TYPE_SUMMARY);
    assert_string_equal(g.words[0], "summarize");
}

/* Bytes of any kind: whole words of the table among noise. */
static void noise(void **state)
{
    char text[3000];
    uint32_t dice = 12345;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct task_guess g;
        struct audio_task a;
        size_t len = 0;
        while (len < sizeof text - 40 && (dice = dice * 1664525u + 1013904223u) % 400 > 1) {
            if (dice >> 28 < 8) {
                text[len++] = (char)(dice >> 16);
            } else {
                const char *w = task_phrases[(dice >> 12) % task_phrase_count].words;
                memcpy(text + len, w, strlen(w));
                len += strlen(w);
                text[len++] = ' ';
            }
        }
        task_guess(text, len, &g);
        audio_task_read(text, len, &a);
        assert_true((unsigned)g.type < TASK_TYPES && g.confidence >= 0 && g.confidence < 1);
        assert_true((unsigned)a.domain < AUDIO_DOMAINS);
    }
}

static void explicit_names(void **state)
{
    enum task_type t;
    (void)state;
    for (int i = 0; i < TASK_TYPES; i++) {
        assert_true(task_type_parse(task_type_name((enum task_type)i), &t));
        assert_int_equal(t, i);
    }
    assert_true(task_type_parse("audio-engineer", &t));
    assert_int_equal(t, TASK_TYPE_AUDIO);
    assert_true(task_type_parse("Code_Review", &t));
    assert_int_equal(t, TASK_TYPE_CODE);
    assert_true(task_type_parse("OPS", &t));
    assert_int_equal(t, TASK_TYPE_SYSTEM);
    assert_true(task_type_parse("data/analysis", &t));
    assert_int_equal(t, TASK_TYPE_DATA);
    assert_false(task_type_parse("audiophile", &t));
    assert_false(task_type_parse("", &t));
    assert_false(task_type_parse(NULL, &t));
    assert_string_equal(task_type_name((enum task_type)99), "chat");
}

/* What the search in the table rests on. */
static void the_table_is_sorted_and_folded(void **state)
{
    (void)state;
    for (size_t i = 0; i < task_phrase_count; i++) {
        const struct task_phrase *p = &task_phrases[i];
        char word[TASK_WORD_SIZE * 3], joined[TASK_WORD_SIZE * 3] = "";
        struct task_words w = {p->words, strlen(p->words), 0};
        size_t n = 0;
        assert_true(i == 0 || strcmp(task_phrases[i - 1].words, p->words) < 0);
        assert_true(p->type <= TASK_TYPES);
        assert_in_range(p->weight, 1, 6);
        while (task_words_next(&w, word, sizeof word) > 0) {
            assert_true(strlen(word) < TASK_WORD_SIZE);
            strcat(strcat(joined, n++ ? " " : ""), word);
        }
        assert_in_range(n, 1, 3);
        assert_string_equal(joined, p->words);
    }
}

static void what_of_sound(void **state)
{
    struct audio_task a;
    (void)state;
#define READ(text) audio_task_read(text, strlen(text), &a)
    READ("quita el ruido de la grabación, suave");
    assert_int_equal(a.domain, AUDIO_RESTORATION);
    assert_string_equal(a.operation, "denoise");
    assert_string_equal(a.intensity, "light");
    READ("Master this track to -9.5 LUFS, professional quality");
    assert_int_equal(a.domain, AUDIO_MASTERING);
    assert_true(a.has_loudness && a.loudness == -9.5);
    assert_string_equal(a.quality, "professional");
    READ("mezcla las voces y ecualiza el bajo");
    assert_int_equal(a.domain, AUDIO_MIXING);
    assert_string_equal(a.operation, "eq");
    READ("what is in this recording?");
    assert_int_equal(a.domain, AUDIO_ANALYSIS);
    assert_null(a.operation);
    assert_false(a.has_loudness);
    READ("lufs 14LUFS -lufs");
    assert_false(a.has_loudness);
    READ("LUF");
    READ("");
    assert_string_equal(audio_domain_name(AUDIO_REAPER_CONTROL), "reaper_control");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phrases_have_their_type),
        cmocka_unit_test(words_that_only_seem_to_be_sound),
        cmocka_unit_test(accents_case_and_bytes),
        cmocka_unit_test(long_texts_are_looked_at_on_both_ends),
        cmocka_unit_test(noise),
        cmocka_unit_test(explicit_names),
        cmocka_unit_test(the_table_is_sorted_and_folded),
        cmocka_unit_test(what_of_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
