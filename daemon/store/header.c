/* SPDX-License-Identifier: MIT */
#include "daemon/store/header.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/store/bytes.h"
#include "daemon/util/siphash.h"

static const char magic[8] = {'s', 'h', 'm', 'd', 'j', 'r', 'n', 'l'};

enum { SUMMED_SIZE = HEADER_SIZE - 8 };

void header_encode(const struct header *header, uint8_t ret[static HEADER_SIZE])
{
    uint8_t *at = ret;
    const struct store_intent none = {0};
    const struct store_intent *intent = header->has_intent ? &header->intent : &none;
    char boot_id[BOOT_ID_SIZE] = "";
    memcpy(boot_id, header->boot_id, strnlen(header->boot_id, BOOT_ID_SIZE - 1));
    put_bytes(&at, magic, sizeof(magic));
    put_32(&at, HEADER_FORMAT);
    put_32(&at, 0);
    put_64(&at, header->seed[0]);
    put_64(&at, header->seed[1]);
    put_64(&at, header->ipc_namespace);
    put_bytes(&at, boot_id, sizeof(boot_id));
    put_64(&at, (uint64_t)header->records_since_at_ms);
    put_64(&at, header->committed);
    put_64(&at, (uint64_t)intent->at_s);
    put_64(&at, intent->size);
    put_32(&at, intent->key);
    put_32(&at, (uint32_t)intent->pid);
    put_64(&at, siphash(header->seed, ret, SUMMED_SIZE));
}

static bool is_boot_id(const char boot_id[static BOOT_ID_SIZE])
{
    size_t i = 0;
    while (i < BOOT_ID_SIZE && boot_id[i] > 0x20 && boot_id[i] < 0x7F)
        i++;
    return i < BOOT_ID_SIZE && boot_id[i] == '\0';
}

int header_decode(const uint8_t *bytes, size_t len, struct header *ret, char *why, size_t why_size)
{
    if (len < HEADER_SIZE) {
        snprintf(why, why_size, "it has %zu bytes, and a journal's header alone has %d", len,
                 HEADER_SIZE);
        return -EBADMSG;
    }
    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        snprintf(why, why_size, "it is not a journal of shmd");
        return -EBADMSG;
    }
    struct bytes_left left = {bytes + sizeof(magic), bytes + HEADER_SIZE, false};
    uint32_t format = get_32(&left);
    if (format != HEADER_FORMAT) {
        snprintf(why, why_size, "it has format %u, and this daemon knows format %d", format,
                 HEADER_FORMAT);
        return -EBADMSG;
    }
    struct header h = {0};
    uint32_t zero = get_32(&left);
    h.seed[0] = get_64(&left);
    h.seed[1] = get_64(&left);
    h.ipc_namespace = get_64(&left);
    get_bytes(&left, h.boot_id, BOOT_ID_SIZE);
    h.records_since_at_ms = (int64_t)get_64(&left);
    h.committed = get_64(&left);
    h.intent.at_s = (int64_t)get_64(&left);
    h.intent.size = get_64(&left);
    h.intent.key = get_32(&left);
    h.intent.pid = (int32_t)get_32(&left);
    h.has_intent = h.intent.pid != 0;
    if (get_64(&left) != siphash(h.seed, bytes, SUMMED_SIZE)) {
        snprintf(why, why_size, "its header is damaged: the sum does not match");
        return -EBADMSG;
    }
    if (zero != 0 || !is_boot_id(h.boot_id) || h.committed < HEADER_SIZE ||
        h.committed > INT64_MAX || (h.has_intent && store_check_intent(&h.intent))) {
        snprintf(why, why_size, "its header has values that no daemon writes");
        return -EBADMSG;
    }
    *ret = h;
    return 0;
}
