/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "daemon/store/encoding.h"
#include "daemon/store/journal_file.h"
#include "daemon/store/journal_scan.h"

void journal_reading_deinit(struct journal_reading *reading)
{
    contents_builder_deinit(&reading->builder);
}

int journal_read_header(const struct host *host, int fd, uint64_t size, struct journal_reading *ret)
{
    uint8_t bytes[HEADER_SIZE];
    *ret = (struct journal_reading){.end = HEADER_SIZE, .size = size};
    ssize_t got = journal_file_read(host, fd, bytes, sizeof(bytes), 0);
    if (got < 0)
        return (int)got;
    return header_decode(bytes, (size_t)got, &ret->header, ret->why, sizeof(ret->why));
}

/* Applies the records from the last whole change up to where SCAN is, which are one change. */
static int apply_change(struct journal_reading *reading, struct journal_scan *scan,
                        const char **ret_why)
{
    const uint8_t *at = scan->bytes + scan->kept, *end = scan->bytes + scan->next;
    int r = 0;
    while (r == 0 && at < end) {
        struct record_frame frame;
        struct decoded_record decoded;
        /* Its sum was found to be right. */
        if (record_find_unsummed(at, (size_t)(end - at), &frame) != RECORD_FOUND)
            return -EIO;
        r = record_decode(&frame, &decoded, ret_why);
        if (r == 0)
            r = contents_apply(&reading->builder, &decoded.record, ret_why);
        at += frame.size;
    }
    return r;
}

static const char *describe(enum record_found found, bool is_at_the_end)
{
    if (found == RECORD_CUT_OFF)
        return is_at_the_end ? "the file ends here" : "the file ends within a record";
    if (found == RECORD_BAD)
        return "no record begins like this";
    return "the sum does not match";
}

static int refuse(struct journal_reading *reading, uint64_t at, const char *why)
{
    snprintf(reading->why, sizeof(reading->why), "it is damaged at byte %" PRIu64 ": %s", at, why);
    return -EBADMSG;
}

/* Reads whole changes until there is no further one. RET_BAD_AT and RET_WHY say what stands there.
 */
static int read_changes(struct journal_reading *reading, struct journal_scan *scan,
                        uint64_t *ret_bad_at, const char **ret_why)
{
    uint64_t sum = 0;
    for (;;) {
        enum record_found found;
        struct record_frame frame = {0};
        *ret_bad_at = journal_scan_at(scan);
        int r = journal_scan_find(scan, reading->header.seed, sum, &found, &frame);
        if (r < 0)
            return r;
        if (found != RECORD_FOUND || !frame.has_right_sum) {
            *ret_why = describe(found, *ret_bad_at == scan->size);
            return 0;
        }
        sum = frame.sum;
        journal_scan_step(scan, &frame);
        if (frame.goes_on)
            continue;
        /* With the right sums, and yet none of ours: nothing here is to be trusted. */
        r = apply_change(reading, scan, ret_why);
        if (r == -EBADMSG)
            return refuse(reading, reading->end, *ret_why);
        if (r < 0)
            return r;
        if (reading->end < reading->header.committed &&
            journal_scan_at(scan) > reading->header.committed) {
            *ret_why = "what was acknowledged ends within a change";
            return 0;
        }
        reading->end = journal_scan_at(scan);
        reading->sum = sum;
        journal_scan_forget(scan);
    }
}

int journal_read_records(const struct host *host, int fd, struct journal_reading *reading)
{
    struct journal_scan scan CLEANUP(journal_scan_deinit) = {0};
    uint64_t bad_at;
    const char *why;
    journal_scan_init(&scan, host, fd, reading->size, HEADER_SIZE);
    int r = read_changes(reading, &scan, &bad_at, &why);
    if (r < 0)
        return r;
    if (reading->end < reading->header.committed)
        return refuse(reading, bad_at, why);
    r = contents_check_unique(&reading->builder, reading->header.seed, &why);
    return r == -EBADMSG ? refuse(reading, reading->end, why) : r;
}
