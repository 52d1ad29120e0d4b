/* SPDX-License-Identifier: MIT */
/* Clock, buses, memory, interrupt lines, device state. */
#include "tests/vmm/fake_host.h"
#include "tests/unit/tap.h"
#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/memory.h"

#include <stdlib.h>
#include <string.h>

struct fired {
    struct clock *clock;
    struct clock_timer timer;
    uint64_t at[16];
    unsigned count;
    uint64_t again;
};

static void fire(void *owner)
{
    struct fired *f = owner;

    f->at[f->count++ % 16] = clock_now(f->clock);
    if (f->again)
        clock_timer_set(f->clock, &f->timer, clock_now(f->clock) + f->again);
}

static void test_clock(void)
{
    struct host *host = fake_host_new(0);
    struct clock clock;
    struct fired a = {.clock = &clock}, b = {.clock = &clock}, c = {.clock = &clock, .again = 300};
    unsigned calls;

    ok(clock_init(&clock, host) == VMM_OK, "clock starts");
    is_u64(clock_now(&clock), 0, "at 0");
    clock_timer_init(&a.timer, NULL, fire, &a);
    clock_timer_init(&b.timer, NULL, fire, &b);
    clock_timer_init(&c.timer, NULL, fire, &c);
    clock_timer_set(&clock, &a.timer, 5000);
    clock_timer_set(&clock, &b.timer, 3000);
    clock_timer_set(&clock, &c.timer, 100);
    fake_host_pass(host, &clock, 1000);
    is_u64(c.count, 4, "a timer that arms itself fires each period: 100, 400, 700, 1000");
    is_u64(c.at[3], 1000, "exactly at its deadline");
    c.again = 0;
    fake_host_pass(host, &clock, 2500);
    is_u64(b.count == 1 ? b.at[0] : 0, 3000, "the second one at its own");
    clock_timer_set(&clock, &a.timer, CLOCK_NEVER - 1);
    fake_host_pass(host, &clock, 100);
    is_u64(a.count, 0, "a deadline at the end of time does not wrap");
    clock_timer_set(&clock, &a.timer, CLOCK_NEVER);
    fake_host_pass(host, &clock, 4900);
    is_u64(a.count, 0, "a disarmed one never");

    calls = host->timer_calls;
    clock_timer_set(&clock, &a.timer, clock_now(&clock) + 1000);
    clock_timer_set(&clock, &b.timer, clock_now(&clock) + 2000);
    is_u64(host->timer_calls - calls, 1, "a later deadline does not bother the host");

    clock_pause(&clock);
    host->ticks += 100000;
    clock_run(&clock);
    is_u64(a.count, 0, "nothing fires while paused");
    is_u64(clock_now(&clock), 8500, "and the clock stands");
    clock_resume(&clock);
    fake_host_pass(host, &clock, 1500);
    is_u64(a.count == 1 ? a.at[0] : 0, 9500, "after the pause deadlines have moved along");
    is_u64(clock_to_count(&clock, clock_from_count(&clock, 123456789, 3579545), 3579545), 123456789,
           "conversion there and back");
    is_u64(clock_muldiv(UINT64_MAX, 10, 20), UINT64_MAX / 2, "128-bit product");
    is_u64(clock_muldiv(UINT64_MAX, 10, 2), UINT64_MAX, "saturates");
    fake_host_free(host);
}

static uint64_t last[4]; // offset, size, value, reads

static uint64_t read_register(void *device, uint64_t offset, unsigned size)
{
    (void)device;
    last[0] = offset;
    last[1] = size;
    last[3]++;
    return 0xa0 + offset;
}

static void write_register(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)device;
    last[0] = offset;
    last[1] = size;
    last[2] = last[2] << 8 | value;
}

static void test_ports(void)
{
    static struct port_bus bus;
    const struct bus_range eight = {"a", 0x100, 4, 1, NULL, read_register, write_register, NULL};
    const struct bus_range four = {"b", 0x104, 8, 4, NULL, read_register, write_register, NULL};
    const struct bus_range over = {"c", 0x103, 2, 1, NULL, read_register, write_register, NULL};
    const struct bus_range top = {"d", 0xffff, 1, 1, NULL, read_register, NULL, NULL};
    const struct bus_range out = {"e", 0xffff, 2, 1, NULL, read_register, NULL, NULL};

    port_bus_init(&bus);
    ok(port_bus_add(&bus, &eight) == VMM_OK && port_bus_add(&bus, &four) == VMM_OK, "two ranges");
    ok(port_bus_add(&bus, &over) == VMM_OVERLAP, "an overlap is refused");
    ok(port_bus_add(&bus, &out) == VMM_BAD_RANGE, "so is the end of port space");
    ok(port_bus_add(&bus, &top) == VMM_OK, "the last port");
    is_u64(port_bus_read(&bus, 0x50, 4), 0xffffffff, "unclaimed: all ones");
    is_u64(port_bus_read(&bus, 0x100, 2), 0xa1a0, "16 bits of an 8-bit device: two cycles");
    is_u64(port_bus_read(&bus, 0x104, 4), 0xa0, "32 bits of a 32-bit device: one");
    is_u64(port_bus_read(&bus, 0x103, 2), 0xa0a3, "over a border: bytes of both");
    is_u64(port_bus_read(&bus, 0xfffe, 4), 0xffa0ff | 0xff000000, "over the end: wraps to port 0");
    last[2] = 0;
    port_bus_write(&bus, 0x101, 2, 0x1234);
    is_u64(last[2], 0x3412, "a split write, low byte first");
    port_bus_remove(&bus, &four);
    is_u64(port_bus_read(&bus, 0x104, 4), 0xffffffff, "removed");
    ok(port_bus_add(&bus, &four) == VMM_OK, "and added again");
}

