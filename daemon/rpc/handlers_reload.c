/* SPDX-License-Identifier: MIT */
/* The handler of `reload`. The files are the business of what is above: the floors down here know
 * the values alone. */
#include "daemon/rpc/dispatch.h"

int handle_reload(struct request *rq, struct reply *reply)
{
    const struct rpc *rpc = rq->rpc;
    if (!rpc->reload) {
        rq->detail = (struct outcome_detail){.what = "reload"};
        return OUTCOME_NOT_SUPPORTED;
    }
    reply->kind = REPLY_NOTHING;
    return rpc->reload(rpc->reload_context, rq->caller, &rq->detail);
}
