/* SPDX-License-Identifier: MIT */
#include "client/cli/near.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 31, SHORT = 6 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int small(char c)
{
    return tolower((unsigned char)c);
}

/* How many letters must be put in, taken out, changed or swapped with their neighbour to make one
 * of the other. Both have at most LONGEST letters. */
static unsigned distance_between(const char *a, const char *b)
{
    unsigned rows[3][LONGEST + 1]; /* the distances of the beginnings of A, from all of B's */
    size_t n = strlen(a), m = strlen(b);
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned changed = before[j - 1] + (small(a[i - 1]) != small(b[j - 1]));
            now[j] = least(changed, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && small(a[i - 1]) == small(b[j - 2]) &&
                small(a[i - 2]) == small(b[j - 1]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

void near_begin(struct near *near, const char *word)
{
    *near = (struct near){.word = word, .distance = LONGEST};
}

void near_try(struct near *near, const char *candidate)
{
    size_t length = strlen(near->word);
    if (length == 0 || length > LONGEST || strlen(candidate) > LONGEST)
        return;
    unsigned distance = distance_between(near->word, candidate);
    /* With two wrong letters a short word is as near to a word of another meaning. */
    if (distance < near->distance && distance <= (length <= SHORT ? 1 : 2)) {
        near->distance = distance;
        near->best = candidate;
    }
}

bool near_is_swapped(const char *a, const char *b)
{
    size_t at = 0;
    while (a[at] && small(a[at]) == small(b[at]))
        at++;
    return a[at] && a[at + 1] && b[at] && small(a[at]) == small(b[at + 1]) &&
           small(a[at + 1]) == small(b[at]) && strcasecmp(a + at + 2, b + at + 2) == 0;
}
