/* SPDX-License-Identifier: MIT */
/*
 * The calls that were sent and whose answers were not told yet, the oldest first. Nearly always the
 * first one is looked for: only waits are answered out of order.
 */
#include "client/internal.h"

static struct unanswered **find(struct unanswered_list *list, int64_t id)
{
    struct unanswered **at = &list->first;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

void unanswered_put(struct unanswered_list *list, struct unanswered *call)
{
    call->next = NULL;
    *(list->first ? list->end : &list->first) = call;
    list->end = &call->next;
    list->n++;
}

bool unanswered_has(const struct unanswered_list *list, int64_t id)
{
    const struct unanswered *call = list->first;
    while (call && call->id != id)
        call = call->next;
    return call != NULL;
}

static struct unanswered *take(struct unanswered_list *list, struct unanswered **at)
{
    struct unanswered *call = *at;
    if (!call)
        return NULL;
    *at = call->next;
    if (list->end == &call->next)
        list->end = at;
    list->n--;
    return call;
}

struct unanswered *unanswered_take(struct unanswered_list *list, int64_t id)
{
    return take(list, find(list, id));
}

struct unanswered *unanswered_take_first(struct unanswered_list *list)
{
    return take(list, &list->first);
}

void unanswered_free(struct unanswered *call)
{
    if (!call)
        return;
    free(call->subscribed.prefix);
    free(call);
}

void unanswered_drop(struct unanswered_list *list)
{
    struct unanswered *call;
    while ((call = unanswered_take_first(list)))
        unanswered_free(call);
}
