#include "daemon/store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/siphash.h"

static const char magic[8] = {'s', 'h', 'm', 'd', 'm', 'a', 'r', 'k'};

/* The whole file, in the machine's byte order, for it is of no use after the boot. */
struct image {
    char magic[sizeof(magic)];
    uint64_t commits;
    uint64_t sum; /* of what precedes it: a mark may be damaged, too */
};

static uint64_t sum_of(const struct image *image)
{
    static const uint64_t no_secret[2];
    return siphash(no_secret, image, offsetof(struct image, sum));
}

static int fail(struct store_sqlite *st, const char *doing, int r)
{
    snprintf(st->reason, sizeof(st->reason), "%s the mark beside it: %s", doing, strerror(-r));
    return r;
}

static int refuse(struct store_sqlite *st, const char *why)
{
    snprintf(st->reason, sizeof(st->reason), "%s", why);
    return -EBADMSG;
}

int mark_open(struct store_sqlite *st, const char *path)
{
    st->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return st->mark < 0 ? fail(st, "opening", -errno) : 0;
}

void mark_close(struct store_sqlite *st)
{
    if (st->mark >= 0)
        close(st->mark);
    st->mark = -1;
}

int mark_check(struct store_sqlite *st)
{
    struct image image;
    ssize_t n = pread(st->mark, &image, sizeof(image), 0);
    if (n < 0)
        return fail(st, "reading", -errno);
    if (n == 0 && st->commits == 0)
        return 0; /* nobody was told of anything yet */
    if (n == 0)
        return refuse(st, "the mark beside it is missing, so it may be an older state");
    if (n != sizeof(image) || memcmp(image.magic, magic, sizeof(magic)) != 0 ||
        image.sum != sum_of(&image))
        return refuse(st, "the mark beside it is damaged, so it may be an older state");
    if (st->commits < image.commits)
        return refuse(st, "it lacks changes that were acknowledged: it, or its log, is an older "
                          "one, damaged, cut off or deleted");
    return 0;
}

int mark_put(struct store_sqlite *st)
{
    struct image image = {.commits = st->commits};
    memcpy(image.magic, magic, sizeof(magic));
    image.sum = sum_of(&image);
    ssize_t n = pwrite(st->mark, &image, sizeof(image), 0);
    return n == (ssize_t)sizeof(image) ? 0 : fail(st, "writing", n < 0 ? -errno : -EIO);
}
