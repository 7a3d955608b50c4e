/* Audio task: see the header. Words of both languages, accents folded. */
#include "base/audio_task.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/task_type.h"

static const char *const names[AUDIO_DOMAINS] = {"analysis",  "restoration", "arrangement", "mixing",
                                                 "mastering", "effects",     "synthesis",   "reaper_control"};

const char *audio_domain_name(enum audio_domain d)
{
    return (unsigned)d < AUDIO_DOMAINS ? names[d] : names[0];
}

static const struct {
    const char *word;
    enum audio_domain domain;
    const char *operation, *intensity, *quality; /* NULL: says nothing of that */
} words[] = {
    {"analyse", AUDIO_ANALYSIS, 0, 0, 0},
    {"analyze", AUDIO_ANALYSIS, 0, 0, 0},
    {"analiza", AUDIO_ANALYSIS, 0, 0, 0},
    {"spectrum", AUDIO_ANALYSIS, 0, 0, 0},
    {"espectro", AUDIO_ANALYSIS, 0, 0, 0},
    {"tempo", AUDIO_ANALYSIS, 0, 0, 0},
    {"bpm", AUDIO_ANALYSIS, 0, 0, 0},
    {"denoise", AUDIO_RESTORATION, "denoise", 0, 0},
    {"noise", AUDIO_RESTORATION, "denoise", 0, 0},
    {"ruido", AUDIO_RESTORATION, "denoise", 0, 0},
    {"hiss", AUDIO_RESTORATION, "denoise", 0, 0},
    {"declip", AUDIO_RESTORATION, "declip", 0, 0},
    {"clipping", AUDIO_RESTORATION, "declip", 0, 0},
    {"saturacion", AUDIO_RESTORATION, "declip", 0, 0},
    {"restore", AUDIO_RESTORATION, "restore", 0, 0},
    {"restaura", AUDIO_RESTORATION, "restore", 0, 0},
    {"restaurar", AUDIO_RESTORATION, "restore", 0, 0},
    {"repair", AUDIO_RESTORATION, "restore", 0, 0},
    {"arrange", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"arrangement", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"arreglo", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"arregla", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"chords", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"acordes", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"melody", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"melodia", AUDIO_ARRANGEMENT, 0, 0, 0},
    {"mix", AUDIO_MIXING, 0, 0, 0},
    {"mixing", AUDIO_MIXING, 0, 0, 0},
    {"mixdown", AUDIO_MIXING, 0, 0, 0},
    {"mezcla", AUDIO_MIXING, 0, 0, 0},
    {"mezclar", AUDIO_MIXING, 0, 0, 0},
    {"balance", AUDIO_MIXING, "balance", 0, 0},
    {"eq", AUDIO_MIXING, "eq", 0, 0},
    {"equalize", AUDIO_MIXING, "eq", 0, 0},
    {"ecualiza", AUDIO_MIXING, "eq", 0, 0},
    {"ecualizar", AUDIO_MIXING, "eq", 0, 0},
    {"compress", AUDIO_MIXING, "compress", 0, 0},
    {"comprime", AUDIO_MIXING, "compress", 0, 0},
    {"compressor", AUDIO_MIXING, "compress", 0, 0},
    {"compresor", AUDIO_MIXING, "compress", 0, 0},
    {"master", AUDIO_MASTERING, 0, 0, 0},
    {"mastering", AUDIO_MASTERING, 0, 0, 0},
    {"masteriza", AUDIO_MASTERING, 0, 0, 0},
    {"masterizar", AUDIO_MASTERING, 0, 0, 0},
    {"masterizacion", AUDIO_MASTERING, 0, 0, 0},
    {"remaster", AUDIO_MASTERING, 0, 0, 0},
    {"loudness", AUDIO_MASTERING, 0, 0, 0},
    {"lufs", AUDIO_MASTERING, 0, 0, 0},
    {"limiter", AUDIO_MASTERING, 0, 0, 0},
    {"reverb", AUDIO_EFFECTS, "reverb", 0, 0},
    {"reverberacion", AUDIO_EFFECTS, "reverb", 0, 0},
    {"delay", AUDIO_EFFECTS, 0, 0, 0},
    {"chorus", AUDIO_EFFECTS, 0, 0, 0},
    {"flanger", AUDIO_EFFECTS, 0, 0, 0},
    {"distortion", AUDIO_EFFECTS, 0, 0, 0},
    {"distorsion", AUDIO_EFFECTS, 0, 0, 0},
    {"effects", AUDIO_EFFECTS, 0, 0, 0},
    {"efectos", AUDIO_EFFECTS, 0, 0, 0},
    {"synth", AUDIO_SYNTHESIS, 0, 0, 0},
    {"synthesize", AUDIO_SYNTHESIS, 0, 0, 0},
    {"synthesizer", AUDIO_SYNTHESIS, 0, 0, 0},
    {"sintetiza", AUDIO_SYNTHESIS, 0, 0, 0},
    {"sintetizador", AUDIO_SYNTHESIS, 0, 0, 0},
    {"oscillator", AUDIO_SYNTHESIS, 0, 0, 0},
    {"oscilador", AUDIO_SYNTHESIS, 0, 0, 0},
    {"reaper", AUDIO_REAPER_CONTROL, 0, 0, 0},
    {"daw", AUDIO_REAPER_CONTROL, 0, 0, 0},
    {"light", AUDIO_DOMAINS, 0, "light", 0},
    {"gentle", AUDIO_DOMAINS, 0, "light", 0},
    {"suave", AUDIO_DOMAINS, 0, "light", 0},
    {"ligero", AUDIO_DOMAINS, 0, "light", 0},
    {"medium", AUDIO_DOMAINS, 0, "medium", 0},
    {"medio", AUDIO_DOMAINS, 0, "medium", 0},
    {"heavy", AUDIO_DOMAINS, 0, "heavy", 0},
    {"aggressive", AUDIO_DOMAINS, 0, "heavy", 0},
    {"fuerte", AUDIO_DOMAINS, 0, "heavy", 0},
    {"intenso", AUDIO_DOMAINS, 0, "heavy", 0},
    {"draft", AUDIO_DOMAINS, 0, 0, "draft"},
    {"borrador", AUDIO_DOMAINS, 0, 0, "draft"},
    {"standard", AUDIO_DOMAINS, 0, 0, "standard"},
    {"estandar", AUDIO_DOMAINS, 0, 0, "standard"},
    {"professional", AUDIO_DOMAINS, 0, 0, "professional"},
    {"profesional", AUDIO_DOMAINS, 0, 0, "professional"},
};

