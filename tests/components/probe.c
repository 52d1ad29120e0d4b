/* SPDX-License-Identifier: MIT */
/*
 * An attacker: a component without any authority and with one route (ROM "hello") tries to reach what it was not given, and to use up
 * what belongs to others. All of it must be refused, and the component must live on.
 */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/memory.h"
#include "framework/message.h"
#include "framework/parent.h"
#include "framework/session/device.h"
#include "framework/session/rom.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "framework/thread_self.h"
#include "lib/string.h"
#include "tests/components/check.h"

/* Is this slot one of those that doc/framework.md lists, or one that the start-up code filled? */
static bool is_known(uint32_t sel, uint32_t own_end)
{
    const struct component_info *info = component_info();
    uint32_t cpus = info->cpu_count, first = SEL_EVENT + cpus * SEL_EVENT_STRIDE;

    return sel <= SEL_HST || sel == SEL_EC || (sel >= SEL_CORE && sel < SEL_CORE + cpus) ||
           (sel >= SEL_PARENT && sel < SEL_PARENT + cpus) || (sel >= SEL_EVENT && sel < own_end) || (sel >= first && sel < own_end);
}

static unsigned usable(uint32_t sel)
{
    uint64_t message = 0, one = 1, used, limit, ticks, cpu = 0, flags = 0;
    uint32_t spare = slots_alloc(1);
    unsigned hits = 0;

    hits += hc_call_nowait(sel, &message) != ABI_BAD_CAPABILITY;
    hits += hc_up(sel) != ABI_BAD_CAPABILITY;
    hits += hc_down(sel, 0, 1) != ABI_BAD_CAPABILITY;
    hits += hc_delegate(sel, SEL_OBJ, 0, spare, &one, ABI_PERM_OBJ_ALL) != ABI_BAD_CAPABILITY;
    hits += hc_revoke(sel, 0, 1) != ABI_BAD_CAPABILITY;
    hits += hc_quota_query(sel, &used, &limit) != ABI_BAD_CAPABILITY;
    hits += hc_recall(sel) != ABI_BAD_CAPABILITY;
    hits += hc_sc_time(sel, &ticks) != ABI_BAD_CAPABILITY;
    hits += hc_ctrl_portal(sel, 0, 0) != ABI_BAD_CAPABILITY;
    hits += hc_assign_int(sel, &cpu, &flags) != ABI_BAD_CAPABILITY;
    hits += hc_create_sm(spare, sel, 0) != ABI_BAD_CAPABILITY;
    slots_free(spare, 1);
    return hits;
}

static void test_selectors(struct checks *c)
{
    uint32_t end = slots_alloc(1); // all that the start-up code took lies below
    unsigned found = 0;

    slots_free(end, 1);
    for (uint32_t sel = 0; sel <= ABI_SEL_MAX && !found; sel += sel < 8192 ? 1 : 61) {
        if (is_known(sel, end))
            continue;
        found = usable(sel);
        if (found)
            log_print("# selector %x is usable in %u ways", sel, found);
    }
    CHECK(c, !found, "no selector beyond the documented ones holds anything");
}

static void test_own_pd(struct checks *c)
{
    uint32_t slots = slots_alloc(2);
    uint64_t one = 1, used, limit;

    CHECK(c, hc_create_pd(slots, SEL_PD, ABI_PD_QUOTA_MIN) == ABI_BAD_CAPABILITY, "cannot make a PD");
    CHECK(c, hc_create_sc(slots, SEL_PD, SEL_EC, 127, 1000, 0) == ABI_BAD_CAPABILITY, "cannot make a scheduling context");
    CHECK(c, hc_quota_query(SEL_PD, &used, &limit) == ABI_BAD_CAPABILITY, "cannot control its own quota");
    CHECK(c, hc_create_space(slots, ABI_SPACE_DMA, SEL_PD) != ABI_OK, "cannot make a DMA space");
    CHECK(c, hc_delegate(SEL_HST, SEL_HST, 0x400, 0x10000, &one, ABI_PERM_MEM_ALL) == ABI_BAD_CAPABILITY,
          "cannot map its own memory twice");
    one = 1;
    CHECK(c, hc_delegate(SEL_OBJ, SEL_OBJ, SEL_PD, slots, &one, ABI_PERM_OBJ_ALL) == ABI_OK &&
                 hc_create_sc(slots + 1, slots, SEL_EC, 127, 1000, 0) == ABI_BAD_CAPABILITY,
          "a copy of a capability has no more permissions");
    slots_remove(slots, 2);
}

