/* Audio task: what of sound a text asks for, from its words; the one matcher, for Switch's detection and for
 * Shub. Whether it is about sound at all is task_type.h's to tell. */
#ifndef VX11_BASE_AUDIO_TASK_H
#define VX11_BASE_AUDIO_TASK_H

#include <stdbool.h>
#include <stddef.h>

enum audio_domain {
    AUDIO_ANALYSIS, /* when nothing else is said */
    AUDIO_RESTORATION,
    AUDIO_ARRANGEMENT,
    AUDIO_MIXING,
    AUDIO_MASTERING,
    AUDIO_EFFECTS,
    AUDIO_SYNTHESIS,
    AUDIO_REAPER_CONTROL,
    AUDIO_DOMAINS,
};
const char *audio_domain_name(enum audio_domain d);

struct audio_task {
    enum audio_domain domain;
    const char *operation; /* denoise, declip, restore; eq, compress, reverb, balance; NULL: not said */
    const char *intensity; /* light, medium, heavy; NULL */
    const char *quality;   /* draft, standard, professional; NULL */
    bool has_loudness;
    double loudness; /* LUFS */
};

void audio_task_read(const char *text, size_t len, struct audio_task *out);

/* Operations that the text names, in its order, each once: normalize, eq, limiter, compress, denoise, declip,
 * reverb, remove_resonances, natural_panning, raise_voice, mix_realistic, compare_takes. words (may be NULL):
 * the word that named each. Both are literals. Returns how many, at most max. */
#define AUDIO_OPERATIONS 12
size_t audio_operations_read(const char *text, size_t len, const char **operations, const char **words,
                             size_t max);
/* The literal of a word, folded as task_words_next does, that says "mix" in either language: "mix",
 * "mezclar", not "mixer"; NULL for others. */
const char *audio_word_mixes(const char *word);

#endif
