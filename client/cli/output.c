/*
 * The table of columns drives both the tables and the list of details. A column's text is made into
 * a buffer; what there is not is an empty text.
 */
#include "client/cli/output.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "client/cli/orphans.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"
#include "protocol/limits.h"

#define DEFAULT_COLUMNS "NAME,SHMID,SIZE,MODE,OWNER,NATTCH,STATE,LIFETIME,HOLDERS"

/* The longest is LABELS: all pairs with = and a space. */
enum { TEXT_MAX = SEGMENT_LABELS_MAX * (LABEL_KEY_MAX + LABEL_VALUE_MAX + 2) + 1 };

struct text {
    char buffer[TEXT_MAX];
    bool bytes; /* sizes as bytes */
};

#define PRINT(t, ...) snprintf((t)->buffer, sizeof((t)->buffer), __VA_ARGS__)

void format_time(int64_t at_ms, char *ret, size_t size)
{
    *ret = '\0';
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    char date[64];
    if (at_ms == 0 || !localtime_r(&seconds, &tm) ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return;
    char zone[8] = "";
    strftime(zone, sizeof(zone), "%z", &tm);
    snprintf(ret, size, "%s.%03d%s", date, (int)(at_ms % 1000), zone);
}

static void print_size(struct text *t, uint64_t bytes)
{
    if (t->bytes)
        PRINT(t, "%" PRIu64, bytes);
    else
        format_size(bytes, t->buffer, sizeof(t->buffer));
}

static void print_user(struct text *t, uint32_t uid)
{
    const struct passwd *user = getpwuid(uid);
    if (user)
        PRINT(t, "%s", user->pw_name);
    else
        PRINT(t, "%" PRIu32, uid);
}

static void print_time(struct text *t, int64_t at_ms)
{
    format_time(at_ms, t->buffer, sizeof(t->buffer));
}

static void print_flag(struct text *t, bool flag)
{
    PRINT(t, "%s", flag ? "yes" : "no");
}

#define COLUMN(name) static void name(const struct shmd_segment *s, struct text *t)

COLUMN(col_serial)
{
    if (s->serial)
        PRINT(t, "%" PRIu64, s->serial);
}
COLUMN(col_name)
{
    PRINT(t, "%s", s->name ? s->name : "");
}
COLUMN(col_shmid)
{
    PRINT(t, "%d", s->shmid);
}
COLUMN(col_key)
{
    PRINT(t, "0x%08" PRIx32, s->key);
}
COLUMN(col_size)
{
    print_size(t, s->size);
}
COLUMN(col_mode)
{
    PRINT(t, "%04" PRIo32, s->mode);
}
COLUMN(col_owner)
{
    print_user(t, s->uid);
}
COLUMN(col_group)
{
    const struct group *group = getgrgid(s->gid);
    if (group)
        PRINT(t, "%s", group->gr_name);
    else
        PRINT(t, "%" PRIu32, s->gid);
}
COLUMN(col_uid)
{
    PRINT(t, "%" PRIu32, s->uid);
}
COLUMN(col_gid)
{
    PRINT(t, "%" PRIu32, s->gid);
}
COLUMN(col_nattch)
{
    PRINT(t, "%" PRIu64, s->nattch);
}
COLUMN(col_last_pid)
{
    PRINT(t, "%" PRId32, s->last_pid);
}
COLUMN(col_creator)
{
    PRINT(t, "%s", s->creator.comm ? s->creator.comm : "");
}
COLUMN(col_creator_pid)
{
    PRINT(t, "%" PRId32, s->creator.pid);
}
COLUMN(col_creator_uid)
{
    PRINT(t, "%" PRIu32, s->creator.uid);
}
COLUMN(col_state)
{
    PRINT(t, "%s", shmd_state_word(s->state));
}
COLUMN(col_lifetime)
{
    const char *word = shmd_lifetime_word(s->lifetime);
    PRINT(t, "%s", word ? word : ""); /* of a foreign segment the daemon does not know it */
}
COLUMN(col_holders)
{
    PRINT(t, "%" PRIu32, s->holders);
}
COLUMN(col_locked)
{
    print_flag(t, s->locked);
}
COLUMN(col_huge)
{
    if (s->huge_page_size)
        print_size(t, s->huge_page_size);
}
COLUMN(col_noreserve)
{
    print_flag(t, s->noreserve);
}
COLUMN(col_created)
{
    print_time(t, s->created_at_ms);
}
COLUMN(col_attached)
{
    print_time(t, s->attached_at_ms);
}
COLUMN(col_detached)
{
    print_time(t, s->detached_at_ms);
}
COLUMN(col_changed)
{
    print_time(t, s->changed_at_ms);
}
COLUMN(col_expires)
{
    print_time(t, s->expires_at_ms);
}
COLUMN(col_labels)
{
    size_t used = 0;
    for (size_t i = 0; i < s->n_labels && used < sizeof(t->buffer); i++)
        used += (size_t)snprintf(t->buffer + used, sizeof(t->buffer) - used, "%s%s=%s",
                                 i ? " " : "", s->labels[i].key, s->labels[i].value);
}
COLUMN(col_managed)
{
    print_flag(t, s->managed);
}
COLUMN(col_orphaned)
{
    static const char *const words[] = {
        [ORPHAN_ATTACHED] = "no", [ORPHAN_CREATOR_LIVES] = "no", [ORPHAN_UNDECIDED] = "undecided",
        [ORPHAN_LEAKED] = "yes",  [ORPHAN_LEFT] = "yes",
    };
    if (!s->managed)
        PRINT(t, "%s", words[orphan_class_of_listed(s)]);
}
COLUMN(col_used)
{
    if (!s->managed)
        print_flag(t, s->used_by_others);
}
COLUMN(col_rss)
{
    if (s->has_memory)
        print_size(t, s->rss);
}
COLUMN(col_swap)
{
    if (s->has_memory)
        print_size(t, s->swap);
}
COLUMN(col_declared)
{
    print_flag(t, s->declared);
}
COLUMN(col_drift)
{
    size_t used = 0;
    for (size_t i = 0; i < s->n_drift && used < sizeof(t->buffer); i++)
        used += (size_t)snprintf(t->buffer + used, sizeof(t->buffer) - used, "%s%s", i ? "," : "",
                                 s->drift[i]);
}

static const struct column {
    const char *name;
    bool is_number;
    void (*print)(const struct shmd_segment *s, struct text *t);
} columns[] = {
    {"SERIAL", true, col_serial},
    {"NAME", false, col_name},
    {"SHMID", true, col_shmid},
    {"KEY", false, col_key},
    {"SIZE", true, col_size},
    {"MODE", false, col_mode},
    {"OWNER", false, col_owner},
    {"GROUP", false, col_group},
    {"UID", true, col_uid},
    {"GID", true, col_gid},
    {"NATTCH", true, col_nattch},
    {"LASTPID", true, col_last_pid},
    {"CREATOR", false, col_creator},
    {"CPID", true, col_creator_pid},
    {"CUID", true, col_creator_uid},
    {"STATE", false, col_state},
    {"LIFETIME", false, col_lifetime},
    {"HOLDERS", true, col_holders},
    {"LOCKED", false, col_locked},
    {"HUGE", true, col_huge},
    {"NORESERVE", false, col_noreserve},
    {"CREATED", false, col_created},
    {"ATTACHED", false, col_attached},
    {"DETACHED", false, col_detached},
    {"CHANGED", false, col_changed},
    {"EXPIRES", false, col_expires},
    {"LABELS", false, col_labels},
    {"MANAGED", false, col_managed},
    {"ORPHANED", false, col_orphaned},
    {"USED", false, col_used},
    {"RSS", true, col_rss},
    {"SWAP", true, col_swap},
    {"DECLARED", false, col_declared},
    {"DRIFT", false, col_drift},
};

enum { CHOSEN_MAX = 64 };

struct table {
    struct libscols_table *scols; /* owned */
    struct text text;
    const struct column *chosen[CHOSEN_MAX];
    size_t n_chosen;
};

void output_list_columns(void)
{
    fputs("\nColumns:", stdout);
    for (size_t i = 0; i < COUNT(columns); i++)
        printf("%s%s", i % 10 ? ", " : "\n  ", columns[i].name);
    putchar('\n');
}

static const struct column *find_column(const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT(columns); i++)
        if (strlen(columns[i].name) == len && strncasecmp(columns[i].name, name, len) == 0)
            return &columns[i];
    return NULL;
}

