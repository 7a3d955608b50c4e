/* Completion: scripts for three shells, written from the table of commands, so that they cannot drift from
 * it.
 *
 * A word of the table that begins with @ stands for names that are looked up: @modules are known here;
 * @models are asked of `vx11 models list
 * --names` by the script, at the time, and that prints only names which no shell reads anything into. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/supervisor.h"

static const char ask_models[] = "vx11 models list --names 2>/dev/null";

/* The words of a command, one after the other: NULL at the end. Copies each into word. */
static const char *next_word(const char **rest, char *word, size_t size)
{
    *rest += strspn(*rest, " ");
    size_t n = strcspn(*rest, " ");
    if (n == 0 || n >= size)
        return NULL;
    memcpy(word, *rest, n);
    word[n] = '\0';
    *rest += n;
    return word;
}

static void put_modules(void)
{
    for (size_t i = 0; i < supervisor_module_count; i++)
        printf("%s%s", i ? " " : "", supervisor_modules[i].name);
}

/* A summary inside single quotes: '\'' as shells have it (fish takes \' too, and so '\'' as well). */
static void put_quoted(const char *s)
{
    putchar('\'');
    for (; *s; s++)
        fputs(*s == '\'' ? "'\\''" : (const char[]){*s, '\0'}, stdout);
    putchar('\'');
}

/* ---- bash ---- */

static void bash_words(const struct command *c)
{
    char word[64];
    const char *rest = c->words;
    bool first = true;
    printf("    %s) words=\"", c->name);
    while (next_word(&rest, word, sizeof word)) {
        if (!first)
            putchar(' ');
        first = false;
        if (strcmp(word, "@modules") == 0)
            put_modules();
        else if (strcmp(word, "@models") == 0)
            printf("$(%s)", ask_models);
        else
            fputs(word, stdout);
    }
    puts("\" ;;");
}

/* The words of a command below another. */
static void bash_parts(const struct command *c)
{
    const struct command *part = command_parts(c);
    if (!part)
        return;
    printf("    %s) if [ \"$COMP_CWORD\" -eq 2 ]; then words=\"", c->name);
    for (size_t i = 0; part[i].name; i++)
        printf("%s%s", i ? " " : "", part[i].name);
    puts("\"; else case ${COMP_WORDS[2]} in");
    for (size_t i = 0; part[i].name; i++)
        if (part[i].words[0])
            bash_words(&part[i]);
    puts("    esac; fi ;;");
}

