/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_clock.h"

static int64_t fake_realtime_ms(void *context)
{
    return ((const struct fake_clock *)context)->real_ms;
}

static int64_t fake_kernel_s(void *context)
{
    const struct fake_clock *c = context;
    return (c->real_ms - c->tick_lag_ms) / 1000;
}

static int64_t fake_boottime_ms(void *context)
{
    return ((const struct fake_clock *)context)->boot_ms;
}

static int64_t fake_monotonic_us(void *context)
{
    struct fake_clock *c = context;
    c->mono_us += c->mono_step_us;
    return c->mono_us;
}

static const struct clock_ops fake_clock_ops = {
    .realtime_ms = fake_realtime_ms,
    .kernel_s = fake_kernel_s,
    .boottime_ms = fake_boottime_ms,
    .monotonic_us = fake_monotonic_us,
};

void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){
        .clock = {&fake_clock_ops, c},
        .real_ms = 1700000000000,
        .boot_ms = 1000000,
    };
}

void fake_clock_advance(struct fake_clock *c, int64_t ms)
{
    c->real_ms += ms;
    c->boot_ms += ms;
}
