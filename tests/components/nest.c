/* SPDX-License-Identifier: MIT */
/*
 * A parent of its own: makes and ends children by core's interface, with its own quota, and gets all of it back each time: memory,
 * objects, kernel memory. It may not give what it does not have.
 */
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "tests/components/check.h"

#define ROUNDS 200u

static const struct core_child_config plain = {
    .ram = 512 << 10, .kernel_frames = 64, .objects = 8, .priority = 5, .cpu_mask = 1, .label = "crash-undefined"};

static bool same(const struct core_quota *a, const struct core_quota *b)
{
    return a->ram_used == b->ram_used && a->objects_used == b->objects_used && a->kernel_used == b->kernel_used &&
           a->ram_limit == b->ram_limit && a->objects_limit == b->objects_limit && a->kernel_limit == b->kernel_limit;
}

/* Kernel memory comes back after a grace period: give it some time. */
static bool settles(const struct core_quota *before, struct core_quota *after)
{
    uint32_t sm = slots_alloc(1);
    bool good = false;

    if (sm == SEL_NONE || hc_create_sm(sm, SEL_PD, 0) != ABI_OK)
        return false;
    for (unsigned i = 0; i < 100 && !good; i++) {
        good = core_quota(after) == STATUS_OK && same(before, after);
        if (!good)
            (void)hc_down(sm, 0, __builtin_ia32_rdtsc() + component_info()->tsc_khz);
    }
    slots_remove(sm, 1);
    return good;
}

static enum status round(uint32_t elf, uint32_t signal)
{
    uint32_t child;
    struct core_fault fault;
    enum status status = core_pd_create(&plain, &child);

    if (status != STATUS_OK)
        return status;
    status = core_pd_start(child, 0, elf);
    /* It faults at once, and that is signalled. */
    if (status == STATUS_OK && hc_down(signal, ABI_SM_ALL, 0) == ABI_OK)
        status = core_pd_status(child, &fault);
    if (status == STATUS_OK && fault.state != CHILD_FAULTED)
        status = STATUS_INVALID;
    return core_pd_destroy(child) == STATUS_OK ? status : STATUS_ABORTED;
}

static void test_limits(struct checks *c, uint32_t elf)
{
    struct core_child_config config = plain;
    uint32_t child;

    config.authority = AUTHORITY_DEVICE;
    CHECK(c, core_pd_create(&config, &child) == STATUS_DENIED, "no authority that it has not");
    config = plain;
    config.priority = component_info()->priority + 1;
    CHECK(c, core_pd_create(&config, &child) == STATUS_DENIED, "no priority above its own");
    config = plain;
    config.cpu_mask = ~component_info()->cpu_mask;
    CHECK(c, core_pd_create(&config, &child) == STATUS_DENIED, "no CPU that it has not");
    config = plain;
    config.ram = 1 << 30;
    CHECK(c, core_pd_create(&config, &child) == STATUS_QUOTA, "no more memory than its own");
    config = plain;
    config.objects = 100000;
    CHECK(c, core_pd_create(&config, &child) == STATUS_QUOTA, "no more objects than its own");
    config = plain;
    config.kernel_frames = 100000;
    CHECK(c, core_pd_create(&config, &child) == STATUS_QUOTA, "no more kernel memory than its own");
    config = plain;
    config.ram = 8 << 10;
    CHECK(c, core_pd_create(&config, &child) == STATUS_OK && core_pd_start(child, 0, elf) == STATUS_QUOTA &&
                 core_pd_destroy(child) == STATUS_OK, "a child without memory for its image");
}

static void idle(void *argument)
{
    (void)argument;
}

/* Its configuration says CPU 0. */
static void test_cpu(struct checks *c)
{
    struct thread_config config = {.function = idle, .cpu = 1};
    static struct thread thread;

    if (component_info()->cpu_count > 1)
        CHECK(c, thread_start(&thread, &config) == STATUS_DENIED, "no time on a CPU that it has not");
}

int main(void)
{
    struct checks checks = {0}, *c = &checks;
    struct core_quota before, after;
    uint32_t elf = slots_alloc(1), signal = slots_alloc(1);
    uint64_t size;
    unsigned good = 0;
    bool back;

    CHECK(c, hc_create_sm(signal, SEL_PD, 0) == ABI_OK && core_notify(signal) == STATUS_OK, "told of faults");
    CHECK(c, core_rom("test-crasher", elf, &size) == STATUS_OK, "a binary");
    CHECK(c, round(elf, signal) == STATUS_OK, "a child");
    test_limits(c, elf);
    test_cpu(c);
    CHECK(c, core_quota(&before) == STATUS_OK, "quota");
    for (unsigned i = 0; i < ROUNDS; i++)
        good += round(elf, signal) == STATUS_OK;
    CHECK(c, good == ROUNDS, "%u children, one after the other (%u)", ROUNDS, good);
    back = settles(&before, &after);
    CHECK(c, back, "all quota is back: memory %lu/%lu, objects %lu/%lu, kernel %lu/%lu", before.ram_used,
          after.ram_used, before.objects_used, after.objects_used, before.kernel_used, after.kernel_used);
    return checks_done(&checks);
}