static void test_memory_bus(void)
{
    static struct memory_bus bus;
    struct bus_range ranges[BUS_RANGES];
    const struct bus_range over = {"o", 0x10800, 0x1000, 4, NULL, read_register, NULL, NULL};
    const struct bus_range more = {"m", 0xf0000000, 0x1000, 4, NULL, read_register, NULL, NULL};
    bool right = true;

    memory_bus_init(&bus);
    for (unsigned i = 0; i < BUS_RANGES; i++) {
        unsigned place = i * 37 % BUS_RANGES;

        ranges[i] = (struct bus_range){
            "r", 0x10000 + place * 0x2000, 0x1000, 4, NULL, read_register, write_register, NULL,
        };
        right &= memory_bus_add(&bus, &ranges[i]) == VMM_OK;
        if (i == 0)
            ok(memory_bus_add(&bus, &over) == VMM_OVERLAP, "an overlap is refused");
    }
    ok(right, "as many ranges as fit, in any order");
    ok(memory_bus_add(&bus, &more) == VMM_NO_MEMORY, "and no more");
    for (unsigned i = 0; i < BUS_RANGES; i++) {
        right &= memory_bus_read(&bus, 0x10004 + i * 0x2000, 4) == 0xa4;
        right &= memory_bus_read(&bus, 0x11000 + i * 0x2000, 4) == 0xffffffff;
    }
    ok(right, "each is found, the gaps are not");
    is_u64(memory_bus_read(&bus, 0x10000, 8), 0xa7a6a5a4a3a2a1a0, "8 bytes of a 4-byte device");
    is_u64(memory_bus_read(&bus, UINT64_MAX - 3, 8), UINT64_MAX, "the end of the address space");
    memory_bus_remove(&bus, &ranges[5]);
    is_u64(memory_bus_read(&bus, ranges[5].first, 4), 0xffffffff, "removed");
    is_u64(memory_bus_read(&bus, ranges[6].first, 4), 0xa0, "the others stay");
}

static void test_memory(void)
{
    struct host *host = fake_host_new(32 << 20);
    struct memory memory;
    struct memory_e820_entry map[16];
    uint8_t pattern[8192], back[8192];

    host->chunks = 3;
    ok(memory_init(&memory, host, 24 << 20) == VMM_OK, "24 MiB of three chunks");
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7);
    uint64_t border = memory.piece[1].gpa;

    ok(memory_write(&memory, border - 100, pattern, 8192), "write over a border");
    ok(memory_read(&memory, border - 100, back, 8192) && !memcmp(pattern, back, 8192), "read back");
    ok(!memory_pointer(&memory, border - 100, 200), "no pointer over a border");
    ok(memory_pointer(&memory, border, 4096) != NULL, "a pointer inside");
    ok(!memory_pointer(&memory, 0, 0), "no pointer to nothing");
    ok(!memory_is_ram(&memory, (24 << 20) - 1, 2), "the end is the end");
    ok(!memory_is_ram(&memory, UINT64_MAX - 1, 4), "no wrap");
    ok(!memory_is_ram(&memory, 0, UINT64_MAX), "no wrap by size");
    ok(memory_fill(&memory, border, 0, 4096), "fill");
    ok(!memory_write(&memory, (24 << 20) - 4, pattern, 8), "a write that does not fit");
    ok(memory_read(&memory, (24 << 20) - 4, back, 4), "and so");
    ok(!memcmp(back, "\0\0\0\0", 4), "writes nothing");
    ok(memory_init(&memory, host, 24 << 20 | 1) == VMM_BAD_CONFIG, "size in pages");
    ok(memory_init(&memory, host, 64 << 20) == VMM_NO_MEMORY, "more than there is");
    ok(memory_init(&memory, host, 16 << 20) == VMM_OK, "less than there is");
    size_t n = memory_e820(&memory, 0x9fc00, 0x10000, map, 16);
    bool sorted = n > 3;

    for (size_t i = 1; i < n; i++)
        sorted &= map[i - 1].base + map[i - 1].size <= map[i].base;
    ok(sorted, "the E820 map is sorted and does not overlap");
    is_u64(map[0].size, 0x9fc00, "base memory");
    is_u64(map[2].base + map[2].size, (16 << 20) - 0x10000, "extended memory");
    fake_host_free(host);
}