static int refuse_column(const char *name, size_t len)
{
    char list[512] = "";
    for (size_t i = 0; i < COUNT(columns); i++) {
        strncat(list, i ? "," : "", sizeof(list) - strlen(list) - 1);
        strncat(list, columns[i].name, sizeof(list) - strlen(list) - 1);
    }
    return cli_usage("unknown column '%.*s'; there are %s", (int)len, name, list);
}

static int choose_columns(const char *spec, const struct column **chosen, size_t *ret_n)
{
    size_t n = 0;
    for (const char *at = spec; at;) {
        size_t len = strcspn(at, ",");
        const struct column *column = find_column(at, len);
        if (!column)
            return refuse_column(at, len);
        if (n == CHOSEN_MAX)
            return cli_usage("too many columns");
        chosen[n++] = column;
        at = at[len] ? at + len + 1 : NULL;
    }
    *ret_n = n;
    return 0;
}

int output_check(const struct options *o)
{
    const struct column *chosen[CHOSEN_MAX];
    size_t n;
    return o->columns ? choose_columns(o->columns, chosen, &n) : 0;
}

int table_new(const struct options *o, struct table **ret)
{
    struct table *table = calloc(1, sizeof(*table));
    if (!table)
        return cli_error(EXIT_REFUSED, "out of memory");
    table->text.bytes = o->given & OPT(BYTES);
    int r =
        choose_columns(o->columns ? o->columns : DEFAULT_COLUMNS, table->chosen, &table->n_chosen);
    if (r == 0 && !(table->scols = scols_new_table()))
        r = cli_error(EXIT_REFUSED, "out of memory");
    /* One column alone goes into a script's variable: without blanks before it. */
    bool alone = table->n_chosen == 1;
    for (size_t i = 0; r == 0 && i < table->n_chosen; i++) {
        const struct column *column = table->chosen[i];
        if (!scols_table_new_column(table->scols, column->name, 0,
                                    column->is_number && !alone ? SCOLS_FL_RIGHT : 0))
            r = cli_error(EXIT_REFUSED, "out of memory");
    }
    if (r != 0) {
        table_free(table);
        return r;
    }
    scols_table_enable_noheadings(table->scols, (o->given & OPT(NOHEADINGS)) != 0);
    *ret = table;
    return 0;
}

