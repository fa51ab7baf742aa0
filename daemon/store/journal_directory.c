/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OLD_NAME "state.db"

/* Whether INFO's directory is the daemon's alone: 0, or -EPERM with WHY. */
static int check_directory(const struct journal_options *options, const struct file_info *info,
                           char *why, size_t why_size)
{
    if (info->uid != options->own_uid) {
        snprintf(why, why_size,
                 "the state directory %s belongs to uid %" PRIu32 ", and the daemon runs as uid "
                 "%" PRIu32 ": name one of the daemon's own with --state-dir; give this one to the "
                 "daemon with chown only if nobody else uses it",
                 options->directory, info->uid, options->own_uid);
        return -EPERM;
    }
    if (info->mode & 01000 && info->mode & 022) {
        /* No chmod is advised: it would end the directory's use for everybody else. */
        snprintf(why, why_size,
                 "the state directory %s is shared with others (mode %04" PRIo32 "): name one of "
                 "the daemon's own with --state-dir",
                 options->directory, info->mode);
        return -EPERM;
    }
    if (info->mode & 022) {
        snprintf(why, why_size,
                 "others may write to the state directory %s (mode %04" PRIo32 "): run `chmod "
                 "go-w` on it if nobody else uses it, or name one of the daemon's own with "
                 "--state-dir",
                 options->directory, info->mode);
        return -EPERM;
    }
    return 0;
}

int journal_directory_enter(const struct journal_options *options, char *why, size_t why_size)
{
    const struct host *host = &options->host;
    struct file_info info;
    int r = host->ops->enter(host->context, &info);
    if (r < 0) {
        snprintf(why, why_size, "the state directory %s cannot be opened: %s", options->directory,
                 strerror(-r));
        return r;
    }
    r = check_directory(options, &info, why, why_size);
    if (r < 0) /* nothing may be made in it later on */
        host->ops->leave(host->context);
    return r;
}

int journal_directory_set_aside(const struct host *host, const char *name,
                                char ret_name[static SET_ASIDE_NAME_MAX])
{
    int64_t now_s = host->ops->realtime_ms(host->context) / 1000;
    int r = -EEXIST;
    for (int i = 0; i < 1000 && r == -EEXIST; i++) {
        if (i == 0)
            snprintf(ret_name, SET_ASIDE_NAME_MAX, "%s.corrupt-%" PRId64, name, now_s);
        else
            snprintf(ret_name, SET_ASIDE_NAME_MAX, "%s.corrupt-%" PRId64 ".%d", name, now_s, i);
        r = host->ops->rename(host->context, name, ret_name, false);
    }
    return r;
}

void journal_directory_set_old_aside(const struct journal_options *options)
{
    static const char *const companions[] = {"-wal", "-journal", "-shm", "-mark"};
    const struct host *host = &options->host;
    char aside[SET_ASIDE_NAME_MAX];
    int r = journal_directory_set_aside(host, OLD_NAME, aside);
    if (r == -ENOENT)
        return;
    if (r < 0) {
        journal_say(options, LOG_LEVEL_WARNING,
                    "the database of an older shmd, %s, cannot be set aside: %s", OLD_NAME,
                    strerror(-r));
        return;
    }
    for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++) {
        char from[sizeof(OLD_NAME) + 16], to[SET_ASIDE_NAME_MAX + 16];
        snprintf(from, sizeof(from), "%s%s", OLD_NAME, companions[i]);
        snprintf(to, sizeof(to), "%s%s", aside, companions[i]);
        (void)host->ops->rename(host->context, from, to, false); /* most are not there */
    }
    journal_say(
        options, LOG_LEVEL_WARNING,
        "%s is the database of an older shmd, which this one does not read: it is set aside "
        "as %s/%s; its segments stay, are listed as foreign and lost, and can be adopted",
        OLD_NAME, options->directory, aside);
}
