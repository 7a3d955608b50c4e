/* Which backends are loaded.
 *
 * ggml finds its libraries (for the processor, one for each generation of instruction sets) by a search path
 * that knows nothing of where we are installed; so we name the folder that libllama itself was loaded from,
 * which is right in the build tree and in the package alike.
 *
 * Of the processor's libraries ggml takes the one with the newest instructions. That is wrong for models with
 * small attention heads: its AVX-512 code multiplies 64 numbers at a time and the rest one by one, so that
 * heads of 32, as the guide model has, never see a vector instruction. With the AVX2 library the guide
 * writes 1.2 times as fast in short answers and 2.2 times in long ones, and reads prompts as fast (processor
 * time, Xeon of 2023). */
#include "engine/backend.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llama.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/header.h"

enum { HEAD_OF_AVX512 = 64 };

/* AVX2 libraries, best first. Each says itself whether this processor can run it. */
static const char *const small_head_libraries[] = {"libggml-cpu-alderlake.so", "libggml-cpu-haswell.so"};

static bool have_processor(void)
{
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != NULL;
}

/* Folder of libllama, absolute. */
static int library_folder(char *out)
{
    Dl_info where;
    void *symbol = NULL;
    void (*function)(void) = llama_backend_init;
    memcpy(&symbol, &function, sizeof symbol); /* ISO C has no cast from function to object pointer */
    if (dladdr(symbol, &where) == 0 || !where.dli_fname || !realpath(where.dli_fname, out))
        return VX11_ENOT_FOUND;
    *strrchr(out, '/') = '\0';
    return 0;
}

/* ---- loading ---- */

static bool small_head_load(const char *folder)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(small_head_libraries); i++) {
        if (fs_path(path, sizeof path, folder, small_head_libraries[i]) == 0 && fs_exists(path) &&
            ggml_backend_load(path))
            return true;
    }
    return false;
}

/* Everything but the processor's. */
static void devices_load(const char *folder)
{
    char path[PATH_MAX];
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (str_starts(e->d_name, "libggml-") && str_ends(e->d_name, ".so") &&
            !str_starts(e->d_name, "libggml-cpu") && !str_starts(e->d_name, "libggml-base") &&
            fs_path(path, sizeof path, folder, e->d_name) == 0)
            (void)ggml_backend_load(path);
    }
    if (d)
        (void)closedir(d);
}

static void beside_libllama(const char *model_path)
{
    char folder[PATH_MAX];
    if (library_folder(folder) != 0)
        return;
    struct header header; /* a file that is not sound is refused when it is loaded */
    const int64_t head = model_path && header_read(model_path, &header) == 0 ? header_head_size(&header) : 0;
    if (head > 0 && head < HEAD_OF_AVX512 && small_head_load(folder)) {
        log_debug("backend", "taking AVX2 for small heads", LOG_I("head", head));
        devices_load(folder);
        return;
    }
    ggml_backend_load_all_from_path(folder);
}

int backends_load(const char *model_path, struct error *err)
{
    if (!have_processor())
        beside_libllama(model_path);
    if (!have_processor())
        ggml_backend_load_all();
    if (!have_processor())
        return error_set(err, VX11_EUNAVAILABLE, "no ggml backend for this processor beside libllama");
    llama_backend_init();
    return 0;
}
