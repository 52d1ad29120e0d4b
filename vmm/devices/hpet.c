/* SPDX-License-Identifier: MIT */
/* HPET: one counter over the virtual clock, three comparators. */
#include "vmm/devices/hpet.h"

#define PERIOD_FS    (1000000000000000ull / HPET_HZ)
#define CAPABILITIES \
    (PERIOD_FS << 32 | 0x8086ull << 16 | 1u << 15 | 1u << 13 | (HPET_TIMERS - 1) << 8 | 1)

#define CNF_ENABLE   1u
#define CNF_LEGACY   2u

#define TN_LEVEL     0x002u
#define TN_ENABLE    0x004u
#define TN_PERIODIC  0x008u
#define TN_CAN_PERIODIC 0x010u
#define TN_SIZE_64   0x020u
#define TN_SET_VALUE 0x040u
#define TN_MODE_32   0x100u
#define TN_ROUTE     0x3e00u
#define TN_WRITABLE  0x3f4eu  // with 32-bit mode, without FSB
#define TN_PINS      (0x00f00000ull << 32)

#define MERGE (HPET_HZ / 20000u)

#define FIELD(member) DEVICE_FIELD(struct hpet, member, 0)
static const struct device_field fields[] = {
    FIELD(config), FIELD(status), FIELD(offset),
    DEVICE_ARRAY(struct hpet, control, HPET_TIMERS, 0),
    DEVICE_ARRAY(struct hpet, comparator, HPET_TIMERS, UINT64_MAX),
    DEVICE_ARRAY(struct hpet, period, HPET_TIMERS, 0),
    DEVICE_ARRAY(struct hpet, seen, HPET_TIMERS, 0),
};

static uint64_t clock_count(const struct hpet *hpet)
{
    return clock_to_count(hpet->clock, clock_now(hpet->clock), HPET_HZ);
}

static uint64_t counter(const struct hpet *hpet)
{
    return hpet->config & CNF_ENABLE ? clock_count(hpet) + hpet->offset : hpet->offset;
}

static bool is_32(const struct hpet *hpet, unsigned n)
{
    return hpet->control[n] & TN_MODE_32;
}

/* Counts from `from` until timer n's comparator matches: at least 1. */
static uint64_t distance(const struct hpet *hpet, unsigned n, uint64_t from)
{
    uint64_t ticks = hpet->comparator[n] - from;

    if (is_32(hpet, n))
        return (uint32_t)ticks ? (uint32_t)ticks : 1ull << 32;
    return ticks ? ticks : UINT64_MAX;
}

static struct irq_line *line_of(struct hpet *hpet, unsigned n)
{
    unsigned pin = (hpet->control[n] & TN_ROUTE) >> 9;

    if ((hpet->config & CNF_LEGACY) && n < 2)
        return &hpet->legacy[n];
    if (pin < HPET_FIRST_PIN || pin >= HPET_FIRST_PIN + HPET_PINS)
        return NULL;
    return &hpet->line[n][pin - HPET_FIRST_PIN];
}

static void interrupt(struct hpet *hpet, unsigned n)
{
    struct irq_line *line = line_of(hpet, n);

    if (hpet->control[n] & TN_LEVEL)
        hpet->status |= 1u << n;
    if (!line || !(hpet->control[n] & TN_ENABLE))
        return;
    if (!(hpet->control[n] & TN_LEVEL))
        irq_set(line, false);
    irq_set(line, true);
    if (!(hpet->control[n] & TN_LEVEL))
        irq_set(line, false);
}

/* Level lines follow the status bits. */
static void update_lines(struct hpet *hpet)
{
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct irq_line *now = line_of(hpet, n);
        bool on = (hpet->control[n] & (TN_LEVEL | TN_ENABLE)) == (TN_LEVEL | TN_ENABLE) &&
                  (hpet->status & (1u << n));

        for (unsigned pin = 0; pin < HPET_PINS; pin++)
            irq_set(&hpet->line[n][pin], on && now == &hpet->line[n][pin]);
        if (n < 2)
            irq_set(&hpet->legacy[n], on && now == &hpet->legacy[n]);
    }
}

