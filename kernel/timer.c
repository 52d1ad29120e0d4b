/* SPDX-License-Identifier: MIT */
/* The one-shot timer, and calibration against the 8254 (Intel 8254 data sheet; channel 2 through port 0x61 as on the IBM AT). */
#include "kernel/timer.h"

#include "kernel/cpu.h"
#include "kernel/io.h"
#include "kernel/local_apic.h"
#include "kernel/msr.h"

#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42u
#define PIT_COMMAND  0x43u
#define PIT_GATE     0x61u
#define PIT_OUTPUT   0x20u
#define CALIBRATION_TICKS (PIT_HZ / 50) // 20 ms

/* Constant once calibrated. */
static uint64_t tsc_khz;
static uint64_t apic_per_tsc; // 32.32

struct sample {
    uint64_t tsc;
    uint32_t pit, apic;
};

static struct sample sample_once(uint64_t *width)
{
    uint64_t before = tsc_now();
    io_out8(PIT_COMMAND, 0x80); // latch channel 2
    uint32_t low = io_in8(PIT_CHANNEL2);
    uint32_t pit = (uint32_t)io_in8(PIT_CHANNEL2) << 8 | low;
    uint32_t apic = local_apic_read(APIC_CURRENT_COUNT);
    uint64_t after = tsc_now();
    *width = after - before;
    return (struct sample){before + (after - before) / 2, pit, apic};
}

/* The tightest of a few readings: others were held up between the clocks. */
static struct sample sample_clocks(void)
{
    uint64_t best = ~0ull, width;
    struct sample s = {0, 0, 0};
    for (unsigned i = 0; i < 8; i++) {
        struct sample t = sample_once(&width);
        if (width < best) {
            best = width;
            s = t;
        }
    }
    return s;
}

void timer_calibrate(void)
{
    struct sample from, to;
    do {
        io_out8(PIT_GATE, (io_in8(PIT_GATE) & 0xfc) | 1);
        io_out8(PIT_COMMAND, 0xb0); // channel 2, both bytes, mode 0: its output rises at the end
        io_out8(PIT_CHANNEL2, 0xff);
        io_out8(PIT_CHANNEL2, 0xff);
        local_apic_write(APIC_INIT_COUNT, 0xffffffff);
        from = sample_clocks();
        do
            to = sample_clocks();
        while (from.pit - to.pit < CALIBRATION_TICKS);
    } while (io_in8(PIT_GATE) & PIT_OUTPUT); // held up for so long that the counter went round
    local_apic_write(APIC_INIT_COUNT, 0);
    uint64_t pit = from.pit - to.pit, tsc = to.tsc - from.tsc, apic = from.apic - to.apic;
    tsc_khz = (tsc * PIT_HZ / pit + 500) / 1000;
    apic_per_tsc = (apic << 32) / tsc;
}

uint64_t timer_khz(void)
{
    return tsc_khz;
}

void timer_arm(uint64_t deadline)
{
    if (cpu_self()->tsc_deadline) {
        msr_write(MSR_TSC_DEADLINE, deadline ? deadline : 1);
        return;
    }
    uint64_t now = tsc_now(), ticks = 1;
    if (deadline > now) {
        unsigned __int128 t = (unsigned __int128)(deadline - now) * apic_per_tsc >> 32;
        ticks = t < 1 ? 1 : t > 0xffffffff ? 0xffffffff : (uint64_t)t;
    }
    local_apic_write(APIC_INIT_COUNT, (uint32_t)ticks);
}
