/* SPDX-License-Identifier: MIT */
/* Time that passes when the test says so, for struct clock_ops. */
#ifndef SHMD_TESTS_FAKES_FAKE_CLOCK_H
#define SHMD_TESTS_FAKES_FAKE_CLOCK_H

#include "daemon/sys/clock.h"

struct fake_clock {
    struct clock clock;  /* to be handed to what is tested */
    int64_t real_ms;     /* a test may set either: the wall clock jumps, boot time only rises */
    int64_t tick_lag_ms; /* how far the kernel\'s second is behind real_ms */
    int64_t boot_ms;
    int64_t mono_us;
    int64_t mono_step_us; /* how much later it is each time that the monotonic clock is read */
};

/* The wall clock at 1,700,000,000,000 and 1,000,000 ms after boot, so that they cannot be mixed up.
 */
void fake_clock_init(struct fake_clock *c);
/* Both clocks go on by MS. */
void fake_clock_advance(struct fake_clock *c, int64_t ms);

#endif
