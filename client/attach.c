/* SPDX-License-Identifier: MIT */
/*
 * Where the library touches the kernel's segments itself: attaching, and handing a segment over for
 * adoption. Never before the daemon was found to be in the caller's IPC namespace: the same shmid
 * denotes another segment elsewhere.
 */
#include "client/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

int attach_check_namespace(struct shmd *shmd)
{
    if (!shmd->knows_daemon) {
        int r = shmd_info(shmd, NULL);
        if (r != 0)
            return r;
    }
    connection_begin(shmd);
    struct stat own;
    if (stat("/proc/self/ns/ipc", &own) < 0)
        return failure_set(shmd, -errno,
                           "cannot tell this process's IPC namespace: /proc/self/ns/ipc: %s",
                           strerror(errno));
    if (own.st_ino == shmd->daemon_namespace)
        return 0;
    return failure_set(shmd, -EXDEV,
                       "the daemon is in another IPC namespace (%" PRIu64
                       ") than this process (%" PRIu64
                       "), where its segment ids mean nothing: run both in the same container",
                       shmd->daemon_namespace, (uint64_t)own.st_ino);
}

/* An address that is a multiple of ALIGNMENT, and where SIZE bytes had room just now; NULL: no room
 * is left. */
static void *aligned_room(uint64_t size, uint64_t alignment)
{
    if (size > SIZE_MAX - alignment)
        return NULL;
    const size_t length = (size_t)(size + alignment);
    void *room = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    munmap(room, length);
    const uintptr_t past = (uintptr_t)room % (uintptr_t)alignment;
    return (char *)room + (past ? alignment - past : 0);
}

/* Another thread may take the room before shmat() does: then another is looked for. The size is the
 * kernel's, for that is what shmat() maps. */
static void *attach_aligned(int shmid, uint64_t alignment, int shmat_flags)
{
    enum { TRIES = 16 };
    struct shmid_ds ds;
    if (shmctl(shmid, IPC_STAT, &ds) < 0)
        return (void *)-1;
    for (int i = 0; i < TRIES; i++) {
        void *room = aligned_room(ds.shm_segsz, alignment);
        if (!room) {
            errno = ENOMEM;
            return (void *)-1;
        }
        void *address = shmat(shmid, room, shmat_flags);
        if (address != (void *)-1 || errno != EINVAL)
            return address;
    }
    return (void *)-1;
}

static int fail_to_attach(struct shmd *shmd, const struct shmd_segment *segment,
                          const struct shmd_attach_options *o, int r)
{
    const char *why = strerror(-r);
    if (r == -EIDRM || (r == -EINVAL && !o->address))
        why = "it is gone";
    else if (r == -EINVAL)
        why = "it is gone, or that address is taken or no multiple of the page size";
    return failure_set(shmd, r, "cannot attach to segment %d%s: %s", segment->shmid,
                       o->flags & SHMD_ATTACH_READONLY ? " for reading" : "", why);
}

int shmd_attach_with(struct shmd *shmd, const struct shmd_segment *segment,
                     const struct shmd_attach_options *options, void **ret_address)
{
    static const struct shmd_attach_options none;
    const struct shmd_attach_options *o = options ? options : &none;
    const int flags = o->flags & SHMD_ATTACH_READONLY ? SHM_RDONLY : 0;
    int r = option_flags(shmd, o->flags, SHMD_ATTACH_READONLY);
    if (r == 0)
        r = option_needed(shmd, segment, "the segment");
    if (r == 0)
        r = option_needed(shmd, ret_address, "ret_address");
    if (r == 0)
        r = attach_check_namespace(shmd);
    if (r != 0)
        return r;
    if (o->alignment & (o->alignment - 1))
        return failure_set(shmd, -EINVAL, "an alignment of %" PRIu64 " is no power of two",
                           o->alignment);
    if (o->alignment && o->address)
        return failure_set(shmd, -EINVAL, "an address and an alignment exclude each other");
    void *address = o->alignment ? attach_aligned(segment->shmid, o->alignment, flags)
                                 : shmat(segment->shmid, o->address, flags);
    if (address == (void *)-1)
        return fail_to_attach(shmd, segment, o, -errno);
    *ret_address = address;
    return 0;
}

