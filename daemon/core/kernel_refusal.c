/* SPDX-License-Identifier: MIT */
#include "daemon/core/kernel_refusal.h"

#include <errno.h>

/* What a process of 64 bits can have mapped. */
#define ADDRESS_SPACE_MAX (UINT64_C(1) << 47)

static int limit(struct outcome_detail *detail, const char *what, uint64_t used, uint64_t max,
                 const char *hint)
{
    *detail = (struct outcome_detail){.what = what, .used = used, .max = max, .hint = hint};
    return OUTCOME_LIMIT_REACHED;
}

/* What was asked for, in the unit of the limit. */
static int asked_for(struct outcome_detail *detail, uint64_t requested, const char *unit,
                     uint64_t unit_bytes)
{
    detail->requested = requested;
    detail->unit = unit;
    detail->unit_bytes = unit_bytes;
    return OUTCOME_LIMIT_REACHED;
}

static uint64_t units_of(uint64_t size, uint64_t unit)
{
    return size / unit + (size % unit != 0);
}

static int refused_for_space(const struct core *core, const struct sysv_create *args,
                             struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits now;
    if (sysv->ops->limits(sysv->context, &now) < 0)
        return limit(detail, "kernel.shmmni", OUTCOME_UNKNOWN, OUTCOME_UNKNOWN,
                     "raise kernel.shmmni or kernel.shmall with sysctl -w, or remove segments");
    uint64_t pages = units_of(args->size, now.page_size);
    /* It may have been set to less than is in use. */
    uint64_t left = now.pages < now.shmall ? now.shmall - now.pages : 0;
    if (now.segments >= now.shmmni || pages <= left)
        return limit(detail, "kernel.shmmni", now.segments, now.shmmni,
                     core->counted.orphaned > 0 ? "remove segments that nobody needs any more "
                                                  "(shmdctl gc), or raise it with sysctl -w "
                                                  "kernel.shmmni=N"
                                                : "raise it with sysctl -w kernel.shmmni=N, or "
                                                  "remove segments (shmdctl list --all)");
    (void)limit(detail, "kernel.shmall", now.pages, now.shmall,
                "counted in pages: raise it with sysctl -w kernel.shmall=N, or remove segments");
    return asked_for(detail, pages, "pages", now.page_size);
}

static int refused_for_memory(const struct core *core, const struct sysv_create *args,
                              struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    uint64_t used = OUTCOME_UNKNOWN, max = OUTCOME_UNKNOWN;
    if (args->huge_page_size) {
        uint64_t total, unused;
        if (sysv->ops->huge_pages(sysv->context, args->huge_page_size, &total, &unused) == 0) {
            max = total;
            used = total - unused;
        }
        (void)limit(detail, "hugepages", used, max,
                    "counted in huge pages of that size: reserve more (vm.nr_hugepages), or ask "
                    "for less");
        return asked_for(detail, units_of(args->size, args->huge_page_size), "huge pages",
                         args->huge_page_size);
    }
    if (sysv->ops->memory(sysv->context, &used, &max) < 0)
        used = max = OUTCOME_UNKNOWN;
    (void)limit(detail, "memory", used, max,
                "more bytes than the machine can promise: ask for less, set noreserve, or see "
                "vm.overcommit_memory");
    return asked_for(detail, args->size, "bytes", 1);
}

int kernel_refusal_of_create(const struct core *core, const struct sysv_create *args, int r,
                             struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits now;
    switch (r) {
    case -ENOSPC: return refused_for_space(core, args, detail);
    case -ENOMEM: return refused_for_memory(core, args, detail);
    case -EPERM:
        if (!args->huge_page_size)
            return outcome_not_supported(
                detail, "System V shared memory: a seccomp filter or a security module forbids it "
                        "to the daemon");
        return outcome_denied(detail, "CAP_IPC_LOCK or vm.hugetlb_shm_group",
                              "the daemon may not use huge pages: put its group into "
                              "vm.hugetlb_shm_group or give the service CAP_IPC_LOCK");
    case -ENOSYS:
        return outcome_not_supported(
            detail, "System V shared memory: this kernel does not have it, or a seccomp filter "
                    "hides it from the daemon");
    case -EINVAL:
        if (sysv->ops->limits(sysv->context, &now) == 0 && args->size > now.shmmax) {
            (void)limit(
                detail, "kernel.shmmax", OUTCOME_UNKNOWN, now.shmmax,
                "the most bytes of one segment: raise it with sysctl -w kernel.shmmax=N, or "
                "ask for less");
            return asked_for(detail, args->size, "bytes", 1);
        }
        if (args->huge_page_size)
            return outcome_invalid(
                detail, "huge_page_size",
                "this kernel has no pages of that size: info lists huge_page_sizes");
        return outcome_invalid(detail, "size", "the kernel refuses this size");
    default: return r;
    }
}

int kernel_refusal_of_size(uint64_t size, struct outcome_detail *detail)
{
    const uint64_t max = ADDRESS_SPACE_MAX < SIZE_MAX ? ADDRESS_SPACE_MAX : SIZE_MAX;
    if (size <= max)
        return 0;
    limit(detail, "address-space", OUTCOME_UNKNOWN, max,
          "no process can attach so many bytes: ask for less");
    detail->requested = size;
    return OUTCOME_LIMIT_REACHED;
}

int kernel_refusal_of_lock(const struct core *core, uint64_t size, int r,
                           struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    if (r != -ENOMEM && r != -EPERM)
        return r;
    uint64_t max = OUTCOME_UNKNOWN;
    if (sysv->ops->memlock(sysv->context, &max) < 0)
        max = OUTCOME_UNKNOWN;
    (void)limit(
        detail, "RLIMIT_MEMLOCK", OUTCOME_UNKNOWN, max,
        "the daemon may not lock so much memory: raise LimitMEMLOCK of the service, or give it "
        "CAP_IPC_LOCK");
    return asked_for(detail, size, "bytes", 1);
}
