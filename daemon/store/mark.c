#include "daemon/store/mark.h"

#include <endian.h>
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
    unsigned char salt[LOG_SALT_BYTES];
    uint32_t frames, zero;
    uint64_t check; /* of what precedes it: a mark may be damaged, too */
};

static uint64_t check_of(const struct image *image)
{
    static const uint64_t no_secret[2];
    return siphash(no_secret, image, offsetof(struct image, check));
}

static int refuse(struct store_sqlite *st, const char *why)
{
    snprintf(st->reason, sizeof(st->reason), "%s", why);
    return -EBADMSG;
}

int mark_open(struct store_sqlite *st, const char *path)
{
    st->mark = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (st->mark >= 0)
        return 0;
    int r = -errno;
    snprintf(st->reason, sizeof(st->reason), "opening the mark beside it: %s", strerror(-r));
    return r;
}

void mark_close(struct store_sqlite *st)
{
    if (st->mark >= 0)
        close(st->mark);
    st->mark = -1;
}

static int write_mark(const struct store_sqlite *st, const struct log_end *end)
{
    struct image image = {.frames = end->frames};
    memcpy(image.magic, magic, sizeof(magic));
    memcpy(image.salt, end->salt, sizeof(image.salt));
    image.check = check_of(&image);
    ssize_t n = pwrite(st->mark, &image, sizeof(image), 0);
    return n == (ssize_t)sizeof(image) ? 0 : n < 0 ? -errno : -EIO;
}

int mark_reset(struct store_sqlite *st)
{
    static const struct log_end none;
    int r = write_mark(st, &none);
    if (r < 0)
        snprintf(st->reason, sizeof(st->reason), "writing the mark beside it: %s", strerror(-r));
    return r;
}

/* --- the log, whose format is https://www.sqlite.org/fileformat2.html#the_write_ahead_log */

enum { HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24, PAGE_MAX = 65536 };

struct log {
    sqlite3_file *file;
    bool is_big_endian; /* what is summed up, not what is stored: that always is */
    uint32_t page_bytes;
    unsigned char salt[LOG_SALT_BYTES];
    uint32_t sum[2];
};

static uint32_t get32(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return be32toh(word);
}

static void sum_up(struct log *log, const unsigned char *data, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint32_t a = get32(data + i), b = get32(data + i + 4);
        log->sum[0] += (log->is_big_endian ? a : __builtin_bswap32(a)) + log->sum[1];
        log->sum[1] += (log->is_big_endian ? b : __builtin_bswap32(b)) + log->sum[0];
    }
}

static bool sum_is(const struct log *log, const unsigned char *stored)
{
    return get32(stored) == log->sum[0] && get32(stored + 4) == log->sum[1];
}

/* 1: LEN bytes were read, 0: there are not so many, or SQLite's failure as a negative errno. */
static int read_at(struct store_sqlite *st, const struct log *log, void *ret, int len,
                   sqlite3_int64 at)
{
    int code = log->file->pMethods->xRead(log->file, ret, len, at);
    if (code == SQLITE_IOERR_SHORT_READ)
        return 0;
    return code == SQLITE_OK ? 1 : database_errno(st->db, code);
}

/* As read_at(); 0 also for what is no header. */
static int read_header(struct store_sqlite *st, struct log *log)
{
    unsigned char header[HEADER_BYTES];
    *log = (struct log){0};
    int code = sqlite3_file_control(st->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log->file);
    if (code != SQLITE_OK)
        return database_errno(st->db, code);
    if (!log->file || !log->file->pMethods)
        return 0;
    int r = read_at(st, log, header, sizeof(header), 0);
    if (r != 1)
        return r;
    log->is_big_endian = header[3] & 1;
    log->page_bytes = get32(header + 8);
    memcpy(log->salt, header + 16, sizeof(log->salt));
    sum_up(log, header, 24);
    return (get32(header) & ~1u) == 0x377f0682 && log->page_bytes >= 512 &&
           log->page_bytes <= PAGE_MAX && sum_is(log, header + 24);
}

/* As read_at(); 0 also when one of the first COUNT frames is not as it was written. */
static int read_frames(struct store_sqlite *st, struct log *log, uint32_t count)
{
    sqlite3_int64 size = FRAME_HEADER_BYTES + (sqlite3_int64)log->page_bytes;
    unsigned char *frame CLEANUP(cleanup_free) = malloc((size_t)size);
    if (!frame)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int r = read_at(st, log, frame, (int)size, HEADER_BYTES + i * size);
        if (r != 1)
            return r;
        sum_up(log, frame, 8);
        sum_up(log, frame + FRAME_HEADER_BYTES, log->page_bytes);
        if (memcmp(frame + 8, log->salt, sizeof(log->salt)) != 0 || !sum_is(log, frame + 16))
            return 0;
    }
    return 1;
}

int mark_check(struct store_sqlite *st, bool must_be_there)
{
    struct image image;
    struct log log;
    ssize_t n = pread(st->mark, &image, sizeof(image), 0);
    if (n < 0) {
        snprintf(st->reason, sizeof(st->reason), "reading the mark beside it: %s", strerror(errno));
        return -errno;
    }
    if (n == 0 && !must_be_there)
        return 0;
    if (n == 0)
        return refuse(st, "the mark beside it is missing, so it may be an older state");
    if (n != sizeof(image) || memcmp(image.magic, magic, sizeof(magic)) != 0 ||
        image.check != check_of(&image))
        return refuse(st, "the mark beside it is damaged, so it may be an older state");
    if (image.frames == 0)
        return 0;
    int r = read_header(st, &log);
    if (r == 1)
        r = memcmp(log.salt, image.salt, sizeof(log.salt)) == 0
                ? read_frames(st, &log, image.frames)
                : 0;
    if (r < 0)
        snprintf(st->reason, sizeof(st->reason), "reading its log: %s", strerror(-r));
    if (r == 0)
        return refuse(st, "its log ends before what was committed: it is damaged, cut or deleted");
    return r < 0 ? r : 0;
}

/* --- following the log */

/* SQLite says after each commit how many frames there are. */
static int log_has_moved(void *context, sqlite3 *db, const char *name, int frames)
{
    /* Half a megabyte, copied back by the commit that fills it. */
    enum { FRAMES_MAX = 256 };
    struct store_sqlite *st = context;
    struct log log;
    int in_log, copied;
    st->log_has_moved = true;
    st->log_end.frames = (uint32_t)frames;
    if (!st->salt_is_known) {
        st->salt_is_known = read_header(st, &log) == 1;
        memcpy(st->log_end.salt, log.salt, sizeof(log.salt));
    }
    if (frames >= FRAMES_MAX &&
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied) ==
            SQLITE_OK &&
        in_log == copied) {
        st->log_end.frames = 0; /* the next commit begins the log anew, with another salt */
        st->salt_is_known = false;
    }
    return SQLITE_OK; /* it is committed, whatever became of the copy */
}

void mark_follow(struct store_sqlite *st)
{
    (void)sqlite3_wal_hook(st->db, log_has_moved, st);
}

void mark_put(struct store_sqlite *st)
{
    if (st->log_has_moved && write_mark(st, &st->log_end) < 0 && ftruncate(st->mark, 0) < 0)
        mark_close(st);
    st->log_has_moved = false;
}
