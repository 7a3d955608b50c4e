/* The walk. Folders are opened relative to their parent and never through a link, so there are no loops;
 * links to files count, because people link models into place. A file that is reached by two names is taken
 * once. */
#include "hermes/scan_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "hermes/pull/choose.h"

static void *grow(struct arena *a, void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = arena_realloc(a, items, *cap * size, more * size);
    if (grown)
        *cap = more;
    return grown;
}

static void add_problem(struct scan_job *job, const char *path, const char *reason)
{
    void *grown =
        grow(job->arena, job->problems, job->problem_count, &job->problem_cap, sizeof *job->problems);
    struct scan_problem p = {arena_strdup(job->arena, path), arena_strdup(job->arena, reason)};
    if (!grown || !p.path || !p.reason) {
        job->result = VX11_ENOMEM;
        return;
    }
    job->problems = grown;
    job->problems[job->problem_count++] = p;
}

static void add_errno(struct scan_job *job, const char *path, int sys)
{
    struct error err;
    (void)error_set_errno(&err, sys, "the folder cannot be read");
    add_problem(job, path, err.text);
}

static void add_file(struct scan_job *job, const char *path, const struct stat *st, bool link)
{
    void *grown = grow(job->arena, job->files, job->file_count, &job->file_cap, sizeof *job->files);
    if (!grown) {
        job->result = VX11_ENOMEM;
        return;
    }
    job->files = grown;
    job->files[job->file_count++] =
        (struct scan_file){.path = path, .device = st->st_dev, .inode = st->st_ino, .link = link};
}

static bool is_model_name(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcasecmp(name + len - 5, ".gguf") == 0;
}

/* Part 2 and so on of a split model whose first part, which stands for all, lies beside it. */
static bool is_later_part(int fd, const char *name)
{
    unsigned part, parts;
    size_t prefix;
    char first[256];
    struct stat st;
    if (!split_name(name, &part, &parts, &prefix) || part == 1)
        return false;
    int n = snprintf(first, sizeof first, "%.*s-00001-of-%05u%s", (int)prefix, name, parts,
                     name + strlen(name) - 5);
    return n > 0 && (size_t)n < sizeof first && fstatat(fd, first, &st, 0) == 0;
}

static bool walk_over(struct scan_job *job)
{
    if (job->result == 0 && atomic_load(&job->cancel))
        job->result = VX11_ECANCELLED;
    return job->result != 0;
}

static void walk_folder(struct scan_job *job, int fd, const char *path, int depth);

static void walk_entry(struct scan_job *job, int fd, const char *folder, const char *name, int depth)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* gone in between */
    bool link = S_ISLNK(st.st_mode);
    if (!S_ISDIR(st.st_mode) && (!is_model_name(name) || is_later_part(fd, name)))
        return;
    const char *path = arena_printf(job->arena, "%s/%s", folder, name);
    if (!path) {
        job->result = VX11_ENOMEM;
        return;
    }
    if (!utf8_valid(path, strlen(path)) || strlen(path) >= PATH_MAX) {
        add_problem(job, folder, "it holds a name that is no valid text or too long");
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        int sub =
            depth < SCAN_MAX_DEPTH ? openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (sub >= 0)
            walk_folder(job, sub, path, depth + 1);
        else if (depth < SCAN_MAX_DEPTH)
            add_errno(job, path, errno);
        return;
    }
    if (link && fstatat(fd, name, &st, 0) != 0)
        add_problem(job, path, "it is a link that leads nowhere");
    else if (S_ISREG(st.st_mode))
        add_file(job, path, &st, link);
}

/* Takes fd. */
static void walk_folder(struct scan_job *job, int fd, const char *path, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        add_errno(job, path, errno);
        close(fd);
        return;
    }
    const struct dirent *e;
    while (!walk_over(job) && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (++job->entries > SCAN_MAX_ENTRIES || job->file_count >= SCAN_MAX_FILES) {
            add_problem(job, path, "too many files: the rest of the folders was not looked at");
            if (job->result == 0)
                job->result = VX11_ETOO_LARGE;
            break;
        }
        walk_entry(job, fd, path, e->d_name, depth);
    }
    closedir(dir);
}

static void walk_root(struct scan_job *job, const char *root)
{
    /* One spelling for each folder, or a root below another would give its files two paths. */
    char real[PATH_MAX];
    int fd = realpath(root, real) ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) {
        add_errno(job, root, errno);
        return;
    }
    const char *path = arena_strdup(job->arena, real);
    if (path) {
        walk_folder(job, fd, path, 0);
        return;
    }
    close(fd);
    job->result = VX11_ENOMEM;
}