static void test_authority(struct checks *c)
{
    struct core_child_config config = {.ram = 4096, .kernel_frames = 8, .objects = 0, .priority = 1, .cpu_mask = 1, .label = "x"};
    struct core_platform platform;
    struct core_irq irq;
    uint32_t slot = slots_alloc(1), id;
    uint64_t size;

    CHECK(c, core_rom("config", slot, &size) == STATUS_DENIED, "no boot module from core");
    CHECK(c, core_log_read(slot, slot, &size) == STATUS_DENIED, "no log");
    CHECK(c, core_io_port(0, 0x70, 2) == STATUS_DENIED, "no ports");
    CHECK(c, core_io_mem(0xfed00000, 4096, ABI_CACHE_UC, slot, &size) == STATUS_DENIED, "no device memory");
    CHECK(c, core_irq(1, 0, 0, slot, &irq) == STATUS_DENIED, "no interrupt");
    CHECK(c, core_platform(&platform) == STATUS_DENIED, "no platform information");
    CHECK(c, core_pd_create(&config, &id) == STATUS_DENIED, "no child");
    for (uint32_t child = 0, bad = 0; child < 256; child++) {
        bad += core_pd_destroy(child | 1u << 16) != STATUS_DENIED;
        if (child == 255)
            CHECK(c, bad == 0, "cannot end others");
    }
    slots_free(slot, 1);
}

static void test_messages(struct checks *c)
{
    struct abi_utcb *utcb = utcb_self();
    unsigned bad = 0;

    for (uint64_t operation = 0; operation < 200; operation++)
        for (unsigned words = 0; words < 9; words++) {
            uint64_t message = words;

            memset(utcb->word, 0xff, 9 * 8);
            utcb->word[0] = operation;
            bad += hc_call(SEL_CORE + cpu_self(), &message) != ABI_OK || utcb->word[0] == STATUS_OK;
            message = words;
            memset(utcb->word, 0xff, 9 * 8);
            utcb->word[0] = operation == PARENT_EXIT ? 100 : operation;
            bad += hc_call(SEL_PARENT + cpu_self(), &message) != ABI_OK;
        }
    /* CORE_QUOTA needs no argument: 8 of the calls to core may succeed. */
    CHECK(c, bad == 8, "malformed messages are refused (%u)", bad);
    bad = 0;
    for (uint32_t id = 0; id < 3000; id++) {
        utcb->word[0] = PARENT_CLOSE;
        utcb->word[1] = id | 1u << 16;
        bad += request(SEL_PARENT + cpu_self(), 2, 0) == STATUS_OK;
    }
    CHECK(c, bad == 0, "others' sessions cannot be closed");
}

static void test_dataspaces(struct checks *c)
{
    struct mapping memory = {0};
    struct rom rom;
    uint32_t slot = slots_alloc(1);

    CHECK(c, hc_create_sm(slot, SEL_PD, 0) == ABI_OK, "a semaphore");
    CHECK(c, core_attach(slot, SPACE_END, 0, 4096, ABI_PERM_MEM_R) != STATUS_OK, "a semaphore of its own is no dataspace");
    CHECK(c, core_attach(SEL_CORE, SPACE_END, 0, 4096, ABI_PERM_MEM_R) != STATUS_OK, "core's portal is no dataspace");
    slots_remove(slot, 1);
    CHECK(c, memory_alloc(&memory, 8192, PAGE_SIZE) == STATUS_OK, "memory");
    CHECK(c, memory.physical == 0, "physical addresses are not told");
    CHECK(c, core_attach(memory.slot, SPACE_END, 4096, 8192, ABI_PERM_MEM_R) == STATUS_INVALID, "not beyond its end");
    CHECK(c, core_attach(memory.slot, SPACE_END, ~0xfffull, 8192, ABI_PERM_MEM_R) == STATUS_INVALID, "no wrap of the offset");
    CHECK(c, core_attach(memory.slot, ABI_USER_END, 0, 4096, ABI_PERM_MEM_R) == STATUS_INVALID, "no kernel address");
    CHECK(c, core_attach(memory.slot, ~0xfffull, 0, 8192, ABI_PERM_MEM_R) == STATUS_INVALID, "no wrap of the address");
    memory_free(&memory);
    CHECK(c, rom_open(&rom, "hello") == STATUS_OK, "the routed ROM opens");
    CHECK(c, core_attach(rom.memory.slot, SPACE_END, 0, 4096, ABI_PERM_MEM_W) == STATUS_DENIED, "a ROM is not writable");
    CHECK(c, core_ram_free(rom.memory.slot) == STATUS_DENIED, "a ROM cannot be freed");
    rom_close(&rom);
    CHECK(c, rom_open(&rom, "config") == STATUS_NOT_FOUND, "a configuration only if there is one");
}