/* The number before "LUFS": "-14 LUFS", "-9.5lufs". */
static void loudness_read(const char *text, size_t len, struct audio_task *out)
{
    for (size_t i = 0; i + 4 <= len; i++) {
        if ((text[i] | 32) != 'l' || (text[i + 1] | 32) != 'u' || (text[i + 2] | 32) != 'f' ||
            (text[i + 3] | 32) != 's')
            continue;
        size_t end = i, begin;
        while (end > 0 && text[end - 1] == ' ')
            end--;
        for (begin = end; begin > 0 && strchr("0123456789.-+", text[begin - 1]) && text[begin - 1]; begin--)
            ;
        char number[16];
        if (begin == end || end - begin >= sizeof number)
            continue;
        memcpy(number, text + begin, end - begin);
        number[end - begin] = '\0';
        double v;
        if (str_to_f64(number, &v) == 0 && v >= -70 && v <= 0) {
            out->has_loudness = true;
            out->loudness = v;
            return;
        }
    }
}

void audio_task_read(const char *text, size_t len, struct audio_task *out)
{
    unsigned hits[AUDIO_DOMAINS + 1] = {0};
    struct task_words w = {text, len, 0};
    char word[TASK_WORD_SIZE];
    memset(out, 0, sizeof *out);
    while (task_words_next(&w, word, sizeof word) > 0)
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            if (strcmp(words[i].word, word) != 0)
                continue;
            hits[words[i].domain]++;
            out->operation = out->operation ? out->operation : words[i].operation;
            out->intensity = out->intensity ? out->intensity : words[i].intensity;
            out->quality = out->quality ? out->quality : words[i].quality;
        }
    for (int d = 0; d < AUDIO_DOMAINS; d++)
        if (hits[d] > hits[out->domain])
            out->domain = (enum audio_domain)d;
    loudness_read(text, len, out);
}