int table_add(struct table *table, const struct shmd_segment *segment)
{
    struct libscols_line *line = scols_table_new_line(table->scols, NULL);
    if (!line)
        return -ENOMEM;
    for (size_t i = 0; i < table->n_chosen; i++) {
        *table->text.buffer = '\0';
        table->chosen[i]->print(segment, &table->text);
        if (scols_line_set_data(line, i, table->text.buffer) != 0)
            return -ENOMEM;
    }
    return 0;
}

void table_print(struct table *table)
{
    scols_print_table(table->scols);
}

void table_free(struct table *table)
{
    if (!table)
        return;
    scols_unref_table(table->scols);
    free(table);
}

void output_json_text(const char *json, size_t len)
{
    print_json_text(stdout, json, len);
    putchar('\n');
}

bool output_json(const struct cli *cli)
{
    if (!cli_given(cli, OPT(JSON)))
        return false;
    const char *result = shmd_last_result(cli->shmd);
    output_json_text(result, strlen(result));
    return true;
}

int output_segment(const struct cli *cli, const struct shmd_segment *segment)
{
    if (output_json(cli))
        return EXIT_OK;
    struct table *table;
    int r = table_new(&cli->options, &table);
    if (r != 0)
        return r;
    r = table_add(table, segment);
    if (r == 0)
        table_print(table);
    table_free(table);
    return r < 0 ? cli_error(EXIT_REFUSED, "out of memory") : EXIT_OK;
}

static void print_holders(const struct shmd_segment *s)
{
    for (uint32_t i = 0; s->holder_list && i < s->holders; i++) {
        const struct shmd_holder *holder = &s->holder_list[i];
        char since[64], comm[64];
        format_time(holder->since_at_ms, since, sizeof(since));
        plain_text(holder->comm ? holder->comm : "?", comm, sizeof(comm));
        printf("%-10s pid %" PRId32 " (%s), uid %" PRIu32 ", since %s\n", "HOLDER", holder->pid,
               comm, holder->uid, since);
    }
}

static void print_attached(const struct cli *cli, const struct shmd_segment *s)
{
    struct shmd_attachments *all;
    /* In another IPC namespace there is nothing to be found, which was told before. */
    if (s->nattch == 0 || shmd_attachments(cli->shmd, s, &all) != 0)
        return;
    for (size_t i = 0; i < all->count; i++) {
        const struct shmd_attachment *a = &all->processes[i];
        char comm[64];
        plain_text(a->comm ? a->comm : "?", comm, sizeof(comm));
        printf("%-10s pid %" PRId32 " (%s), uid %" PRIu32 ", %s", "ATTACHED", a->pid, comm, a->uid,
               a->read_only ? "read-only" : "writable");
        if (a->unit) {
            fputs(", ", stdout);
            print_plain(stdout, a->unit);
        }
        putchar('\n');
    }
    if (all->unseen > 0)
        printf("%-10s %" PRIu64 " more, by processes that you may not see\n", "ATTACHED",
               all->unseen);
    shmd_attachments_free(all);
}

int output_details(const struct cli *cli, const struct shmd_segment *segment)
{
    if (cli_given(cli, OPT(JSON) | OPT(OUTPUT)))
        return output_segment(cli, segment);
    struct text *text = malloc(sizeof(*text));
    if (!text)
        return cli_error(EXIT_REFUSED, "out of memory");
    text->bytes = cli_given(cli, OPT(BYTES));
    for (size_t i = 0; i < COUNT(columns); i++) {
        *text->buffer = '\0';
        columns[i].print(segment, text);
        if (!*text->buffer)
            continue;
        printf("%-10s ", columns[i].name);
        print_plain(stdout, text->buffer);
        putchar('\n');
    }
    free(text);
    print_holders(segment);
    print_attached(cli, segment);
    return EXIT_OK;
}
