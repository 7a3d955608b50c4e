/* Terminal: what may reach a terminal. A model's answer, a model file's title, a provider's error are text
 * from elsewhere, and a terminal obeys escape sequences in what it shows: it retitles itself, moves the
 * cursor over what stands there, even fills the clipboard. So the bytes that begin one never get there. */
#include "cli/cli_internal.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "base/str.h"

/* C0 and DEL, and C1 in UTF-8 (C2 80 to C2 9F), which some terminals obey like ESC and a letter. */
static bool is_control(const char *s, int len)
{
    unsigned char first = (unsigned char)s[0];
    if (len == 1)
        return first < 0x20 || first == 0x7F;
    return len == 2 && first == 0xC2 && (unsigned char)s[1] < 0xA0;
}

int terminal_clean(const char *s, size_t len, bool one_line, struct buf *out)
{
    size_t kept = 0; /* bytes before s that are fine and not yet copied */
    int rc = buf_reserve(out, len);
    while (len > 0 && rc == 0) {
        int step = utf8_next(s, len);
        size_t used = (size_t)(step < 0 ? -step : step);
        bool blank = *s == '\n' || *s == '\t';
        bool fine = step > 0 && (blank ? !one_line : !is_control(s, step));
        if (fine) {
            kept += used;
        } else {
            rc = buf_append(out, s - kept, kept);
            kept = 0;
            if (rc == 0 && step < 0)
                rc = buf_puts(out, "\xEF\xBF\xBD");
            else if (rc == 0 && blank)
                rc = buf_putc(out, ' ');
        }
        s += used;
        len -= used;
    }
    return rc != 0 ? rc : buf_append(out, s - kept, kept);
}

const char *terminal_line(struct arena *a, const char *s)
{
    struct buf clean = BUF_INIT;
    const char *line = NULL;
    if (!s)
        return "-";
    if (terminal_clean(s, strlen(s), true, &clean) == 0)
        line = arena_strndup(a, clean.data, clean.len);
    buf_free(&clean);
    return line ? line : "";
}

void terminal_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}
