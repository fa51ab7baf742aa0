/* The seam to processes. */
#ifndef SHMD_SYS_PROCESS_H
#define SHMD_SYS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/limits.h"

struct process_ops {
    /* The name of process PID, made UTF-8; empty when it is gone or hidden. */
    void (*comm)(void *context, int32_t pid, char ret[COMM_MAX]);
    /* False only when there is surely no process PID (a pid that was reused counts as there). */
    bool (*may_exist)(void *context, int32_t pid);
};

struct process {
    const struct process_ops *ops;
    void *context;
};

extern const struct process_ops process_linux_ops;

#endif
