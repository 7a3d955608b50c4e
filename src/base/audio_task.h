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

#endif
