/* SPDX-License-Identifier: MIT */
#include "client/cli/top_model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A limit that is not always shown comes when so much of it is used. */
enum { NEAR_PERCENT = 75 };

void top_model_init(struct top_model *m, top_name_fn *name_of)
{
    *m = (struct top_model){
        .name_of = name_of,
        .user_max_segments = UINT64_MAX,
        .user_max_bytes = UINT64_MAX,
    };
}

static void drop_segments(struct top_sample *look)
{
    for (size_t i = 0; i < look->n; i++) {
        free(look->segments[i].name);
        free(look->segments[i].creator);
    }
    look->n = 0;
}

static void free_processes(struct top_process *processes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(processes[i].command);
        free(processes[i].unit);
    }
    free(processes);
}

void top_model_deinit(struct top_model *m)
{
    drop_segments(&m->now);
    drop_segments(&m->coming);
    free(m->now.segments);
    free(m->coming.segments);
    free_processes(m->processes, m->n_processes);
    for (size_t i = 0; i < m->n_names; i++)
        free(m->names[i]);
    free(m->names);
    free(m->users);
    free(m->meters);
    top_model_init(m, m->name_of);
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

/* The name of UID, which stays as long as the model; NULL: out of memory. */
static const char *name_of(struct top_model *m, uint32_t uid)
{
    for (size_t i = 0; i < m->n_names; i++)
        if (m->names[i]->uid == uid)
            return m->names[i]->text;
    struct top_name *name = calloc(1, sizeof(*name));
    struct top_name **more = reallocarray(m->names, m->n_names + 1, sizeof(struct top_name *));
    if (more)
        m->names = more;
    if (!more || !name) {
        free(name);
        return NULL;
    }
    name->uid = uid;
    m->name_of(uid, name->text, sizeof(name->text));
    m->names[m->n_names++] = name;
    return name->text;
}

/* --- a look */

void top_model_begin(struct top_model *m)
{
    drop_segments(&m->coming);
}

static int make_room(struct top_sample *look)
{
    if (look->n < look->capacity)
        return 0;
    size_t capacity = look->capacity * 2 + 256;
    struct top_segment *more = reallocarray(look->segments, capacity, sizeof(*more));
    if (!more)
        return -ENOMEM;
    look->segments = more;
    look->capacity = capacity;
    return 0;
}

int top_model_add(struct top_model *m, const struct shmd_segment *s)
{
    struct top_segment row = {
        .serial = s->managed ? s->serial : 0,
        .shmid = s->shmid,
        .uid = s->uid,
        .creator_uid = s->creator.uid,
        .size = s->size,
        .nattch = s->nattch,
        .holders = s->holders,
        .state = s->state,
        .lifetime = s->lifetime,
        .created_at_ms = s->created_at_ms ? s->created_at_ms : s->changed_at_ms,
        .name = copy(s->name ? s->name : s->former_name),
        .creator = copy(s->creator.comm),
        .owner = name_of(m, s->uid),
    };
    if (!row.name || !row.creator || !row.owner || make_room(&m->coming) < 0) {
        free(row.name);
        free(row.creator);
        return -ENOMEM;
    }
    m->coming.segments[m->coming.n++] = row;
    return 0;
}

/* The daemon's have serials; the others come behind them, by shmid. */
static int compare_identities(const void *a, const void *b)
{
    const struct top_segment *x = a, *y = b;
    if ((x->serial == 0) != (y->serial == 0))
        return x->serial == 0 ? 1 : -1;
    if (x->serial != y->serial)
        return x->serial < y->serial ? -1 : 1;
    if (x->serial != 0)
        return 0;
    return (x->shmid > y->shmid) - (x->shmid < y->shmid);
}

/* A segment that was on two pages is there once, as it was last. */
static void drop_doubles(struct top_sample *look)
{
    size_t n = 0;
    for (size_t i = 0; i < look->n; i++) {
        if (n > 0 && compare_identities(&look->segments[n - 1], &look->segments[i]) == 0) {
            free(look->segments[i].name);
            free(look->segments[i].creator);
            continue;
        }
        look->segments[n++] = look->segments[i];
    }
    look->n = n;
}

static int compare_memory(const void *a, const void *b)
{
    int x = ((const struct kernel_memory *)a)->shmid, y = ((const struct kernel_memory *)b)->shmid;
    return (x > y) - (x < y);
}

static void take_memory(struct top_sample *look, struct kernel_memory *memory, size_t n)
{
    if (n == 0)
        return;
    qsort(memory, n, sizeof(*memory), compare_memory);
    for (size_t i = 0; i < look->n; i++) {
        struct top_segment *s = &look->segments[i];
        const struct kernel_memory key = {.shmid = s->shmid};
        const struct kernel_memory *found =
            bsearch(&key, memory, n, sizeof(*memory), compare_memory);
        s->has_memory = found != NULL;
        s->memory = found ? found->rss + found->swap : 0;
    }
}

/* What has changed since the look BEFORE. */
static void compare_with(struct top_sample *look, const struct top_sample *before)
{
    int64_t elapsed_ms = look->at_ms - before->at_ms;
    for (size_t i = 0; i < look->n; i++) {
        struct top_segment *s = &look->segments[i];
        const struct top_segment *was =
            before->n == 0 ? NULL
                           : bsearch(s, before->segments, before->n, sizeof(*before->segments),
                                     compare_identities);
        s->is_new = !was;
        s->has_growth = was && was->has_memory && s->has_memory && elapsed_ms > 0;
        if (s->has_growth)
            s->growth = ((int64_t)s->memory - (int64_t)was->memory) * 1000 / elapsed_ms;
    }
}

static struct top_user *find_user(struct top_user *users, size_t n, uint32_t uid)
{
    for (size_t i = 0; i < n; i++)
        if (users[i].uid == uid)
            return &users[i];
    return NULL;
}

static void count(struct top_user *user, const struct top_segment *s)
{
    user->segments++;
    user->bytes += s->size;
    user->attachments += s->nattch;
    user->memory += s->memory;
    user->growth += s->growth;
    if (s->serial != 0) {
        user->charged_segments++;
        user->charged_bytes += s->size;
    }
}

/* By who has created the segments, for that is whose quota they count for. */
static int add_up(struct top_model *m, const struct top_sample *look, struct top_user **ret,
                  size_t *ret_n)
{
    struct top_user *users = NULL, *last = NULL;
    size_t n = 0;
    for (size_t i = 0; i < look->n; i++) {
        const struct top_segment *s = &look->segments[i];
        if (!last || last->uid != s->creator_uid)
            last = find_user(users, n, s->creator_uid);
        if (!last) {
            const char *name = name_of(m, s->creator_uid);
            struct top_user *more = reallocarray(users, n + 1, sizeof(*more));
            if (more)
                users = more;
            if (!more || !name) {
                free(users);
                return -ENOMEM;
            }
            last = &users[n++];
            *last = (struct top_user){.uid = s->creator_uid, .name = name};
        }
        count(last, s);
    }
    *ret = users;
    *ret_n = n;
    return 0;
}

int top_model_end(struct top_model *m, int64_t at_ms, struct kernel_memory *memory, size_t n_memory)
{
    struct top_sample *look = &m->coming;
    struct top_user *users;
    size_t n_users;
    look->at_ms = at_ms;
    if (look->n > 0)
        qsort(look->segments, look->n, sizeof(*look->segments), compare_identities);
    drop_doubles(look);
    take_memory(look, memory, n_memory);
    if (m->n_looks > 0)
        compare_with(look, &m->now);
    int r = add_up(m, look, &users, &n_users);
    if (r < 0)
        return r;
    free(m->users);
    m->users = users;
    m->n_users = n_users;
    struct top_sample former = m->now;
    m->now = *look;
    *look = former;
    drop_segments(look);
    m->bytes = 0;
    for (size_t i = 0; i < m->now.n; i++)
        m->bytes += m->now.segments[i].size;
    m->n_looks++;
    return 0;
}

/* --- limits */

/* The limits that are always shown, by the daemon's names. */
static const struct {
    const char *limit, *name;
    bool is_bytes;
} usual[] = {
    {"max_segments_per_uid", "your segments", false},
    {"max_bytes_per_uid", "your bytes", true},
    {"max_segments", "all segments", false},
    {"max_bytes", "all bytes", true},
};

enum { KERNELS = 2, USUAL = sizeof(usual) / sizeof(usual[0]) };

static bool is_usual(const char *limit)
{
    for (size_t i = 0; i < USUAL; i++)
        if (strcmp(usual[i].limit, limit) == 0)
            return true;
    return false;
}

static const struct shmd_limit *find_limit(const struct shmd_info *info, const char *name)
{
    for (size_t i = 0; i < info->n_limits; i++)
        if (strcmp(info->limits[i].name, name) == 0)
            return &info->limits[i];
    return NULL;
}

static bool is_near(const struct shmd_limit *limit)
{
    return limit->is_counted && limit->max != UINT64_MAX && limit->max > 0 &&
           (double)limit->used * 100 >= (double)limit->max * (double)NEAR_PERCENT;
}

static void add_meter(struct top_meter *meters, size_t *n, const char *name, uint64_t used,
                      uint64_t max, bool is_bytes)
{
    struct top_meter *meter = &meters[(*n)++];
    *meter = (struct top_meter){.used = used, .max = max, .is_bytes = is_bytes};
    snprintf(meter->name, sizeof(meter->name), "%s", name);
}

/* "max_waiters_per_uid" for people. */
static void name_limit(const char *limit, char ret[TOP_METER_SIZE])
{
    const char *rest = strncmp(limit, "max_", 4) == 0 ? limit + 4 : limit;
    const char *end = strstr(rest, "_per_uid");
    int len = end ? (int)(end - rest) : (int)strlen(rest);
    snprintf(ret, TOP_METER_SIZE, "%s %.*s", end ? "your" : "all", len, rest);
    for (char *at = ret; *at; at++)
        if (*at == '_')
            *at = ' ';
}

static uint64_t pages_to_bytes(uint64_t pages)
{
    const uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    return pages > UINT64_MAX / page_size ? UINT64_MAX : pages * page_size;
}

int top_model_info(struct top_model *m, const struct shmd_info *info)
{
    size_t n = 0;
    struct top_meter *meters = calloc(KERNELS + USUAL + info->n_limits, sizeof(*meters));
    if (!meters)
        return -ENOMEM;
    add_meter(meters, &n, "kernel segments", info->kernel.segments, info->kernel.shmmni, false);
    add_meter(meters, &n, "kernel bytes", info->kernel.bytes, pages_to_bytes(info->kernel.shmall),
              true);
    for (size_t i = 0; i < USUAL; i++) {
        const struct shmd_limit *limit = find_limit(info, usual[i].limit);
        if (limit && limit->is_counted)
            add_meter(meters, &n, usual[i].name, limit->used, limit->max, usual[i].is_bytes);
    }
    for (size_t i = 0; i < info->n_limits; i++) {
        const struct shmd_limit *limit = &info->limits[i];
        char name[TOP_METER_SIZE];
        if (is_usual(limit->name) || !is_near(limit))
            continue;
        name_limit(limit->name, name);
        add_meter(meters, &n, name, limit->used, limit->max, strstr(limit->name, "bytes") != NULL);
    }
    free(m->meters);
    m->meters = meters;
    m->n_meters = n;
    const struct shmd_limit *segments = find_limit(info, "max_segments_per_uid");
    const struct shmd_limit *bytes = find_limit(info, "max_bytes_per_uid");
    m->user_max_segments = segments ? segments->max : UINT64_MAX;
    m->user_max_bytes = bytes ? bytes->max : UINT64_MAX;
    return 0;
}

/* --- processes */

static int compare_pids(const void *a, const void *b)
{
    const struct shmd_attachment *x = *(const struct shmd_attachment *const *)a;
    const struct shmd_attachment *y = *(const struct shmd_attachment *const *)b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

struct size_of {
    int shmid;
    uint64_t size;
};

static int compare_sizes(const void *a, const void *b)
{
    int x = ((const struct size_of *)a)->shmid, y = ((const struct size_of *)b)->shmid;
    return (x > y) - (x < y);
}

/* The sizes of the segments of the last look, by shmid; NULL: out of memory. */
static struct size_of *sizes_by_shmid(const struct top_sample *look)
{
    struct size_of *sizes = calloc(look->n + 1, sizeof(*sizes));
    for (size_t i = 0; sizes && i < look->n; i++)
        sizes[i] = (struct size_of){look->segments[i].shmid, look->segments[i].size};
    if (sizes && look->n > 0)
        qsort(sizes, look->n, sizeof(*sizes), compare_sizes);
    return sizes;
}

static uint64_t size_of_shmid(const struct size_of *sizes, size_t n, int shmid)
{
    const struct size_of key = {.shmid = shmid};
    const struct size_of *found =
        n == 0 ? NULL : bsearch(&key, sizes, n, sizeof(*sizes), compare_sizes);
    return found ? found->size : 0;
}

/* Adds A to PROCESSES, of which the last may be its process. 0 or -ENOMEM. */
static int add_attachment(struct top_model *m, const struct shmd_attachment *a, uint64_t size,
                          struct top_process *processes, size_t *n)
{
    struct top_process *p = *n > 0 ? &processes[*n - 1] : NULL;
    if (!p || p->pid != a->pid) {
        p = &processes[*n];
        *p = (struct top_process){
            .pid = a->pid,
            .user = name_of(m, a->uid),
            .command = copy(a->comm),
            .unit = copy(a->unit ? a->unit : a->cgroup),
        };
        (*n)++;
        if (!p->user || !p->command || !p->unit)
            return -ENOMEM;
    }
    p->segments++;
    p->attachments += a->count;
    p->bytes += size;
    return 0;
}

int top_model_processes(struct top_model *m, const struct shmd_attachments *all)
{
    const size_t count = all ? all->count : 0;
    const struct shmd_attachment **sorted = calloc(count + 1, sizeof(struct shmd_attachment *));
    struct top_process *processes = calloc(count + 1, sizeof(*processes));
    struct size_of *sizes = sizes_by_shmid(&m->now);
    size_t n = 0;
    int r = sorted && processes && sizes ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++)
        sorted[i] = all->processes[i];
    if (r == 0 && count > 0)
        qsort(sorted, count, sizeof(struct shmd_attachment *), compare_pids);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_attachment(m, sorted[i], size_of_shmid(sizes, m->now.n, sorted[i]->shmid),
                           processes, &n);
    free(sorted);
    free(sizes);
    if (r < 0) {
        free_processes(processes, n);
        return r;
    }
    free_processes(m->processes, m->n_processes);
    m->processes = processes;
    m->n_processes = n;
    return 0;
}

/* --- events, and what is wrong */

void top_model_event(struct top_model *m, const struct shmd_event *event)
{
    const struct shmd_segment *s = event->segment;
    const char *name = s ? s->name ? s->name : s->former_name : NULL;
    struct top_event *at = &m->events[m->n_events % TOP_EVENTS];
    *at = (struct top_event){
        .at_ms = event->at_ms,
        .kind = event->kind,
        .reason = event->reason,
        .missed = event->missed,
        .shmid = s ? s->shmid : -1,
        .size = s ? s->size : 0,
        .nattch = s ? s->nattch : 0,
    };
    snprintf(at->name, sizeof(at->name), "%s", name ? name : "");
    m->n_events++;
}

const struct top_event *top_model_event_at(const struct top_model *m, size_t age)
{
    if (age >= m->n_events || age >= TOP_EVENTS)
        return NULL;
    return &m->events[(m->n_events - 1 - age) % TOP_EVENTS];
}

void top_model_status(struct top_model *m, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->status, sizeof(m->status), format, arguments);
    va_end(arguments);
}