/* ---- after the folders ---- */

static int known_compare(const void *a, const void *b)
{
    return strcmp(((const struct registry_model *)a)->api.path, ((const struct registry_model *)b)->api.path);
}

static int known_find(const void *path, const void *row)
{
    return strcmp(path, ((const struct registry_model *)row)->api.path);
}

static int string_find(const void *want, const void *item)
{
    return strcmp(want, *(const char *const *)item);
}

/* The same file together, a registered path first, then real names before links. */
static int same_file_compare(const void *a, const void *b)
{
    const struct scan_file *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    if ((x->known == NULL) != (y->known == NULL))
        return x->known ? -1 : 1;
    if (x->link != y->link)
        return x->link ? 1 : -1;
    return strcmp(x->path, y->path);
}

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct scan_file *)a)->path, ((const struct scan_file *)b)->path);
}

/* Joins the files with their rows; leaves out forgotten ones, and second names of a file unless they are
 * registered. */
static void match_files(struct scan_job *job)
{
    size_t kept = 0;
    for (size_t i = 0; i < job->file_count; i++) {
        struct scan_file *f = &job->files[i];
        if (job->known_count > 0)
            f->known = bsearch(f->path, job->known, job->known_count, sizeof *job->known, known_find);
    }
    if (job->file_count > 1)
        qsort(job->files, job->file_count, sizeof *job->files, same_file_compare);
    for (size_t i = 0; i < job->file_count; i++) {
        struct scan_file f = job->files[i];
        bool again =
            kept > 0 && job->files[kept - 1].device == f.device && job->files[kept - 1].inode == f.inode;
        bool forgotten = job->forgotten_count > 0 && bsearch(f.path, job->forgotten, job->forgotten_count,
                                                             sizeof *job->forgotten, string_find) != NULL;
        if (f.known || (!again && !forgotten))
            job->files[kept++] = f;
    }
    job->file_count = kept;
    if (kept > 1)
        qsort(job->files, kept, sizeof *job->files, path_compare);
}

/* Rows whose file did not turn up in the folders: registered by hand, or gone. */
static void add_rows_elsewhere(struct scan_job *job)
{
    size_t found = job->file_count, f = 0;
    const struct stat nothing = {0};
    for (size_t i = 0; i < job->known_count && job->result == 0; i++) {
        const char *path = job->known[i].api.path;
        while (f < found && strcmp(job->files[f].path, path) < 0)
            f++;
        if (f < found && strcmp(job->files[f].path, path) == 0)
            continue;
        add_file(job, path, &nothing, false);
        if (job->result == 0)
            job->files[job->file_count - 1].known = &job->known[i];
    }
    if (job->file_count > 1)
        qsort(job->files, job->file_count, sizeof *job->files, path_compare);
}

static bool unchanged(const struct scan_file *f)
{
    int64_t size, mtime_ns;
    if (!f->known || f->known->api.status != HERMES_MODEL_STATUS_AVAILABLE || !f->known->api.has_size_bytes)
        return false;
    return model_facts_stat(f->path, &size, &mtime_ns, NULL) == 0 && size == f->known->api.size_bytes &&
           mtime_ns == f->known->mtime_ns;
}

static void read_files(struct scan_job *job)
{
    for (size_t i = 0; i < job->file_count && !walk_over(job); i++) {
        struct scan_file *f = &job->files[i];
        if (unchanged(f)) {
            f->facts = (struct model_facts){.path = f->path, .status = HERMES_MODEL_STATUS_AVAILABLE};
            continue;
        }
        f->read = true;
        if (model_facts_read(f->path, job->arena, &f->facts) != 0)
            job->result = VX11_ENOMEM;
    }
}

void scan_walk(struct scan_job *job)
{
    for (size_t i = 0; i < job->root_count && !walk_over(job); i++)
        walk_root(job, job->roots[i]);
    if (job->result == VX11_ETOO_LARGE)
        job->result = 0; /* said in the problems; what was found counts */
    if (job->result != 0)
        return;
    if (job->known_count > 1)
        qsort(job->known, job->known_count, sizeof *job->known, known_compare);
    match_files(job);
    add_rows_elsewhere(job);
    read_files(job);
}
