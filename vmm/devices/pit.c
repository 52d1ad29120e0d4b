/* SPDX-License-Identifier: MIT */
/* The 8254: three counters over the virtual clock. */
#include "vmm/devices/pit.h"

#define MERGE_HZ 20000u

#define FIELD(member) DEVICE_FIELD(struct pit_counter, member, 0)
static const struct device_field fields[] = {
    FIELD(mode), FIELD(bcd), DEVICE_FIELD(struct pit_counter, access, 3),
    DEVICE_FIELD(struct pit_counter, gate, 1), FIELD(loaded), FIELD(running), FIELD(write_low),
    FIELD(write_high_next), FIELD(read_high_next), FIELD(count_latched), FIELD(status_latched),
    FIELD(latched_status), FIELD(latched), FIELD(reload),
    DEVICE_FIELD(struct pit_counter, count, 0x10000),
    DEVICE_FIELD(struct pit_counter, next, 0x10000),
    FIELD(start), FIELD(held),
};

static enum vmm_status loaded(void *device)
{
    const struct pit_counter *c = device;
    bool right = c->mode < 6 && c->access > 0 && c->access < 4 && c->count > 0 &&
                 c->count <= 0x10000 && c->next > 0 && c->next <= 0x10000;

    return right ? VMM_OK : VMM_BAD_IMAGE;
}

static const struct device_class pit_class = {
    .name = "pit", .version = 1, DEVICE_TABLE(fields),
    .loaded = loaded,
};

