/* SPDX-License-Identifier: MIT */
#include "client/cli/declared_facts.h"

#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Takes the directory out of LINE when it is `segments_dir = DIRECTORY`. */
static void take_line(const char *line, char *dir, size_t size)
{
    static const char key[] = "segments_dir", blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    if (strncmp(line, key, strlen(key)) != 0)
        return;
    line += strlen(key);
    line += strspn(line, blanks);
    if (*line != '=' && *line != ':')
        return;
    line++;
    line += strspn(line, blanks);
    size_t len = strlen(line);
    while (len > 0 && strchr(blanks, line[len - 1]))
        len--;
    if (len > 0 && len < size)
        snprintf(dir, size, "%.*s", (int)len, line);
}

static void find_directory(const char *root, const char *config_dir, struct declared_facts *f)
{
    char path[PATH_MAX];
    char *line = NULL;
    size_t room = 0;
    snprintf(f->dir, sizeof(f->dir), "%s/segments.d", config_dir);
    snprintf(path, sizeof(path), "%s%s/shmd.conf", root, config_dir);
    FILE *file = fopen(path, "re");
    while (file && getline(&line, &room, file) >= 0)
        take_line(line, f->dir, sizeof(f->dir));
    free(line);
    if (file)
        fclose(file);
}

/* A sticky directory's files are replaced by their owners alone. */
static void check_writers(const char *root, const char *path, uint32_t owner,
                          struct declared_facts *f)
{
    char full[PATH_MAX];
    struct stat st;
    snprintf(full, sizeof(full), "%s%s", root, path);
    if (stat(full, &st) != 0)
        return;
    bool is_strangers = st.st_uid != 0 && st.st_uid != owner;
    bool is_open = (st.st_mode & S_IWOTH) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX));
    if (!is_strangers && !is_open)
        return;
    if (f->n_loose++ > 0)
        return;
    f->loose.mode = st.st_mode & 07777;
    f->loose.uid = st.st_uid;
    f->loose.is_strangers = is_strangers;
    snprintf(f->loose.path, sizeof(f->loose.path), "%s", path);
}

static size_t read_directory(const char *root, const char *dir, uint32_t owner,
                             struct declared_facts *f)
{
    char path[PATH_MAX];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s%s", root, dir);
    DIR *d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0) {
            count++;
            snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            check_writers(root, path, owner, f);
        }
    }
    if (d)
        closedir(d);
    return count;
}

static bool is_enabled(const char *root)
{
    static const char *const directories[] = {"/etc", "/run", "/usr/local/lib", "/usr/lib"};
    static const char *const kinds[] = {"wants", "requires"};
    enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    for (size_t i = 0; i < N_KINDS * sizeof(directories) / sizeof(directories[0]); i++) {
        char pattern[PATH_MAX];
        glob_t found;
        snprintf(pattern, sizeof(pattern), "%s%s/systemd/system/*.%s/shmd.service", root,
                 directories[i / N_KINDS], kinds[i % N_KINDS]);
        bool is_there = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
        globfree(&found);
        if (is_there)
            return true;
    }
    return false;
}

void declared_facts_read(const char *root, const char *config_dir, uint32_t owner,
                         struct declared_facts *ret)
{
    char path[PATH_MAX];
    struct stat st;
    *ret = (struct declared_facts){.n_files = 0};
    find_directory(root, config_dir, ret);
    check_writers(root, config_dir, owner, ret);
    snprintf(path, sizeof(path), "%s/shmd.conf", config_dir);
    check_writers(root, path, owner, ret);
    check_writers(root, ret->dir, owner, ret);
    ret->n_files = read_directory(root, ret->dir, owner, ret);
    snprintf(path, sizeof(path), "%s/run/systemd/system", root);
    ret->systemd_runs = stat(path, &st) == 0;
    ret->service_is_enabled = is_enabled(root);
}
