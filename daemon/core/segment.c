#include "daemon/core/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct segment *segment_new(void)
{
    return calloc(1, sizeof(struct segment));
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    free(segment->name);
    free(segment->other_name);
    free(segment->labels);
    free(segment);
}

int segment_copy_labels(const struct label *labels, size_t count, struct label **ret)
{
    if (count == 0) {
        *ret = NULL;
        return 0;
    }
    size_t bytes = count * sizeof(struct label);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(labels[i].key) + strlen(labels[i].value) + 2;
    struct label *copy = malloc(bytes);
    if (!copy)
        return -ENOMEM;
    char *text = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i].key = text;
        text = stpcpy(text, labels[i].key) + 1;
        copy[i].value = text;
        text = stpcpy(text, labels[i].value) + 1;
    }
    *ret = copy;
    return 0;
}

bool segment_has_labels(const struct segment *segment, const struct labels *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        bool found = false;
        for (size_t j = 0; j < segment->n_labels && !found; j++)
            found = strcmp(segment->labels[j].key, wanted->items[i].key) == 0 &&
                    strcmp(segment->labels[j].value, wanted->items[i].value) == 0;
        if (!found)
            return false;
    }
    return true;
}