/* Matches since the last look. */
static void catch_up(struct hpet *hpet, unsigned n)
{
    uint64_t now = counter(hpet);
    uint64_t passed = now - hpet->seen[n];
    uint64_t until = distance(hpet, n, hpet->seen[n]);

    if (passed >= until) {
        uint64_t period = hpet->period[n];

        if ((hpet->control[n] & TN_PERIODIC) && period)
            hpet->comparator[n] += ((passed - until) / period + 1) * period;
        if (is_32(hpet, n))
            hpet->comparator[n] = (uint32_t)hpet->comparator[n];
        interrupt(hpet, n);
    }
    hpet->seen[n] = now;
}

static void schedule(struct hpet *hpet)
{
    uint64_t nearest = UINT64_MAX;
    uint64_t deadline = CLOCK_NEVER;

    for (unsigned n = 0; n < HPET_TIMERS && (hpet->config & CNF_ENABLE); n++) {
        uint64_t ticks = distance(hpet, n, hpet->seen[n]);

        if (!(hpet->control[n] & TN_ENABLE))
            continue;
        if ((hpet->control[n] & TN_PERIODIC) && hpet->period[n] < MERGE && ticks < MERGE)
            ticks = MERGE;
        nearest = ticks < nearest ? ticks : nearest;
    }
    if (nearest < 1ull << 62)
        deadline = clock_from_count(hpet->clock, clock_count(hpet) + nearest, HPET_HZ);
    clock_timer_set(hpet->clock, &hpet->timer, deadline);
}

static void update(struct hpet *hpet)
{
    for (unsigned n = 0; n < HPET_TIMERS && (hpet->config & CNF_ENABLE); n++)
        catch_up(hpet, n);
    update_lines(hpet);
    schedule(hpet);
}

static void fire(void *device)
{
    update(device);
}

/* In legacy mode the 8254 and the RTC are cut off from interrupts 0 and 8. */
static void route(struct hpet *hpet)
{
    for (unsigned i = 0; i < 2; i++)
        irq_mute(hpet->replaced[i], hpet->config & CNF_LEGACY);
}

static void write_config(struct hpet *hpet, uint64_t value)
{
    bool was = hpet->config & CNF_ENABLE;
    bool is = value & CNF_ENABLE;
    uint64_t now = counter(hpet);

    if (is && !was)
        hpet->offset = now - clock_count(hpet);
    else if (!is && was)
        hpet->offset = now;
    hpet->config = value & (CNF_ENABLE | CNF_LEGACY);
    route(hpet);
}

static void write_counter(struct hpet *hpet, uint64_t value)
{
    if (hpet->config & CNF_ENABLE)
        return; // undefined while counting; ignored here
    hpet->offset = value;
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        hpet->seen[n] = value;
}

static void write_control(struct hpet *hpet, unsigned n, uint64_t value)
{
    uint64_t writable = TN_WRITABLE & ~(n ? (uint64_t)(TN_PERIODIC | TN_SET_VALUE) : 0);

    hpet->control[n] = value & writable;
    if (is_32(hpet, n)) {
        hpet->comparator[n] = (uint32_t)hpet->comparator[n];
        hpet->period[n] = (uint32_t)hpet->period[n];
    }
}

/*
 * A periodic timer's comparator register takes the period; after SET_VALUE the comparator too
 * (2.3.9.2.2).
 */
static void write_comparator(struct hpet *hpet, unsigned n, uint64_t value)
{
    if (is_32(hpet, n))
        value = (uint32_t)value;
    if (!(hpet->control[n] & TN_PERIODIC) || (hpet->control[n] & TN_SET_VALUE))
        hpet->comparator[n] = value;
    if (hpet->control[n] & TN_PERIODIC)
        hpet->period[n] = value;
    hpet->control[n] &= ~(uint64_t)TN_SET_VALUE;
    hpet->seen[n] = counter(hpet);
}