static void test_routes(struct checks *c)
{
    struct session session;
    struct irq irq;
    struct rom rom;

    CHECK(c, rom_open(&rom, "init") == STATUS_DENIED, "no other ROM");
    CHECK(c, io_port_open(&session, 0x3f8, 8) == STATUS_DENIED, "no route to ports");
    CHECK(c, irq_open(&irq, 4, 0) == STATUS_DENIED, "no route to interrupts");
    CHECK(c, service_announce(slots_alloc(1)) != STATUS_OK, "cannot serve what is not configured");
}

static void test_quota(struct checks *c)
{
    static struct mapping pieces[64];
    unsigned first = 0, second = 0;

    while (first < 64 && memory_alloc(&pieces[first], 1 << 20, PAGE_SIZE) == STATUS_OK)
        first++;
    for (unsigned i = 0; i < first; i++)
        memory_free(&pieces[i]);
    while (second < 64 && memory_alloc(&pieces[second], 1 << 20, PAGE_SIZE) == STATUS_OK)
        second++;
    for (unsigned i = 0; i < second; i++)
        memory_free(&pieces[i]);
    CHECK(c, first > 0 && first <= 4 && first == second, "memory quota: %u MiB, and again %u", first, second);
}

static void test_kernel_quota(struct checks *c)
{
    uint32_t first = slots_alloc(8000);
    unsigned made = 0, again = 0;
    enum abi_status status = ABI_OK;

    while (made < 8000 && (status = hc_create_sm(first + made, SEL_PD, 0)) == ABI_OK)
        made++;
    CHECK(c, status == ABI_OUT_OF_MEMORY, "kernel memory quota ends after %u semaphores", made);
    CHECK(c, hc_remove(SEL_OBJ, first, 8000) == ABI_OK, "all destroyed at once");
    while (again < 8000 && hc_create_sm(first + again, SEL_PD, 0) == ABI_OK)
        again++;
    CHECK(c, again + 64 > made && again < made + 64, "and the memory is there again (%u)", again);
    slots_remove(first, 8000);
}

static void bump(void *argument)
{
    __atomic_add_fetch((unsigned *)argument, 1, __ATOMIC_SEQ_CST);
}

static void test_threads(struct checks *c)
{
    struct thread_config config = {.function = bump, .cpu = component_info()->cpu};
    static struct thread threads[64];
    static unsigned ran;
    unsigned started = 0, ended = 0;

    config.argument = &ran;
    for (unsigned i = 0; i < 300; i++) {
        if (thread_start(&threads[0], &config) != STATUS_OK)
            break;
        started++;
        ended += thread_join(&threads[0], 0) == STATUS_OK;
        thread_end(&threads[0]);
    }
    CHECK(c, started == 300 && ended == 300 && ran == 300, "300 threads, one after the other (%u, %u, %u)", started, ended, ran);
    for (started = 0; started < 64 && thread_start(&threads[started], &config) == STATUS_OK; started++)
        ;
    CHECK(c, started > 1 && started < 64, "objects quota: %u threads", started);
    for (unsigned i = 0; i < started; i++) {
        (void)!thread_join(&threads[i], 0);
        thread_end(&threads[i]);
    }
}

static void test_time(struct checks *c)
{
    uint32_t sm = slots_alloc(1);
    uint64_t start, took, khz = component_info()->tsc_khz;

    CHECK(c, hc_create_sm(sm, SEL_PD, 0) == ABI_OK, "a semaphore");
    start = tsc_now();
    CHECK(c, hc_down(sm, 0, start + 20 * khz) == ABI_TIMEOUT, "a deadline");
    took = tsc_now() - start;
    CHECK(c, took >= 20 * khz && took < 2000 * khz, "after 20 ms (%lu us)", took * 1000 / khz);
    slots_remove(sm, 1);
}

int main(void)
{
    struct checks checks = {0};

    test_selectors(&checks);
    test_own_pd(&checks);
    test_authority(&checks);
    test_messages(&checks);
    test_dataspaces(&checks);
    test_routes(&checks);
    test_quota(&checks);
    test_kernel_quota(&checks);
    test_threads(&checks);
    test_time(&checks);
    return checks_done(&checks);
}
