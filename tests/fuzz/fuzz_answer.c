/* SPDX-License-Identifier: MIT */
/*
 * What a client hears: whatever a line holds, decoding it ends in a message or a refusal, and what
 * is read without a tree is what the tree gives: the same id and text, the same segment, which is
 * told by writing it again.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/jsonrpc_client.h"
#include "tests/fuzz/fuzz.h"

static void write_answer(struct writer *w, const struct client_message *m)
{
    struct client_segment segment;
    bool created = false;
    MUST(m->kind == CLIENT_RESULT && m->has_id);
    MUST(jsonrpc_client_segment(m, &segment) == 0);
    writer_int(w, m->id);
    writer_value(w, m->text.text, m->text.len);
    writer_bool(w, segment.wire.holder_list);
    writer_bool(w, segment.wire.has_lifetime);
    segment_json_write(w, &segment.wire);
    writer_bool(w, jsonrpc_client_created(m, &created) == 0);
    writer_bool(w, created);
    client_segment_free(&segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_message m, tree;
    struct writer a, b;
    char *line = malloc(size > 0 ? size : 1);
    MUST(line);
    memcpy(line, data, size);
    if (jsonrpc_client_decode(line, size, &m) == 0) {
        if (m.plain) {
            MUST(jsonrpc_client_decode_tree(line, size, &tree) == 0);
            writer_init(&a);
            writer_init(&b);
            write_answer(&a, &m);
            write_answer(&b, &tree);
            MUST(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
            writer_deinit(&a);
            writer_deinit(&b);
            jsonrpc_client_free(&tree);
        }
        jsonrpc_client_free(&m);
    }
    free(line);
    return 0;
}