static uint64_t read_register(struct hpet *hpet, uint64_t offset)
{
    unsigned n = (unsigned)(offset - 0x100) / 0x20;

    switch (offset) {
    case 0x00: return CAPABILITIES;
    case 0x10: return hpet->config;
    case 0x20: return hpet->status;
    case 0xf0: return counter(hpet);
    default:   break;
    }
    if (offset < 0x100 || n >= HPET_TIMERS)
        return 0;
    if ((offset & 0x1f) == 0)
        return hpet->control[n] | TN_PINS | TN_SIZE_64 | (n ? 0 : TN_CAN_PERIODIC);
    return (offset & 0x1f) == 8 ? hpet->comparator[n] : 0;
}

static void write_register(struct hpet *hpet, uint64_t offset, uint64_t value)
{
    unsigned n = (unsigned)(offset - 0x100) / 0x20;

    switch (offset) {
    case 0x10: write_config(hpet, value); return;
    case 0x20: hpet->status &= ~value; return;
    case 0xf0: write_counter(hpet, value); return;
    default:   break;
    }
    if (offset < 0x100 || n >= HPET_TIMERS)
        return;
    if ((offset & 0x1f) == 0)
        write_control(hpet, n, value);
    else if ((offset & 0x1f) == 8)
        write_comparator(hpet, n, value);
}

static uint64_t hpet_read(void *device, uint64_t offset, unsigned size)
{
    struct hpet *hpet = device;

    (void)size;
    update(hpet);
    return read_register(hpet, offset & ~7ull) >> (8 * (offset & 7));
}

/*
 * Half of a register, as 32-bit software writes it: the status is write-1-to-clear, its other
 * half must stay.
 */
static void hpet_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct hpet *hpet = device;
    uint64_t reg = offset & ~7ull;
    unsigned shift = (unsigned)(offset & 7) * 8;

    if (size < 4 || (size == 8 && shift) || (size == 4 && shift % 32))
        return;
    update(hpet);
    if (size == 4) {
        uint64_t old = reg == 0x20 ? 0 : read_register(hpet, reg);

        value = (old & ~(0xffffffffull << shift)) | value << shift;
    }
    write_register(hpet, reg, value);
    update(hpet);
}

static void reset(void *device)
{
    struct hpet *hpet = device;

    route(hpet);
    update(hpet);
}

static enum vmm_status loaded(void *device)
{
    reset(device);
    return VMM_OK;
}

static const struct device_class hpet_class = {
    .name = "hpet", .version = 1, DEVICE_TABLE(fields), .reset = reset, .loaded = loaded,
};

enum vmm_status hpet_init(struct hpet *hpet, struct memory_bus *memory, struct host_mutex *lock,
                          struct clock *clock, struct irq_hub *hub, struct irq_line *pit,
                          struct irq_line *rtc)
{
    bool connected = true;

    hpet->device.class = &hpet_class;
    hpet->clock = clock;
    hpet->replaced[0] = pit;
    hpet->replaced[1] = rtc;
    clock_timer_init(&hpet->timer, lock, fire, hpet);
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        for (unsigned pin = 0; pin < HPET_PINS; pin++)
            connected &= irq_connect(hub, &hpet->line[n][pin], HPET_FIRST_PIN + pin);
    connected &= irq_connect(hub, &hpet->legacy[0], 0) && irq_connect(hub, &hpet->legacy[1], 8);
    if (!connected)
        return VMM_NO_MEMORY;
    device_reset(&hpet->device);
    hpet->range = (struct bus_range){
        "hpet", HPET_BASE, 0x400, 8, lock, hpet_read, hpet_write, hpet,
    };
    return memory_bus_add(memory, &hpet->range);
}