static void bash_script(void)
{
    puts("# vx11 completion for bash: source <(vx11 completion bash)\n"
         "_vx11() {\n"
         "  local cur prev words=\n"
         "  cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("    words=\"", stdout);
    for (size_t i = 0; i < cli_command_count; i++)
        printf("%s%s", i ? " " : "", cli_commands[i].name);
    puts("\"\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); return\n"
         "  fi");
    printf("  if [ \"$prev\" = --model ]; then\n    COMPREPLY=($(compgen -W \"$(%s)\" -- \"$cur\")); "
           "return\n  fi\n",
           ask_models);
    printf("  case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < cli_command_count; i++)
        if (cli_commands[i].words[0])
            bash_words(&cli_commands[i]);
        else
            bash_parts(&cli_commands[i]);
    puts("  esac\n"
         "  case \"${COMP_WORDS[1]} $prev\" in");
    printf("    \"models show\"|\"models remove\"|\"models unload\") words=\"$(%s)\" ;;\n", ask_models);
    puts("    \"models add\") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -F _vx11 vx11");
}

/* ---- zsh ---- */

static void zsh_words(const struct command *c)
{
    char word[64];
    const char *rest = c->words;
    printf("    %s) compadd --", c->name);
    while (next_word(&rest, word, sizeof word)) {
        putchar(' ');
        if (strcmp(word, "@modules") == 0)
            put_modules();
        else if (strcmp(word, "@models") == 0)
            printf("${(f)\"$(%s)\"}", ask_models);
        else
            fputs(word, stdout);
    }
    puts(" ;;");
}

static void zsh_parts(const struct command *c)
{
    const struct command *part = command_parts(c);
    if (!part)
        return;
    printf("    %s) if (( CURRENT == 3 )); then compadd --", c->name);
    for (size_t i = 0; part[i].name; i++)
        printf(" %s", part[i].name);
    puts("; else case $words[3] in");
    for (size_t i = 0; part[i].name; i++)
        if (part[i].words[0])
            zsh_words(&part[i]);
    puts("    esac; fi ;;");
}

static void zsh_script(void)
{
    puts("#compdef vx11\n"
         "# vx11 completion for zsh: source <(vx11 completion zsh), or as _vx11 in a folder of $fpath\n"
         "_vx11() {\n"
         "  local -a commands\n"
         "  if (( CURRENT == 2 )); then\n"
         "    commands=(");
    for (size_t i = 0; i < cli_command_count; i++) {
        char line[256];
        snprintf(line, sizeof line, "%s:%s", cli_commands[i].name, cli_commands[i].summary);
        fputs("      ", stdout);
        put_quoted(line);
        putchar('\n');
    }
    puts("    )\n"
         "    _describe command commands; return\n"
         "  fi");
    printf("  if [[ $words[CURRENT-1] == --model ]]; then\n    compadd -- ${(f)\"$(%s)\"}; return\n  fi\n",
           ask_models);
    printf("  case \"$words[2] $words[CURRENT-1]\" in\n"
           "    'models show'|'models remove'|'models unload') compadd -- ${(f)\"$(%s)\"}; return ;;\n"
           "    'models add') _files; return ;;\n"
           "  esac\n",
           ask_models);
    puts("  case $words[2] in");
    for (size_t i = 0; i < cli_command_count; i++)
        if (cli_commands[i].words[0])
            zsh_words(&cli_commands[i]);
        else
            zsh_parts(&cli_commands[i]);
    puts("  esac\n"
         "}\n"
         "compdef _vx11 vx11");
}

/* ---- fish ---- */

static void fish_word(const struct command *above, const struct command *c, const char *word)
{
    if (above)
        printf("complete -c vx11 -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s' ",
               above->name, c->name);
    else
        printf("complete -c vx11 -n '__fish_seen_subcommand_from %s' ", c->name);
    if (strcmp(word, "@modules") == 0) {
        fputs("-a '", stdout);
        put_modules();
        puts("'");
    } else if (strcmp(word, "@models") == 0) {
        printf("-a '(%s)'\n", ask_models);
    } else if (strcmp(word, "--model") == 0) {
        printf("-l model -x -a '(%s)'\n", ask_models);
    } else if (str_starts(word, "--")) {
        printf("-l %s\n", word + 2);
    } else if (word[0] == '-') {
        printf("-s %s\n", word + 1);
    } else {
        printf("-a '%s'\n", word);
    }
}

static void fish_words(const struct command *above, const struct command *c)
{
    char word[64];
    const char *rest = c->words;
    while (next_word(&rest, word, sizeof word))
        fish_word(above, c, word);
    const struct command *part = command_parts(c);
    for (size_t i = 0; part && part[i].name; i++) {
        printf("complete -c vx11 -n '__fish_seen_subcommand_from %s' -a %s -d ", c->name, part[i].name);
        put_quoted(part[i].summary);
        putchar('\n');
        fish_words(c, &part[i]);
    }
}

static void fish_script(void)
{
    puts("# vx11 completion for fish: vx11 completion fish | source\n"
         "complete -c vx11 -f");
    for (size_t i = 0; i < cli_command_count; i++) {
        printf("complete -c vx11 -n __fish_use_subcommand -a %s -d ", cli_commands[i].name);
        put_quoted(cli_commands[i].summary);
        putchar('\n');
    }
    for (size_t i = 0; i < cli_command_count; i++)
        fish_words(NULL, &cli_commands[i]);
    printf("complete -c vx11 -n '__fish_seen_subcommand_from models; and __fish_seen_subcommand_from show "
           "remove unload' -a '(%s)'\n",
           ask_models);
    puts("complete -c vx11 -n '__fish_seen_subcommand_from models; and __fish_seen_subcommand_from add' -F");
}

int command_completion(int argc, char **argv)
{
    if (argc != 2)
        return cli_usage("completion", "for which shell: bash, zsh or fish?");
    if (strcmp(argv[1], "bash") == 0)
        bash_script();
    else if (strcmp(argv[1], "zsh") == 0)
        zsh_script();
    else if (strcmp(argv[1], "fish") == 0)
        fish_script();
    else
        return cli_usage("completion", "there is bash, zsh and fish, not %s", argv[1]);
    return CLI_OK;
}
