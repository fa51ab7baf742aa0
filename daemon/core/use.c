/* SPDX-License-Identifier: MIT */
#include "daemon/core/use.h"

void use_begin(struct core *core, struct segment *segment, const struct sysv_stat *kernel)
{
    segment->seen.nattch = segment_attachments(segment, kernel);
    segment->seen.last_pid = kernel->lpid;
    segment->seen.attached_at_s = kernel->atime;
    segment->seen.detached_at_s = kernel->dtime;
    segment->idle_since_ms = core_boottime_ms(core);
}

void use_notice(struct core *core, struct segment *segment, const struct sysv_stat *kernel)
{
    const uint64_t before = segment->seen.nattch, now = segment_attachments(segment, kernel);
    /* When the daemon's anchor was the last to move, the pid and the times show only that. */
    const bool is_anchor = kernel->lpid == core->own_pid;
    bool came = now > before || (!is_anchor && kernel->atime != segment->seen.attached_at_s &&
                                 kernel->atime != segment->anchored_at_s);
    bool went = now < before || (!is_anchor && kernel->dtime != segment->seen.detached_at_s &&
                                 kernel->dtime != segment->let_go_at_s);
    /* Within one second both times stay as they are. As many have come as have gone. */
    if (now == before && (came || went || (!is_anchor && kernel->lpid != segment->seen.last_pid)))
        came = went = true;
    if (!came && !went && now == 0)
        return;
    use_begin(core, segment, kernel);
    if (segment->idle_ttl_ms > 0 && now == 0 && segment->state != STATE_REMOVING)
        ledger_note_used(core, segment);
    if (!core->is_started || segment->state == STATE_REMOVING)
        return;
    bool left_last = now == 0 || kernel->dtime > kernel->atime;
    if (went && !left_last)
        news_add(core, segment, kernel, EVENT_DETACHED, REASON_REQUEST);
    if (came)
        news_add(core, segment, kernel, EVENT_ATTACHED, REASON_REQUEST);
    if (went && left_last)
        news_add(core, segment, kernel, EVENT_DETACHED, REASON_REQUEST);
}
