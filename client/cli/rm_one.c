/* SPDX-License-Identifier: MIT */
#include "client/cli/rm_one.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/format.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/output.h"
#include "client/cli/targets.h"

static void print_removed(const char *subject, uint64_t nattch)
{
    printf("%s: removed", subject);
    if (nattch > 0)
        printf("; its memory goes with the last process that has it attached (%" PRIu64
               " attached now)",
               nattch);
    putchar('\n');
}

/* What a call on the handle returned; the answer is in SEGMENT. */
static int ask_daemon(struct cli *cli, const struct shmd_target *target,
                      struct shmd_segment **ret_segment)
{
    unsigned flags = cli_given(cli, OPT(IF_UNATTACHED)) ? SHMD_REMOVE_IF_UNATTACHED : 0;
    return shmd_remove(cli_ask(cli), target, flags, ret_segment);
}

static int answer(struct cli *cli, const char *subject, struct shmd_segment *segment)
{
    if (!output_json(cli))
        print_removed(subject, segment->state == SHMD_STATE_REMOVING ? segment->nattch : 0);
    shmd_segment_free(segment);
    return EXIT_OK;
}

/* --- what the daemon does not manage */

/* The id alone says nothing: the kernel gives it out again. */
static bool is_same(const struct kernel_segment *now, const struct shmd_segment *listed)
{
    return now->key == listed->key && now->size == listed->size && now->mode == listed->mode &&
           now->uid == listed->uid && now->gid == listed->gid && now->cuid == listed->creator.uid &&
           now->cgid == listed->creator.gid && now->ctime == listed->changed_at_ms / 1000;
}

static int foreign_failure(const char *subject, int r)
{
    if (r == -ENOENT)
        return cli_error(EXIT_NO_SUCH_SEGMENT, "%s: it is gone, or its id denotes another segment",
                         subject);
    if (r == -EBUSY)
        return cli_error(EXIT_BUSY, "%s: a process has it attached", subject);
    if (r == -EPERM || r == -EACCES)
        return cli_error(EXIT_PERMISSION_DENIED,
                         "%s: only its owner, its creator and root may remove it", subject);
    return cli_error(EXIT_REFUSED, "%s: %s", subject, strerror(-r));
}

int rm_foreign(struct cli *cli, const struct shmd_segment *segment, const char *subject)
{
    struct kernel_segment now;
    int r = kernel_segment_stat(segment->shmid, &now);
    if (r == 0 && !is_same(&now, segment))
        r = -ENOENT;
    if (r == 0 && now.nattch > 0 && cli_given(cli, OPT(IF_UNATTACHED)))
        r = -EBUSY;
    if (r == 0)
        r = kernel_segment_remove(segment->shmid);
    if (r < 0)
        return foreign_failure(subject, r);
    if (!cli_given(cli, OPT(JSON)))
        print_removed(subject, now.nattch);
    else
        printf("{\"segment\":{\"shmid\":%d,\"managed\":false,\"state\":\"%s\"}}\n", segment->shmid,
               shmd_state_word(now.nattch > 0 ? SHMD_STATE_REMOVING : SHMD_STATE_REMOVED));
    return EXIT_OK;
}

/* The daemon has refused TARGET; perhaps because it does not manage it. */
static int try_foreign(struct cli *cli, const struct shmd_target *target, const char *subject)
{
    struct shmd_segment *segment;
    int r = shmd_stat(cli_ask(cli), target, &segment);
    if (r != 0)
        return cli_failure_of(cli, subject, r);
    int status = segment->managed ? cli_failure_of(cli, subject, SHMD_ERROR_NO_SUCH_SEGMENT)
                                  : rm_foreign(cli, segment, subject);
    shmd_segment_free(segment);
    return status;
}

/* --- one target */

int rm_target(struct cli *cli, const struct shmd_target *target, void *unused)
{
    struct shmd_segment *segment;
    char subject[TARGET_TEXT_SIZE];
    (void)unused;
    target_text(target, subject);
    int r = ask_daemon(cli, target, &segment);
    if (r == 0)
        return answer(cli, subject, segment);
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT && cli_given(cli, OPT(FORCE)) && !target->name)
        return try_foreign(cli, target, subject);
    return cli_failure_of(cli, subject, r);
}

int rm_listed(struct cli *cli, const struct shmd_target *target, const char *subject)
{
    struct shmd_segment *segment;
    int r = ask_daemon(cli, target, &segment);
    if (r == 0)
        return answer(cli, subject, segment);
    if (r != SHMD_ERROR_NO_SUCH_SEGMENT)
        return cli_failure_of(cli, subject, r);
    if (!cli_given(cli, OPT(JSON)))
        printf("%s: is gone already\n", subject);
    return EXIT_OK;
}

/* --- what would be removed */

/* 0, SHMD_ERROR_PERMISSION_DENIED or what else a call on the handle returned. */
static int ask_right(struct cli *cli, const struct shmd_segment *segment)
{
    uint32_t uid = geteuid();
    if (segment->uid == uid || segment->creator.uid == uid)
        return 0;
    if (!segment->managed)
        return uid == 0 ? 0 : SHMD_ERROR_PERMISSION_DENIED;
    /* The daemon alone knows who its admins are. A set of nothing needs the same right as remove,
     * and changes nothing. */
    const struct shmd_set_options nothing = {0};
    return shmd_set(cli_ask(cli), SHMD_SERIAL(segment->serial), &nothing, NULL);
}

int rm_check(struct cli *cli, const struct shmd_segment *segment, const char *subject)
{
    int r = ask_right(cli, segment);
    if (r == SHMD_ERROR_PERMISSION_DENIED)
        return cli_error(EXIT_PERMISSION_DENIED,
                         "%s: not removed: it needs its owner, creator or %s", subject,
                         segment->managed ? "an admin" : "root");
    if (r != 0)
        return cli_failure_of(cli, subject, r);
    if (segment->nattch > 0 && cli_given(cli, OPT(IF_UNATTACHED)))
        return cli_error(EXIT_BUSY, "%s: not removed: a process has it attached", subject);
    return EXIT_OK;
}

static void print_promise(struct cli *cli, const struct shmd_segment *segment, const char *subject)
{
    char size[32];
    format_size(segment->size, size, sizeof(size));
    if (!output_json(cli))
        printf("%s: would be removed: %s, %" PRIu64 " attached%s\n", subject, size, segment->nattch,
               segment->managed ? "" : ", not the daemon's");
}

int rm_show(struct cli *cli, const struct shmd_target *target, void *is_listed)
{
    struct shmd_segment *segment;
    char subject[TARGET_TEXT_SIZE];
    int status = EXIT_NO_SUCH_SEGMENT;
    target_text(target, subject);
    int r = shmd_stat(cli_ask(cli), target, &segment);
    if (r != 0)
        return cli_failure_of(cli, subject, r);
    if (!segment->managed && !is_listed && !cli_given(cli, OPT(FORCE)))
        (void)cli_error(EXIT_OK, "%s: the daemon does not manage it: --force removes it", subject);
    else
        status = rm_check(cli, segment, subject);
    if (status == EXIT_OK)
        print_promise(cli, segment, subject);
    shmd_segment_free(segment);
    return status;
}
