/* SPDX-License-Identifier: MIT */
/*
 * The table of columns. A column's text is made into a buffer; what there is not is an empty text.
 */
#include "client/cli/columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/cli/format.h"
#include "client/cli/near.h"
#include "client/cli/orphans.h"
#include "client/cli/process_command.h"

#define DEFAULT_COLUMNS "NAME,SHMID,SIZE,MODE,OWNER,NATTCH,STATE,LIFETIME,HOLDERS"

#define PRINT(t, ...) snprintf((t)->buffer, sizeof((t)->buffer), __VA_ARGS__)

static void print_size(struct column_text *t, uint64_t bytes)
{
    if (t->bytes)
        PRINT(t, "%" PRIu64, bytes);
    else
        format_size(bytes, t->buffer, sizeof(t->buffer));
}

static void print_time(struct column_text *t, int64_t at_ms)
{
    format_time(t->times, at_ms, t->buffer, sizeof(t->buffer));
}

static void print_flag(struct column_text *t, bool flag)
{
    PRINT(t, "%s", flag ? "yes" : "no");
}

#define COLUMN(name) static void name(const struct shmd_segment *s, struct column_text *t)

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
    format_user(s->uid, t->buffer, sizeof(t->buffer));
}
COLUMN(col_group)
{
    format_group(s->gid, t->buffer, sizeof(t->buffer));
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
COLUMN(col_creator_user)
{
    format_user(s->creator.uid, t->buffer, sizeof(t->buffer));
}
COLUMN(col_creator_gid)
{
    PRINT(t, "%" PRIu32, s->creator.gid);
}
COLUMN(col_creator_group)
{
    format_group(s->creator.gid, t->buffer, sizeof(t->buffer));
}
COLUMN(col_command)
{
    process_command(s, t->buffer, sizeof(t->buffer));
}
/* The kernel keeps no more flags than these, so lsipc shows no others. */
COLUMN(col_status)
{
    bool is_removed = s->state == SHMD_STATE_REMOVING;
    PRINT(t, "%s%s%s", is_removed ? "dest" : "", is_removed && s->locked ? "," : "",
          s->locked ? "locked" : "");
}
COLUMN(col_former_name)
{
    PRINT(t, "%s", s->former_name ? s->former_name : "");
}
COLUMN(col_replaces)
{
    if (s->replaces)
        PRINT(t, "%" PRIu64, s->replaces);
}
COLUMN(col_state)
{
    PRINT(t, "%s", shmd_state_word(s->state));
}
COLUMN(col_lifetime)
{
    const char *word = shmd_lifetime_word(s->lifetime);
    PRINT(t, "%s", !s->managed ? "foreign" : word ? word : "");
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

const struct column columns[] = {
    {"SERIAL", NULL, COLUMN_NUMBER, "its identity, which no other segment ever has", "serial",
     col_serial},
    {"NAME", NULL, COLUMN_TEXT, "its name; empty: it has none", "name", col_name},
    {"SHMID", "ID", COLUMN_NUMBER, "the kernel's id", "shmid", col_shmid},
    {"KEY", NULL, COLUMN_WORD, "the kernel's key; 0x00000000: none", "key", col_key},
    {"SIZE", NULL, COLUMN_NUMBER, "how large it is", "size", col_size},
    {"MODE", "PERMS", COLUMN_WORD, "its permissions", "mode", col_mode},
    {"OWNER", "USER", COLUMN_WORD, "its owner", NULL, col_owner},
    {"GROUP", NULL, COLUMN_WORD, "its group", NULL, col_group},
    {"UID", NULL, COLUMN_NUMBER, "the uid of its owner", "uid", col_uid},
    {"GID", NULL, COLUMN_NUMBER, "the gid of its group", "gid", col_gid},
    {"NATTCH", NULL, COLUMN_NUMBER, "how many attachments it has", "nattch", col_nattch},
    {"LASTPID", "LPID", COLUMN_NUMBER, "the process that attached or detached it last", "last_pid",
     col_last_pid},
    {"STATUS", NULL, COLUMN_WORD, "as lsipc shows it: dest, locked", NULL, col_status},
    {"CREATOR", NULL, COLUMN_TEXT, "the program that created it", "creator.comm", col_creator},
    {"COMMAND", NULL, COLUMN_TEXT, "the command line of that program, while it runs", NULL,
     col_command},
    {"CPID", NULL, COLUMN_NUMBER, "the process that created it", "creator.pid", col_creator_pid},
    {"CUID", NULL, COLUMN_NUMBER, "the uid of that process", "creator.uid", col_creator_uid},
    {"CUSER", NULL, COLUMN_WORD, "the user of that process", NULL, col_creator_user},
    {"CGID", NULL, COLUMN_NUMBER, "the gid of that process", "creator.gid", col_creator_gid},
    {"CGROUP", NULL, COLUMN_WORD, "the group of that process", NULL, col_creator_group},
    {"STATE", NULL, COLUMN_WORD, "initialising, ready, removing or removed", "state", col_state},
    {"LIFETIME", NULL, COLUMN_WORD, "when it is removed; foreign: the daemon does not manage it",
     "lifetime", col_lifetime},
    {"HOLDERS", NULL, COLUMN_NUMBER, "how many processes or connections hold it", "holders",
     col_holders},
    {"LOCKED", NULL, COLUMN_WORD, "whether it is kept out of swap", "locked", col_locked},
    {"HUGE", NULL, COLUMN_NUMBER, "the size of its huge pages", "huge_page_size", col_huge},
    {"NORESERVE", NULL, COLUMN_WORD, "whether no swap is reserved for it", "noreserve",
     col_noreserve},
    {"CREATED", NULL, COLUMN_TIME, "when it was created", "created_at_ms", col_created},
    {"ATTACHED", "ATTACH", COLUMN_TIME, "when it was last attached", "attached_at_ms",
     col_attached},
    {"DETACHED", "DETACH", COLUMN_TIME, "when it was last detached", "detached_at_ms",
     col_detached},
    {"CHANGED", "CTIME", COLUMN_TIME, "when its mode or owner was last set", "changed_at_ms",
     col_changed},
    {"EXPIRES", NULL, COLUMN_TIME, "when its time to live is over", "expires_at_ms", col_expires},
    {"LABELS", NULL, COLUMN_TEXT, "its labels", "labels", col_labels},
    {"MANAGED", NULL, COLUMN_WORD, "whether the daemon manages it", "managed", col_managed},
    {"ORPHANED", NULL, COLUMN_WORD,
     "foreign segments: whether the creator is dead and no process has it attached", "orphaned",
     col_orphaned},
    {"USED", NULL, COLUMN_WORD,
     "foreign segments: whether processes other than the creator have attached it",
     "used_by_others", col_used},
    {"RSS", NULL, COLUMN_NUMBER, "how much of it is in memory (stat)", "rss", col_rss},
    {"SWAP", NULL, COLUMN_NUMBER, "how much of it is in swap (stat)", "swap", col_swap},
    {"DECLARED", NULL, COLUMN_WORD, "whether a configuration file asks for it", "declared",
     col_declared},
    {"DRIFT", NULL, COLUMN_TEXT, "what differs from that file", "drift", col_drift},
    {"FORMERNAME", NULL, COLUMN_TEXT, "what it was called before it was removed", "former_name",
     col_former_name},
    {"REPLACES", NULL, COLUMN_NUMBER,
     "the serial of the segment whose name it takes when it is ready", "replaces", col_replaces},
};

const size_t columns_count = COUNT(columns);
_Static_assert(COUNT(columns) <= COLUMNS_MAX, "all of them can be chosen");

const char *column_print(const struct column *column, const struct shmd_segment *segment,
                         struct column_text *text)
{
    *text->buffer = '\0';
    column->print(segment, text);
    return text->buffer;
}

void columns_list(void)
{
    puts("\nColumns:");
    for (size_t i = 0; i < COUNT(columns); i++) {
        printf("  %-10s %s", columns[i].name, columns[i].help);
        printf(columns[i].alias ? " (or %s)\n" : "\n", columns[i].alias);
    }
}

static bool is_word(const char *word, const char *text, size_t len)
{
    return word && strlen(word) == len && strncasecmp(word, text, len) == 0;
}

static int refuse(const char *name, size_t len)
{
    char list[640] = "", word[32];
    struct near near;
    snprintf(word, sizeof(word), "%.*s", (int)len, name);
    near_begin(&near, word);
    for (size_t i = 0; i < COUNT(columns); i++) {
        strncat(list, i ? "," : "", sizeof(list) - strlen(list) - 1);
        strncat(list, columns[i].name, sizeof(list) - strlen(list) - 1);
        near_try(&near, columns[i].name);
    }
    if (len == 0)
        return cli_usage("a column is missing before or behind a comma; there are %s", list);
    if (near.best)
        return cli_usage("unknown column '%.*s'; do you mean %s? There are %s", (int)len, name,
                         near.best, list);
    return cli_usage("unknown column '%.*s'; there are %s", (int)len, name, list);
}

static int find(const char *name, size_t len, const struct column **ret)
{
    for (size_t i = 0; i < COUNT(columns); i++) {
        if (!is_word(columns[i].name, name, len) && !is_word(columns[i].alias, name, len))
            continue;
        *ret = &columns[i];
        return 0;
    }
    return refuse(name, len);
}

int column_find(const char *name, const struct column **ret)
{
    return find(name, strlen(name), ret);
}

static int add(const char *spec, struct column_choice *choice)
{
    for (const char *at = spec; at;) {
        size_t len = strcspn(at, ",");
        if (choice->n == COLUMNS_MAX)
            return cli_usage("too many columns");
        int r = find(at, len, &choice->columns[choice->n]);
        if (r != 0)
            return r;
        choice->n++;
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

int columns_choose(const char *spec, struct column_choice *ret)
{
    *ret = (struct column_choice){0};
    bool is_more = spec && *spec == '+';
    if (!spec || is_more) {
        int r = add(DEFAULT_COLUMNS, ret);
        if (r != 0)
            return r;
        ret->n_by_default = ret->n;
    }
    return spec ? add(spec + is_more, ret) : 0;
}
