/* SPDX-License-Identifier: MIT */
/* Attacks on the kernel's interface. */
#include "tests/isolation/attacker.h"

#include "framework/core.h"
#include "framework/io.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "framework/thread_self.h"

#define SELECTORS 4096u
#define FLAGS_MAX 6u

uint64_t raw_hypercall(uint64_t target, const uint64_t argument[6])
{
    register uint64_t r8 __asm__("r8") = argument[3];
    register uint64_t r9 __asm__("r9") = argument[4];
    register uint64_t r10 __asm__("r10") = argument[5];
    uint64_t rsi = argument[0], rdx = argument[1], rax = argument[2];

    __asm__ volatile("syscall" : "+a"(rax), "+D"(target), "+S"(rsi), "+d"(rdx), "+r"(r8), "+r"(r9), "+r"(r10)
                     : : "rcx", "r11", "memory");
    return rax;
}

uint64_t random_argument(uint64_t *seed)
{
    static const uint64_t borders[] = {
        0, 1, ~0ull, ABI_SEL_MAX, ABI_SEL_MAX + 1, ABI_USER_END, ABI_USER_END - 4096, 0xffffffff80200000ull, 0xffff800000000000ull,
        0x0000800000000000ull, 0x230000000000ull, 0xfee00000ull, 1ull << 31, 1ull << 32, 1ull << 52, 1ull << 63,
        ABI_INFO_ADDRESS, ABI_ROOT_UTCB, 0x400000, 512, 513,
    };

    switch (random_below(seed, 5)) {
    case 0:
        return borders[random_below(seed, sizeof borders / sizeof borders[0])];
    case 1:
        return random_below(seed, 16);
    case 2:
        return random_below(seed, SELECTORS);
    case 3:
        return random_below(seed, 1ull << 36) << 12 | random_below(seed, 2);
    default:
        return random_u64(seed);
    }
}

/* What the start-up code and doc/framework.md say is there. */
static bool is_own(uint32_t sel, uint32_t own_end)
{
    const struct component_info *info = component_info();
    uint32_t cpus = info->cpu_count;

    return sel <= SEL_HST || sel == SEL_EC || (sel >= SEL_CORE && sel < SEL_CORE + cpus) ||
           (sel >= SEL_PARENT && sel < SEL_PARENT + cpus) || (sel >= SEL_EVENT && sel < own_end);
}

/* The calls whose selector names a free slot: those may succeed, if they name the attacker's own PD. */
static bool creates(uint64_t number)
{
    return number >= ABI_CREATE_PD && number <= ABI_CREATE_SM;
}

void attack_selectors(struct attack *a)
{
    uint32_t end = slots_alloc(1); // all that the start-up code took lies below
    uint64_t calls = 0, made = 0, wrong = 0;

    for (uint32_t sel = 0; sel < SELECTORS; sel++) {
        if (is_own(sel, end) || sel == end)
            continue;
        for (uint64_t number = 0; number < ABI_HYPERCALL_COUNT + 2; number++)
            for (uint64_t flags = 0; flags < FLAGS_MAX; flags++) {
                uint64_t argument[6], status;

                for (unsigned i = 0; i < 6; i++)
                    argument[i] = random_argument(&a->seed);
                status = raw_hypercall(hypercall_target(number, flags, sel), argument);
                calls++;
                if (status != ABI_OK && status < ABI_STATUS_COUNT)
                    continue;
                if (status == ABI_OK && creates(number) && argument[0] == SEL_PD && number != ABI_CREATE_PD &&
                    number != ABI_CREATE_SC && hc_remove(SEL_OBJ, sel, 1) == ABI_OK) {
                    made++;
                    continue;
                }
                if (wrong++ < 5)
                    log_print("# hypercall %lu flags %lu selector %x: status %lu", number, flags, sel, status);
            }
    }
    CHECK(&a->checks, wrong == 0, "%lu hypercalls on selectors below %u: %lu made something of its own, the others nothing", calls,
          SELECTORS, made);
    slots_free(end, 1);
}

static void wild(void *argument)
{
    uint64_t seed = (uint64_t)argument;
    struct abi_utcb *utcb = utcb_self();

    for (;;) {
        uint64_t arguments[6], number = random_below(&seed, ABI_HYPERCALL_COUNT);
        uint64_t sel = random_below(&seed, 4) ? random_below(&seed, 700) : random_argument(&seed);

        for (unsigned i = 0; i < 6; i++)
            arguments[i] = random_argument(&seed);
        /* Waits are short, else they would be all it does. */
        if (number == ABI_CTRL_SM)
            arguments[0] = tsc_now() + random_below(&seed, 100000);
        do
            utcb->word[0] = 1 + random_below(&seed, 30);
        while (utcb->word[0] == CORE_THREAD_STOP); // it would seldom live long enough to do much else
        for (unsigned i = 1; i < 8; i++)
            utcb->word[i] = random_argument(&seed);
        (void)raw_hypercall(hypercall_target(number, random_below(&seed, FLAGS_MAX), sel), arguments);
    }
}

/*
 * It takes away its own capabilities, memory, semaphores: whatever happens to it is right, as long as it is only to
 * it.
 */
void attack_wild(struct attack *a)
{
    static struct thread threads[ABI_CPU_MAX];
    const struct component_info *info = component_info();
    uint32_t sm = slots_alloc(1);

    (void)hc_create_sm(sm, SEL_PD, 0);
    for (unsigned cpu = 0; cpu < info->cpu_count; cpu++) {
        struct thread_config config = {.function = wild, .argument = (void *)(a->seed + cpu), .cpu = cpu};

        if (info->cpu_mask >> cpu & 1)
            (void)!thread_start(&threads[cpu], &config);
    }
    (void)hc_down(sm, 0, tsc_now() + 1000 * info->tsc_khz);
    __builtin_trap();
}
