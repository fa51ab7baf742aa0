/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_place.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/journal_directory.h"
#include "daemon/store/journal_rewrite.h"

/* Whether what now has the journal's name is another daemon's journal: 0, -EBUSY, or another
 * negative errno. */
static int check_owner(const struct host *host)
{
    int fd = -1;
    int r = host->ops->open(host->context, JOURNAL_NAME, false, &fd);
    if (r < 0)
        return 0; /* whatever it is, no daemon works with it */
    r = host->ops->lock(host->context, fd);
    host->ops->close(host->context, fd);
    return r == -EWOULDBLOCK ? -EBUSY : 0;
}

/* WHAT happened to the file. IS_REPLACED: something else has its name. */
static int write_anew(struct journal *j, const char *what, bool is_replaced)
{
    if (!j->source.next)
        return journal_fail(j, -ESTALE, "the journal was %s under the daemon", what);
    if (is_replaced && check_owner(&j->options.host) == -EBUSY)
        return journal_fail(j, -EBUSY, "another shmd has taken over the state directory");
    int r = journal_rewrite_now(j);
    if (r < 0)
        return journal_fail(j, r,
                            "the journal was %s under the daemon, and cannot be written anew: %s",
                            what, strerror(-r));
    journal_say(&j->options, LOG_LEVEL_WARNING,
                "the journal was %s under the daemon: it is written anew from memory", what);
    return 0;
}

/* IS_THERE: something has the file's name; IS_OURS: it is the file; IS_WHOLE: all that was written
 * is in it. */
static int mend_place(struct journal *j, bool is_there, bool is_ours, bool is_whole)
{
    if (is_ours)
        return is_whole ? 0 : write_anew(j, "cut short", false);
    return is_there ? write_anew(j, "replaced", true) : write_anew(j, "deleted", false);
}

static int check_place(struct journal *j)
{
    const struct host *host = &j->options.host;
    struct file_info info = {0};
    int r = host->ops->stat_name(host->context, JOURNAL_NAME, &info);
    if (r < 0 && r != -ENOENT)
        return journal_fail(j, r, "the journal cannot be looked at: %s", strerror(-r));
    const bool is_there = r == 0;
    const bool is_ours = is_there && info.inode == j->file.inode && info.device == j->file.device;
    /* The whole directory may have been moved away, or deleted and made again; or be back. */
    if (!is_ours || j->is_out_of_place) {
        journal_rewrite_give_up(j); /* the new file stands in the directory that is left */
        j->is_out_of_place = true;
        r = journal_directory_enter(&j->options, j->reason, sizeof(j->reason));
        if (r < 0)
            return r;
    }
    r = mend_place(j, is_there, is_ours, info.size >= j->file.end);
    if (r == -EBUSY)
        host->ops->leave(host->context); /* it is another daemon's */
    if (r == 0)
        j->is_out_of_place = false;
    return r;
}

int journal_place_make_sure(struct journal *j)
{
    int r = check_place(j);
    if (r < 0)
        return r;
    r = journal_file_mend(&j->options.host, &j->file);
    return r < 0 ? journal_fail(j, r, "the journal cannot be brought in order after a failure: %s",
                                strerror(-r))
                 : 0;
}
