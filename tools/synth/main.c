/* vx11-synth: options and presets, and the order of the file. It is written to FILE.new and renamed, so that
 * half a file is never taken for a model. */
#include "synth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

enum { ALIGNMENT = 32, TEMPLATE_MOST = 1 << 20 };

static const char usage[] =
    "usage: vx11-synth --out FILE [--preset NAME] [options]\n"
    "Writes a GGUF model of random weights. The same options give the same bytes.\n"
    "  --preset NAME          the shape to start from; options after it change it\n"
    "                           tiny            llama, 4 layers of 256, 4,096 tokens, q8_0: 6 MB, for tests "
    "(default)\n"
    "                           tiny-bert       bert, 2 layers of 128, 4,096 tokens, f16, pooling mean\n"
    "                           110m            llama, 12 layers of 768, q4_k_m\n"
    "                           316m            llama, 24 layers of 1,024, q4_0\n"
    "                           tinyllama-1.1b  llama, 22 layers of 2,048, q4_k_m\n"
    "                           7b              llama, 32 layers of 4,096, q4_k_m\n"
    "                           minilm          bert, 6 layers of 384, 30,522 tokens, f16, pooling mean\n"
    "  --arch NAME            llama, qwen2, bert or nomic-bert\n"
    "  --layers N             --embd N    --heads N    --kv-heads N    --ff N    --vocab N\n"
    "  --ctx-train N          tokens of context that the metadata promise\n"
    "  --type NAME            f16, q8_0, q4_0, q6_k or q4_k_m (q4_k and q6_k mixed as llama.cpp does)\n"
    "  --tokenizer NAME       bpe, spm or wordpiece (default: what the architecture uses)\n"
    "  --pooling NAME         none, mean, cls or last\n"
    "  --rope-base X          default 10000\n"
    "  --rope-scaling yarn:FACTOR[:ORIGINAL]   positions stretched by YaRN from a context of ORIGINAL "
    "tokens\n"
    "  --chat-template WHAT   chatml (default), none, or a file of Jinja\n"
    "  --tied                 no output layer of its own: the embedding serves as one (answers then repeat a "
    "token)\n"
    "  --repeat N             answers are mostly a cycle of N tokens, as answers are that quote (for "
    "speculation)\n"
    "  --name TEXT            general.name\n"
    "  --seed N               another model of the same shape (default 1)\n";

