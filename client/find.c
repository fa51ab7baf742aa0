/* SPDX-License-Identifier: MIT */
/*
 * Where daemons have their sockets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/internal.h"

#define SYSTEM_SOCKET "/run/shmd/shmd.sock"
#define USER_SOCKET   "shmd/shmd.sock" /* below $XDG_RUNTIME_DIR */

enum { FIRST_USER_UID = 1000 };

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Copies PATH, which is LEN bytes as snprintf() has it; "" is none. */
static int give(const char *path, int len, char *ret_path, size_t size)
{
    if (!ret_path)
        return -EINVAL;
    if (len < 0 || (size_t)len >= size)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, (size_t)len + 1);
    return 0;
}

int shmd_instance_path(enum shmd_instance instance, char *ret_path, size_t size)
{
    char path[4096];
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    if (instance == SHMD_INSTANCE_SYSTEM)
        return give(SYSTEM_SOCKET, (int)strlen(SYSTEM_SOCKET), ret_path, size);
    if (instance != SHMD_INSTANCE_USER)
        return -EINVAL;
    if (!runtime || !*runtime)
        return -ENXIO;
    int len = snprintf(path, sizeof(path), "%s/" USER_SOCKET, runtime);
    return (size_t)len >= sizeof(path) ? -ENAMETOOLONG : give(path, len, ret_path, size);
}

bool find_lacks_runtime_directory(void)
{
    const char *given = secure_getenv("SHMD_SOCKET"), *runtime = secure_getenv("XDG_RUNTIME_DIR");
    return geteuid() >= FIRST_USER_UID && !(given && *given) && !(runtime && *runtime);
}

int shmd_socket_path(char *ret_path, size_t size)
{
    char own[4096];
    const char *given = secure_getenv("SHMD_SOCKET");
    if (!ret_path)
        return -EINVAL;
    if (given && *given)
        return strlen(given) < size ? give(given, (int)strlen(given), ret_path, size)
                                    : -ENAMETOOLONG;
    if (geteuid() >= FIRST_USER_UID &&
        shmd_instance_path(SHMD_INSTANCE_USER, own, sizeof(own)) == 0 && is_socket(own))
        return give(own, (int)strlen(own), ret_path, size);
    return shmd_instance_path(SHMD_INSTANCE_SYSTEM, ret_path, size);
}