/* A machine of 5 GiB; the host's memory is only reserved. */
static void test_high_memory(void)
{
    struct host *host = fake_host_new(0);
    struct memory memory;

    host->guest_size = 5ull << 30;
    host->guest = aligned_alloc(4096, host->guest_size);
    ok(memory_init(&memory, host, 5ull << 30) == VMM_OK, "5 GiB");
    is_u64(memory.low_end, 3ull << 30, "3 GiB below the hole");
    is_u64(memory.high_end, 6ull << 30, "2 GiB above 4 GiB");
    ok(!memory_is_ram(&memory, 0xc0000000, 1), "the hole");
    ok(memory_pointer(&memory, 0x100000000, 4096) == host->guest + (3ull << 30), "RAM goes on");
    ok(memory_init(&memory, host, 3ull << 30) == VMM_OK && memory.high_end == 1ull << 32, "3 GiB");
    fake_host_free(host);
}

static unsigned pic_calls, ioapic_calls;
static unsigned pic_last, ioapic_last;

static void count_pic(void *device, unsigned irq, bool level)
{
    (void)device;
    pic_calls++;
    pic_last = irq * 2 + level;
}

static void count_ioapic(void *device, unsigned pin, bool level)
{
    (void)device;
    ioapic_calls++;
    ioapic_last = pin * 2 + level;
}

static void test_lines(void)
{
    struct irq_hub hub;
    struct irq_line a = {0}, b = {0}, zero = {0}, high = {0}, none = {0};

    irq_hub_init(&hub);
    hub.pic = count_pic;
    hub.ioapic = count_ioapic;
    ok(irq_connect(&hub, &a, 9) && irq_connect(&hub, &b, 9) && irq_connect(&hub, &zero, 0) &&
       irq_connect(&hub, &high, 20), "connected");
    ok(!irq_connect(&hub, &none, 24), "there is no line 24");
    irq_set(&a, true);
    irq_set(&b, true);
    irq_set(&a, false);
    is_u64(pic_calls, 1, "shared lines: one edge");
    irq_set(&b, false);
    is_u64(pic_calls * 100 + pic_last, 200 + 18, "low when both are");
    irq_set(&zero, true);
    is_u64(pic_last * 100 + ioapic_last, 100 + 5, "interrupt 0: input 0, pin 2");
    pic_calls = 0;
    irq_set(&high, true);
    is_u64(pic_calls * 100 + ioapic_last, 41, "interrupt 20: the IOAPIC only");
    irq_set(&none, true);
    irq_mute(&zero, true);
    is_u64(ioapic_last, 4, "muted: low");
    irq_set(&zero, false);
    irq_set(&zero, true);
    is_u64(ioapic_last, 4, "and stays so");
    irq_mute(&zero, false);
    is_u64(ioapic_last, 5, "heard again");
}

struct sample {
    struct device device;
    uint8_t a;
    uint32_t b[3];
    uint64_t kept;
};

static const struct device_field sample_fields[] = {
    DEVICE_FIELD(struct sample, a, 7), DEVICE_ARRAY(struct sample, b, 3, 0x11223344),
    DEVICE_KEPT(struct sample, kept, 1),
};

static enum vmm_status sample_loaded(void *device)
{
    return ((struct sample *)device)->a == 99 ? VMM_BAD_IMAGE : VMM_OK;
}

static const struct device_class sample_class = {
    .name = "sample", .version = 3, DEVICE_TABLE(sample_fields), .loaded = sample_loaded,
};

static char dumped[512];

static void dump_line(void *context, const char *text)
{
    (void)context;
    strcat(strcat(dumped, text), "\n");
}

static void test_state(void)
{
    struct sample s = {.device = {.class = &sample_class, .instance = 2}, .kept = 5};
    uint8_t image[128];
    size_t size, used = 0;

    device_reset(&s.device);
    ok(s.a == 7 && s.b[2] == 0x11223344 && s.kept == 5, "reset: all but what is kept");
    s.b[1] = 0xdeadbeef;
    size = device_save(&s.device, image, sizeof(image));
    is_u64(size, device_state_size(&s.device), "saved");
    is_u64(device_save(&s.device, image, size - 1), 0, "unless there is no room");
    device_reset(&s.device);
    s.kept = 0;
    ok(device_load(&s.device, image, size, &used) == VMM_OK && used == size, "loaded");
    ok(s.b[1] == 0xdeadbeef && s.kept == 5, "as it was");
    for (size_t n = 0; n < size; n++)
        if (device_load(&s.device, image, n, &used) == VMM_OK)
            ok(false, "a short image of %zu bytes is taken", n);
    image[4] ^= 1;
    ok(device_load(&s.device, image, size, &used) == VMM_BAD_IMAGE, "another version is refused");
    image[4] ^= 1;
    image[size - 21] = 99;
    ok(device_load(&s.device, image, size, &used) == VMM_BAD_IMAGE, "the class refuses");
    s.a = 7;
    device_dump(&s.device, dump_line, NULL);
    is_str(dumped, "sample2.a = 7\nsample2.b = 11223344 deadbeef 11223344\nsample2.kept = 5\n",
           "dump");
}

int main(void)
{
    test_clock();
    test_ports();
    test_memory_bus();
    test_memory();
    test_high_memory();
    test_lines();
    test_state();
    return tap_done();
}