/* ---- operations ---- */

const char *audio_word_mixes(const char *word)
{
    static const char *const mixing[] = {"mix",     "mixing",   "mixdown",  "mixes",    "mezcla",   "mezclar",
                                         "mezclas", "mezclame", "mezclalo", "mezclala", "mezclando"};
    for (size_t i = 0; i < COUNT_OF(mixing); i++)
        if (strcmp(mixing[i], word) == 0)
            return mixing[i];
    return NULL;
}

static const struct {
    const char *word, *operation;
} operations[] = {
    {"normalize", "normalize"},
    {"normalise", "normalize"},
    {"normalized", "normalize"},
    {"normalization", "normalize"},
    {"normaliza", "normalize"},
    {"normalizar", "normalize"},
    {"normalizado", "normalize"},
    {"eq", "eq"},
    {"equalize", "eq"},
    {"equalise", "eq"},
    {"equalizer", "eq"},
    {"ecualiza", "eq"},
    {"ecualizar", "eq"},
    {"ecualizacion", "eq"},
    {"ecualizador", "eq"},
    {"limiter", "limiter"},
    {"limiting", "limiter"},
    {"limitador", "limiter"},
    {"compress", "compress"},
    {"compressor", "compress"},
    {"comprime", "compress"},
    {"comprimir", "compress"},
    {"compresor", "compress"},
    {"denoise", "denoise"},
    {"noise", "denoise"},
    {"ruido", "denoise"},
    {"hiss", "denoise"},
    {"declip", "declip"},
    {"clipping", "declip"},
    {"reverb", "reverb"},
    {"reverberacion", "reverb"},
    {"resonance", "remove_resonances"},
    {"resonances", "remove_resonances"},
    {"resonancia", "remove_resonances"},
    {"resonancias", "remove_resonances"},
    {"pan", "natural_panning"},
    {"panning", "natural_panning"},
    {"paneo", "natural_panning"},
    {"panea", "natural_panning"},
    {"panear", "natural_panning"},
    {"realistic", "mix_realistic"},
    {"realista", "mix_realistic"},
    {"compare", "compare_takes"},
    {"compara", "compare_takes"},
    {"comparar", "compare_takes"},
};

/* "the voice" alone says what it is about; with one of the others, that it shall be louder. */
static bool names_voice(const char *word)
{
    static const char *const voice[] = {"voice", "voices", "vocal", "vocals", "voz", "voces"};
    for (size_t i = 0; i < COUNT_OF(voice); i++)
        if (strcmp(voice[i], word) == 0)
            return true;
    return false;
}

static bool says_louder(const char *word)
{
    static const char *const louder[] = {"raise",   "louder", "boost",  "sube",    "subir",
                                         "aumenta", "alza",   "subele", "levanta", "up"};
    for (size_t i = 0; i < COUNT_OF(louder); i++)
        if (strcmp(louder[i], word) == 0)
            return true;
    return false;
}

struct found_operations {
    const char **operations, **words;
    size_t count, max;
};

static void operation_add(struct found_operations *f, const char *operation, const char *word)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->operations[i], operation) == 0)
            return;
    if (f->count == f->max)
        return;
    f->operations[f->count] = operation;
    if (f->words)
        f->words[f->count] = word;
    f->count++;
}

size_t audio_operations_read(const char *text, size_t len, const char **found, const char **said, size_t max)
{
    struct found_operations f = {found, said, 0, max};
    struct task_words w = {text, len, 0};
    char word[TASK_WORD_SIZE];
    bool voice = false, louder = false;
    while (task_words_next(&w, word, sizeof word) > 0) {
        voice |= names_voice(word);
        louder |= says_louder(word);
        if (voice && louder)
            operation_add(&f, "raise_voice", "voice");
        for (size_t i = 0; i < COUNT_OF(operations); i++)
            if (strcmp(operations[i].word, word) == 0)
                operation_add(&f, operations[i].operation, operations[i].word);
    }
    return f.count;
}