int shmd_attach(struct shmd *shmd, const struct shmd_segment *segment, unsigned flags,
                void **ret_address)
{
    return shmd_attach_with(shmd, segment, &(struct shmd_attach_options){.flags = flags},
                            ret_address);
}

int shmd_detach(const void *address)
{
    return shmdt(address) < 0 ? -errno : 0;
}

/* --- adoption */

struct handover {
    bool done;
    int shmid;
    uint32_t uid; /* the owner before */
};

/* Only where it can be undone: an owner that is not also the creator would lose all rights. */
static int set_owner(int shmid, uint32_t uid, uint32_t *ret_former)
{
    struct shmid_ds ds;
    if (shmctl(shmid, IPC_STAT, &ds) < 0)
        return -errno;
    if (geteuid() != 0 && geteuid() != ds.shm_perm.cuid)
        return -EPERM;
    *ret_former = ds.shm_perm.uid;
    if (ds.shm_perm.uid == uid)
        return 0;
    ds.shm_perm.uid = uid;
    return shmctl(shmid, IPC_SET, &ds) < 0 ? -errno : 0;
}

/* The daemon may manage what it made, whoever owns it. Its owner in the kernel is then the owner of
 * record, so that must stay. */
static bool is_made_by(int shmid, uint32_t uid)
{
    struct shmid_ds ds;
    return shmctl(shmid, IPC_STAT, &ds) == 0 && ds.shm_perm.cuid == uid;
}

/* Makes the daemon the owner. If the kernel refuses that, so will the daemon, with a reason: it is
 * no failure here. */
static struct handover hand_over(const struct shmd *shmd, const struct shmd_adopt_options *o)
{
    struct handover h = {.shmid = o->has_shmid ? o->shmid : shmget((key_t)o->key, 0, 0)};
    if (h.shmid >= 0 && !is_made_by(h.shmid, shmd->daemon_uid) &&
        set_owner(h.shmid, shmd->daemon_uid, &h.uid) == 0)
        h.done = h.uid != shmd->daemon_uid;
    return h;
}

static void take_back(const struct handover *h)
{
    uint32_t former;
    if (h->done)
        (void)set_owner(h->shmid, h->uid, &former);
}

int shmd_adopt(struct shmd *shmd, const struct shmd_adopt_options *options,
               struct shmd_segment **ret_segment)
{
    static const struct shmd_adopt_options none;
    const struct shmd_adopt_options *o = options ? options : &none;
    union params params = {.adopt = {
                               .shmid = {o->has_shmid, o->shmid},
                               .key = {o->key != 0, o->key},
                               .name = o->name,
                               .lifetime = option_word((int)o->lifetime),
                               .ttl_ms = {o->ttl_ms != 0, o->ttl_ms},
                           }};
    int r = option_is_one_of(shmd, "lifetime", (int)o->lifetime, lifetime_words);
    if (r == 0)
        r = option_labels(shmd, o->labels, o->n_labels, &params.adopt.labels);
    if (r == 0)
        r = attach_check_namespace(shmd);
    if (r == 0)
        r = held_make_room(shmd);
    if (r != 0)
        return r;
    struct handover handover = hand_over(shmd, o);
    r = connection_call(shmd, METHOD_ADOPT, &params, 0);
    /* When the answer is lost the daemon may manage it by now: the owner must stay. */
    if (r > 0)
        take_back(&handover);
    if (r == 0)
        r = result_reply_segment(shmd, ret_segment);
    if (r == 0)
        held_add_reply(shmd);
    return r;
}