static bool is_periodic(const struct pit_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool is_triggered(const struct pit_counter *c)
{
    return c->mode == 1 || c->mode == 5;
}

static uint64_t now(const struct pit *pit)
{
    return clock_to_count(pit->clock, clock_now(pit->clock), PIT_HZ);
}

static uint32_t modulus(const struct pit_counter *c)
{
    return c->bcd ? 10000 : 0x10000;
}

static uint32_t to_bcd(uint32_t value)
{
    return value % 10 | (value / 10 % 10) << 4 | (value / 100 % 10) << 8 |
           (value / 1000 % 10) << 12;
}

static uint32_t from_bcd(uint32_t value)
{
    return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 +
           (value >> 12 & 15) * 1000;
}

/* Periods counted so far. */
static uint64_t counted(const struct pit_counter *c, uint64_t t)
{
    if (!c->running)
        return c->held;
    return t > c->start ? t - c->start : 0;
}

/* Brings a new count into effect at the end of the cycle during which it was written. */
static void sync(struct pit_counter *c, uint64_t t)
{
    uint64_t cycles;

    if (!c->reload || !c->running || t < c->start)
        return;
    cycles = (t - c->start) / c->count;
    if (!cycles)
        return;
    c->start += c->count;
    c->count = c->next;
    c->reload = 0;
}

static bool output(const struct pit_counter *c, uint64_t t)
{
    uint64_t d = counted(c, t);

    switch (c->mode) {
    case 0:
        return c->loaded && d >= c->count;
    case 1:
        return !(c->running && d < c->count);
    case 2:
        return !c->gate || !c->running || d % c->count != c->count - 1;
    case 3:
        return !c->gate || !c->running || d % c->count < (c->count + 1) / 2;
    default:
        return !(c->running && d == c->count);
    }
}

/* The count that a read gives. */
static uint16_t value(const struct pit_counter *c, uint64_t t)
{
    uint64_t d = counted(c, t);
    uint32_t n = c->count;
    uint32_t left;

    if (c->mode == 2) {
        left = n - (uint32_t)(d % n);
    } else if (c->mode == 3) {
        uint32_t part = (uint32_t)(d % n);
        uint32_t high = (n + 1) / 2;

        if (part >= high)
            part -= high;
        else if ((n & 1) && part)
            part--;
        left = (n & ~1u) - 2 * part;
    } else {
        left = (n + modulus(c) - (uint32_t)(d % modulus(c))) % modulus(c);
    }
    left %= modulus(c);
    return (uint16_t)(c->bcd ? to_bcd(left) : left);
}

/* Arms the timer for counter 0's next rising edge. */
static void schedule(struct pit *pit)
{
    const struct pit_counter *c = &pit->counter[0];
    uint64_t t = now(pit);
    uint64_t edge = 0;
    uint64_t deadline;
    uint64_t soonest = clock_now(pit->clock) + pit->clock->hz / MERGE_HZ;

    if (c->running && is_periodic(c))
        edge = t < c->start ? c->start + c->count : t - (t - c->start) % c->count + c->count;
    else if (c->running && c->mode == 0 && t < c->start + c->count)
        edge = c->start + c->count;
    else if (c->running && c->mode != 0 && t < c->start + c->count + (c->mode >= 4))
        edge = c->start + c->count + (c->mode >= 4);
    if (!edge) {
        clock_timer_set(pit->clock, &pit->timer, CLOCK_NEVER);
        return;
    }
    deadline = clock_from_count(pit->clock, edge, PIT_HZ);
    if (is_periodic(c) && c->count < PIT_HZ / MERGE_HZ && deadline < soonest)
        deadline = soonest;
    clock_timer_set(pit->clock, &pit->timer, deadline);
}

static void fire(void *device)
{
    struct pit *pit = device;
    struct pit_counter *c = &pit->counter[0];
    uint64_t t = now(pit);

    if (clock_timer_deadline(pit->clock, &pit->timer) != CLOCK_NEVER)
        return;
    sync(c, t);
    if (c->mode != 0)
        irq_set(&pit->irq, false);
    irq_set(&pit->irq, c->mode != 0 || output(c, t));
    schedule(pit);
}

/* A whole count has been written. */
static void load(struct pit *pit, unsigned which, uint32_t count)
{
    struct pit_counter *c = &pit->counter[which];
    uint64_t t = now(pit);

    sync(c, t);
    if (c->bcd)
        count = from_bcd(count);
    c->next = count ? count : modulus(c);
    c->loaded = 1;
    if (is_triggered(c) || (is_periodic(c) && c->running)) {
        c->reload = 1;
    } else {
        c->count = c->next;
        c->reload = 0;
        c->held = 0;
        c->start = t + 1;
        c->running = c->gate;
    }
    if (which == 0) {
        if (c->mode == 0)
            irq_set(&pit->irq, false);
        schedule(pit);
    }
}

static void set_gate(struct pit *pit, unsigned which, bool gate)
{
    struct pit_counter *c = &pit->counter[which];
    uint64_t t = now(pit);
    bool rises = gate && !c->gate;

    sync(c, t);
    if (!gate && c->gate && !is_triggered(c)) {
        c->held = is_periodic(c) ? 0 : counted(c, t);
        c->running = 0;
    }
    c->gate = gate;
    if (!rises || !c->loaded)
        return;
    if (is_periodic(c) || is_triggered(c)) {
        c->count = c->next;
        c->reload = 0;
        c->start = t + 1;
    } else {
        c->start = t - c->held;
    }
    c->running = 1;
}

static uint8_t status(const struct pit_counter *c, uint64_t t)
{
    bool null = !c->loaded || c->reload || (c->running && t < c->start);

    return (uint8_t)(output(c, t) << 7 | null << 6 | c->access << 4 | c->mode << 1 | c->bcd);
}

static void latch_count(struct pit_counter *c, uint64_t t)
{
    if (c->count_latched)
        return;
    c->latched = value(c, t);
    c->count_latched = 1;
}

static void read_back(struct pit *pit, uint8_t command)
{
    uint64_t t = now(pit);

    for (unsigned i = 0; i < 3; i++) {
        struct pit_counter *c = &pit->counter[i];

        if (!(command & (2u << i)))
            continue;
        sync(c, t);
        if (!(command & 0x20))
            latch_count(c, t);
        if (!(command & 0x10) && !c->status_latched) {
            c->latched_status = status(c, t);
            c->status_latched = 1;
        }
    }
}

static void write_control(struct pit *pit, uint8_t command)
{
    unsigned which = command >> 6;
    struct pit_counter *c = &pit->counter[which % 3];

    if (which == 3) {
        read_back(pit, command);
        return;
    }
    sync(c, now(pit));
    if (!(command & 0x30)) {
        latch_count(c, now(pit));
        return;
    }
    c->access = (command >> 4) & 3;
    c->mode = (command >> 1) & 7;
    if (c->mode > 5)
        c->mode -= 4;
    c->bcd = command & 1;
    c->loaded = c->running = c->reload = 0;
    c->held = 0;
    c->write_high_next = c->read_high_next = 0;
    c->count_latched = c->status_latched = 0;
    if (which == 0) {
        irq_set(&pit->irq, c->mode != 0);
        schedule(pit);
    }
}

static void write_count(struct pit *pit, unsigned which, uint8_t byte)
{
    struct pit_counter *c = &pit->counter[which];

    switch (c->access) {
    case 1:
        load(pit, which, byte);
        break;
    case 2:
        load(pit, which, (uint32_t)byte << 8);
        break;
    default:
        if (!c->write_high_next) {
            c->write_low = byte;
            c->write_high_next = 1;
            if (c->mode == 0 && c->running) { // the first byte stops the count
                c->held = counted(c, now(pit));
                c->running = 0;
            }
            break;
        }
        c->write_high_next = 0;
        load(pit, which, c->write_low | (uint32_t)byte << 8);
        break;
    }
}

static uint8_t read_count(struct pit *pit, unsigned which)
{
    struct pit_counter *c = &pit->counter[which];
    uint16_t count;
    bool high;

    sync(c, now(pit));
    if (c->status_latched) {
        c->status_latched = 0;
        return c->latched_status;
    }
    count = c->count_latched ? c->latched : value(c, now(pit));
    high = c->access == 2 || (c->access == 3 && c->read_high_next);
    if (c->access == 3)
        c->read_high_next = !c->read_high_next;
    if (c->access != 3 || high)
        c->count_latched = 0;
    return (uint8_t)(high ? count >> 8 : count);
}

static uint64_t pit_read(void *device, uint64_t offset, unsigned size)
{
    (void)size;
    return offset == 3 ? 0xff : read_count(device, (unsigned)offset);
}

static void pit_write(void *device, uint64_t offset, unsigned size, uint64_t byte)
{
    (void)size;
    if (offset == 3)
        write_control(device, (uint8_t)byte);
    else
        write_count(device, (unsigned)offset, (uint8_t)byte);
}

bool pit_output(struct pit *pit, unsigned counter)
{
    sync(&pit->counter[counter], now(pit));
    return output(&pit->counter[counter], now(pit));
}

/* Bit 4 toggles with each refresh request, every 15 us, whatever counter 1 is set to. */
static uint64_t control_read(void *device, uint64_t offset, unsigned size)
{
    struct pit *pit = device;

    (void)offset;
    (void)size;
    return pit->control | (now(pit) / 18 & 1) << 4 | (uint64_t)pit_output(pit, 2) << 5;
}

static void control_write(void *device, uint64_t offset, unsigned size, uint64_t byte)
{
    struct pit *pit = device;

    (void)offset;
    (void)size;
    pit->control = byte & 0x0f;
    set_gate(pit, 2, byte & 1);
}

void pit_reset(struct pit *pit)
{
    pit->control = 0;
    pit->counter[2].gate = 0;
    schedule(pit);
}

enum vmm_status pit_init(struct pit *pit, struct port_bus *ports, struct host_mutex *lock,
                         struct clock *clock, struct irq_hub *hub)
{
    enum vmm_status result;

    pit->clock = clock;
    clock_timer_init(&pit->timer, lock, fire, pit);
    if (!irq_connect(hub, &pit->irq, 0))
        return VMM_NO_MEMORY;
    for (unsigned i = 0; i < 3; i++) {
        pit->counter[i].device.class = &pit_class;
        pit->counter[i].device.instance = (uint8_t)i;
        device_reset(&pit->counter[i].device);
    }
    pit_reset(pit);
    pit->range = (struct bus_range){"pit", 0x40, 4, 1, lock, pit_read, pit_write, pit};
    pit->control_range = (struct bus_range){
        "port 61", 0x61, 1, 1, lock, control_read, control_write, pit,
    };
    result = port_bus_add(ports, &pit->range);
    return result == VMM_OK ? port_bus_add(ports, &pit->control_range) : result;
}