static const char chatml[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% "
    "endif %}";

struct preset {
    const char *name;
    struct shape shape;
};

static const struct preset presets[] = {
    {"tiny",
     {.arch = ARCH_LLAMA,
      .layers = 4,
      .width = 256,
      .heads = 4,
      .kv_heads = 2,
      .feed_forward = 768,
      .vocabulary = 4096,
      .context = 4096,
      .type = WEIGHT_Q8_0}},
    {"tiny-bert",
     {.arch = ARCH_BERT,
      .layers = 2,
      .width = 128,
      .heads = 2,
      .kv_heads = 2,
      .feed_forward = 512,
      .vocabulary = 4096,
      .context = 512,
      .type = WEIGHT_F16,
      .pooling = POOLING_MEAN}},
    {"110m",
     {.arch = ARCH_LLAMA,
      .layers = 12,
      .width = 768,
      .heads = 12,
      .kv_heads = 4,
      .feed_forward = 2048,
      .vocabulary = 32000,
      .context = 16384,
      .type = MIXTURE_Q4_K_M}},
    {"316m",
     {.arch = ARCH_LLAMA,
      .layers = 24,
      .width = 1024,
      .heads = 16,
      .kv_heads = 8,
      .feed_forward = 2816,
      .vocabulary = 32000,
      .context = 16384,
      .type = WEIGHT_Q4_0}},
    {"tinyllama-1.1b",
     {.arch = ARCH_LLAMA,
      .layers = 22,
      .width = 2048,
      .heads = 32,
      .kv_heads = 4,
      .feed_forward = 5632,
      .vocabulary = 32000,
      .context = 16384,
      .type = MIXTURE_Q4_K_M}},
    {"7b",
     {.arch = ARCH_LLAMA,
      .layers = 32,
      .width = 4096,
      .heads = 32,
      .kv_heads = 8,
      .feed_forward = 14336,
      .vocabulary = 32000,
      .context = 32768,
      .type = MIXTURE_Q4_K_M}},
    {"minilm",
     {.arch = ARCH_BERT,
      .layers = 6,
      .width = 384,
      .heads = 12,
      .kv_heads = 12,
      .feed_forward = 1536,
      .vocabulary = 30522,
      .context = 512,
      .type = WEIGHT_F16,
      .pooling = POOLING_MEAN}},
};

struct choice {
    const char *name;
    int value;
};

static const struct choice archs[] = {{"llama", ARCH_LLAMA},
                                      {"qwen2", ARCH_QWEN2},
                                      {"bert", ARCH_BERT},
                                      {"nomic-bert", ARCH_NOMIC_BERT},
                                      {NULL, 0}};
static const struct choice types[] = {{"f16", WEIGHT_F16},        {"q8_0", WEIGHT_Q8_0},
                                      {"q4_0", WEIGHT_Q4_0},      {"q6_k", WEIGHT_Q6_K},
                                      {"q4_k_m", MIXTURE_Q4_K_M}, {NULL, 0}};
static const struct choice tokenizers[] = {
    {"bpe", TOKENIZER_BPE}, {"spm", TOKENIZER_SPM}, {"wordpiece", TOKENIZER_WORDPIECE}, {NULL, 0}};
static const struct choice poolings[] = {
    {"none", POOLING_NONE}, {"mean", POOLING_MEAN}, {"cls", POOLING_CLS}, {"last", POOLING_LAST}, {NULL, 0}};

static int choose(const struct choice *list, const char *option, const char *value)
{
    for (; list->name; list++)
        if (str_eq(list->name, value))
            return list->value;
    fail("%s: there is no %s", option, value);
}

static void preset_take(struct shape *h, const char *name)
{
    for (size_t i = 0; i < COUNT_OF(presets); i++) {
        if (!str_eq(presets[i].name, name))
            continue;
        *h = presets[i].shape;
        h->rope_base = 10000;
        h->seed = 1;
        h->chat_template = chatml;
        h->name = name;
        return;
    }
    fail("--preset: there is no %s", name);
}

static void number(const char *option, const char *value, int64_t min, int64_t max, int64_t *out)
{
    if (str_to_i64(value, min, max, out) != 0)
        fail("%s must be a whole number from %lld to %lld", option, (long long)min, (long long)max);
}

static void yarn_take(struct shape *h, const char *value)
{
    char factor[32];
    size_t len = str_starts(value, "yarn:") ? strcspn(value + 5, ":") : 0;
    if (len == 0 || len >= sizeof factor)
        fail("--rope-scaling must be yarn:FACTOR or yarn:FACTOR:ORIGINAL");
    memcpy(factor, value + 5, len);
    factor[len] = '\0';
    if (str_to_f64(factor, &h->yarn_factor) != 0 || h->yarn_factor < 1)
        fail("--rope-scaling: the factor must be at least 1");
    if (value[5 + len] == ':')
        number("--rope-scaling's original context", value + 6 + len, 16, INT32_MAX, &h->yarn_original);
}

static void template_take(struct shape *h, const char *value)
{
    static struct buf text;
    struct error err = {0};
    if (str_eq(value, "chatml"))
        h->chat_template = chatml;
    else if (str_eq(value, "none"))
        h->chat_template = NULL;
    else if (fs_read_file(value, TEMPLATE_MOST, &text, &err) != 0)
        fail("%s", err.text);
    else
        h->chat_template = text.data ? text.data : "";
}

static bool number_take(struct shape *h, const char *option, const char *value)
{
    const struct {
        const char *name;
        int64_t min, max, *to;
    } numbers[] = {
        {"--layers", 1, 200, &h->layers},
        {"--embd", 32, 32768, &h->width},
        {"--heads", 1, 512, &h->heads},
        {"--kv-heads", 1, 512, &h->kv_heads},
        {"--ff", 32, 262144, &h->feed_forward},
        {"--vocab", 261, 400000, &h->vocabulary},
        {"--ctx-train", 16, INT32_MAX, &h->context},
        {"--repeat", 2, 100000, &h->repeat},
        {"--seed", 0, INT64_MAX, &h->seed},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (str_eq(option, numbers[i].name)) {
            number(option, value, numbers[i].min, numbers[i].max, numbers[i].to);
            return true;
        }
    }
    return false;
}

static void option_take(struct shape *h, const char *option, const char *value)
{
    if (str_eq(option, "--preset"))
        preset_take(h, value);
    else if (str_eq(option, "--arch"))
        h->arch = (enum arch)choose(archs, option, value);
    else if (str_eq(option, "--type"))
        h->type = choose(types, option, value);
    else if (str_eq(option, "--tokenizer"))
        h->tokenizer = (enum tokenizer)choose(tokenizers, option, value);
    else if (str_eq(option, "--pooling"))
        h->pooling = (enum pooling)choose(poolings, option, value);
    else if (str_eq(option, "--rope-scaling"))
        yarn_take(h, value);
    else if (str_eq(option, "--chat-template"))
        template_take(h, value);
    else if (str_eq(option, "--name"))
        h->name = value;
    else if (str_eq(option, "--rope-base")) {
        if (str_to_f64(value, &h->rope_base) != 0 || h->rope_base <= 0)
            fail("--rope-base must be a positive number");
    } else if (!number_take(h, option, value))
        fail("there is no option %s; --help names them", option);
}

static void shape_check(struct shape *h)
{
    bool encoder = h->arch == ARCH_BERT || h->arch == ARCH_NOMIC_BERT;
    if (encoder)
        h->kv_heads = h->heads;
    if (h->tokenizer == TOKENIZER_AUTO)
        h->tokenizer = encoder ? TOKENIZER_WORDPIECE : TOKENIZER_BPE;
    if (encoder != (h->tokenizer == TOKENIZER_WORDPIECE))
        fail("the encoders take the tokenizer wordpiece, and only they do");
    if (h->width % h->heads != 0 || h->width / h->heads % 2 != 0)
        fail("--embd must be an even multiple of --heads");
    if (h->heads % h->kv_heads != 0)
        fail("--heads must be a multiple of --kv-heads");
    if (h->yarn_factor > 0 && h->arch == ARCH_BERT)
        fail("bert has no rotary positions to scale");
    if (h->tied && h->repeat > 0)
        fail("--repeat needs an output layer of its own: no --tied");
}

static void file_write(const struct shape *h, FILE *out)
{
    struct vocabulary v;
    struct tensors all;
    struct buf head = BUF_INIT, keys = BUF_INIT;
    uint64_t offset = 0;
    vocabulary_make(&v, h->tokenizer, (size_t)h->vocabulary);
    tensors_list(&all, h);
    uint64_t pairs = keys_write(&keys, h, &v);
    buf_puts(&head, "GGUF");
    put_u32(&head, 3);
    put_u64(&head, all.count);
    put_u64(&head, pairs);
    buf_append(&head, keys.data, keys.len);
    for (size_t i = 0; i < all.count; i++) {
        const struct tensor *t = &all.list[i];
        put_string(&head, t->name);
        put_u32(&head, t->rows == 0 ? 1 : 2);
        put_u64(&head, t->columns);
        if (t->rows > 0)
            put_u64(&head, t->rows);
        put_u32(&head, (uint32_t)t->type);
        put_u64(&head, offset);
        offset += tensor_bytes(t);
    }
    while (head.len % ALIGNMENT != 0)
        buf_putc(&head, 0);
    if (head.failed || keys.failed)
        fail("out of memory");
    fwrite(head.data, 1, head.len, out);
    tensors_write(&all, h, &v, out);
    buf_free(&head);
    buf_free(&keys);
    free(all.list);
    vocabulary_free(&v);
}

int main(int argc, char **argv)
{
    struct shape h;
    const char *path = NULL;
    char fresh[4096];
    preset_take(&h, "tiny");
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
            return fputs(usage, stdout) < 0;
        if (str_eq(argv[i], "--tied")) {
            h.tied = true;
            continue;
        }
        if (i + 1 == argc)
            fail("%s wants a value; --help names the options", argv[i]);
        if (str_eq(argv[i], "--out"))
            path = argv[++i];
        else {
            option_take(&h, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (!path || snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        fail("--out FILE is wanted; --help names the options");
    shape_check(&h);
    FILE *out = fopen(fresh, "we");
    if (!out)
        fail("%s: %s", fresh, strerror(errno));
    file_write(&h, out);
    bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad || rename(fresh, path) != 0) {
        unlink(fresh);
        fail("%s could not be written", path);
    }
    return 0;
}
