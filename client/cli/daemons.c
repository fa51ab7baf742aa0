/* SPDX-License-Identifier: MIT */
#include "client/cli/daemons.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/other_daemons.h"

enum { ANSWER_MS = 10000 }; /* a daemon that hangs is not waited for */

struct foreign_list {
    struct foreign_segment *rows; /* owned */
    size_t count, capacity;
};

/* What the result R of a call to a daemon is as a negative errno. One that is shutting down is
 * lost, as in all commands. */
static int errno_of(int r)
{
    if (r < 0)
        return r;
    return cli_is_lost(r) ? -ECONNRESET : -EBADMSG;
}

/* --- the one that was chosen */

void daemon_ask(struct cli *cli, struct daemon_seen *ret)
{
    *ret = (struct daemon_seen){.state = DAEMON_UNREACHABLE, .error = cli_open(cli, ANSWER_MS)};
    snprintf(ret->path, sizeof(ret->path), "%s", cli->daemon.path);
    if (ret->error < 0)
        return;
    ret->state = DAEMON_SILENT;
    int r = shmd_info(cli_ask(cli), &ret->info);
    if (r != 0)
        ret->error = errno_of(r);
    else if (ret->info->ipc_namespace != own_ipc_namespace())
        ret->state = DAEMON_ELSEWHERE;
    else
        ret->state = DAEMON_ANSWERS;
}

void daemon_seen_deinit(struct daemon_seen *seen)
{
    shmd_info_free(seen->info);
    *seen = (struct daemon_seen){.state = DAEMON_UNREACHABLE};
}

const char *daemon_state_text(const struct daemon_seen *seen)
{
    switch (seen->state) {
    case DAEMON_ANSWERS: return "it answers";
    case DAEMON_ELSEWHERE: return "it answers, but it is in another IPC namespace";
    case DAEMON_SILENT:
        return seen->error == -EBADMSG ? "it gives no sensible answer" : "it does not answer";
    case DAEMON_UNREACHABLE: break;
    }
    switch (seen->error) {
    case -ENOENT: return "nothing is there";
    case -ECONNREFUSED: return "nobody serves it";
    case -EACCES: return "you may not connect";
    case -ENAMETOOLONG: return "the path is too long";
    case -ENXIO: return "XDG_RUNTIME_DIR is not set";
    default: return strerror(-seen->error);
    }
}

/* --- what is whose */

static int add_foreign(const struct shmd_segment *segment, void *data)
{
    struct foreign_list *all = data;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity * 2 + 256;
        struct foreign_segment *more = reallocarray(all->rows, capacity, sizeof(*more));
        if (!more)
            return -ENOMEM;
        all->rows = more;
        all->capacity = capacity;
    }
    all->rows[all->count++] = foreign_segment_of(segment);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    int x = ((const struct foreign_segment *)a)->shmid;
    int y = ((const struct foreign_segment *)b)->shmid;
    return (x > y) - (x < y);
}

/* The daemon shows each caller other segments of its own, but the foreign ones to all. */
static int list_foreign(struct cli *cli, struct foreign_list *ret)
{
    const struct shmd_list_options foreign = {.scope = SHMD_SCOPE_FOREIGN};
    struct foreign_list all = {0};
    int r = shmd_list(cli_ask(cli), &foreign, add_foreign, &all);
    if (r != 0) {
        free(all.rows);
        return errno_of(r);
    }
    if (all.count > 0)
        qsort(all.rows, all.count, sizeof(*all.rows), compare_ids);
    *ret = all;
    return 0;
}

int daemon_knowledge(struct cli *cli, struct daemon_seen *seen, struct orphan_knowledge *ret)
{
    struct orphan_knowledge k = {0};
    struct foreign_list all = {0};
    if (seen->state == DAEMON_ANSWERS) {
        int r = list_foreign(cli, &all);
        if (r == 0) {
            k = (struct orphan_knowledge){
                .asked = true,
                .foreign = all.rows,
                .n_foreign = all.count,
                .daemon_uid = seen->info->uid,
                .records_since_at_ms = seen->info->records_since_at_ms,
            };
        } else {
            seen->state = DAEMON_SILENT;
            seen->error = r;
        }
    }
    const struct asked_daemon asked = {
        .path = seen->path,
        .answered = k.asked || seen->state == DAEMON_ELSEWHERE,
    };
    int r = other_daemons_find(&asked, &k);
    if (r < 0) {
        orphan_knowledge_deinit(&k);
        return r;
    }
    *ret = k;
    return 0;
}
