/* SPDX-License-Identifier: MIT */
#include "client/cli/logind_conf.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* In the order of precedence. */
static const char *const directories[] = {"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd",
                                          "/usr/lib/systemd"};

enum { DROP_INS_MAX = 256, NAME_SIZE = 256 };

struct drop_in {
    char name[NAME_SIZE];
    size_t directory;
};

/* --- one file */

static char *trim(char *text)
{
    static const char blanks[] = " \t\r\n";
    text += strspn(text, blanks);
    size_t len = strlen(text);
    while (len > 0 && strchr(blanks, text[len - 1]))
        text[--len] = '\0';
    return text;
}

/* A text that is no boolean does not count, and the earlier value stays in force. */
static bool parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* Takes the setting out of a whole line; IN_LOGIN: whether it stands in the section [Login]. */
static void take_line(char *line, const char *path, bool *in_login, struct logind_conf *conf)
{
    char *text = trim(line);
    if (*text == '[') {
        *in_login = strcmp(text, "[Login]") == 0;
        return;
    }
    char *equals = strchr(text, '=');
    if (!*in_login || !equals)
        return;
    *equals = '\0';
    if (strcmp(trim(text), "RemoveIPC") == 0 && parse_bool(trim(equals + 1), &conf->remove_ipc))
        snprintf(conf->source, sizeof(conf->source), "%s", path);
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return *line == '#' || *line == ';';
}

/* Ends the line that begins at LINE, joined with those that continue it; where the next begins. */
static char *end_line(char *line)
{
    char *end = strchr(line, '\n');
    while (end && end > line && end[-1] == '\\' && !is_comment(line)) {
        end[-1] = end[0] = ' ';
        end = strchr(end, '\n');
    }
    if (!end)
        return NULL;
    *end = '\0';
    return end + 1;
}

/* False when there is no such file. */
static bool read_file(const char *root, const char *path, struct logind_conf *conf)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", root, path);
    FILE *file = fopen(full, "re");
    if (!file)
        return false;
    char *text = NULL;
    size_t size = 0;
    bool in_login = false;
    char *line = getdelim(&text, &size, '\0', file) > 0 ? text : NULL;
    while (line) {
        char *next = end_line(line);
        if (!is_comment(line))
            take_line(line, path, &in_login, conf);
        line = next;
    }
    free(text);
    fclose(file);
    return true;
}

/* --- the drop-ins */

static bool is_known(const struct drop_in *all, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0)
            return true;
    return false;
}

static bool is_conf(const char *name)
{
    size_t len = strlen(name);
    return *name != '.' && len > 5 && len < NAME_SIZE && strcmp(name + len - 5, ".conf") == 0;
}

static size_t add_directory(const char *root, size_t directory, struct drop_in *all, size_t count)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s%s/logind.conf.d", root, directories[directory]);
    DIR *dir = opendir(path);
    if (!dir)
        return count;
    size_t before = count;
    struct dirent *entry;
    while (count < DROP_INS_MAX && (entry = readdir(dir))) {
        if (!is_conf(entry->d_name) || is_known(all, before, entry->d_name))
            continue;
        strcpy(all[count].name, entry->d_name);
        all[count++].directory = directory;
    }
    closedir(dir);
    return count;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

void logind_conf_read(const char *root, struct logind_conf *ret)
{
    *ret = (struct logind_conf){.remove_ipc = true};
    char path[PATH_MAX];
    for (size_t i = 0; i < COUNT(directories); i++) {
        snprintf(path, sizeof(path), "%s/logind.conf", directories[i]);
        if (read_file(root, path, ret))
            break;
    }
    struct drop_in *all = calloc(DROP_INS_MAX, sizeof(*all));
    if (!all)
        return;
    size_t count = 0;
    for (size_t i = 0; i < COUNT(directories); i++)
        count = add_directory(root, i, all, count);
    qsort(all, count, sizeof(*all), compare_names);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/logind.conf.d/%s", directories[all[i].directory],
                 all[i].name);
        /* One that leads to /dev/null hides its namesakes and says nothing. */
        (void)read_file(root, path, ret);
    }
    free(all);
}
