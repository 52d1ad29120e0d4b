/* SPDX-License-Identifier: MIT */
/* Exceptions of a thread reach its event portals, and the answer decides what becomes of it. */
#include "ktest.h"

static volatile uint64_t vectors[64], addresses[64], ips[64], events;
static uint64_t event_base, done_sm;
static volatile uint64_t progress;

/* Skips the faulting instruction (all are two bytes long here), or stops the thread when asked for by cr2 == 0xdead000. */
static uint64_t handler(uint64_t id, uint64_t mtd)
{
    struct abi_utcb *u = utcb_at(0);
    struct abi_event *e = (struct abi_event *)u->word;
    (void)mtd;
    if (events < 64) {
        vectors[events] = e->vector;
        addresses[events] = e->cr2;
        ips[events] = e->rip;
    }
    events++;
    if (id == 14 && e->cr2 == 0xdead000) {
        sm_up(done_sm);
        return 1ull << 63;
    }
    e->groups = ABI_EVENT_GROUP_IP;
    if (e->vector != ABI_EVENT_RECALL)
        e->rip += 2;
    return sizeof(struct abi_event) / 8;
}

static void victim(uint64_t argument)
{
    uint64_t value = 0, address = 0x12345000;
    (void)argument;
    __asm__ volatile("ud2"); // 6
    progress = 1;
    __asm__ volatile("mov (%1), %%eax" : : "a"(value), "d"(address)); // 14: two bytes, 8b 02
    progress = 2;
    address = 0xffff800000000000ull;
    __asm__ volatile("mov (%1), %%eax" : : "a"(value), "d"(address));
    progress = 3;
    address = 0x8000000000000000ull; // not canonical: 13
    __asm__ volatile("mov (%1), %%eax" : : "a"(value), "d"(address));
    progress = 4;
    __asm__ volatile("out %al, $0x60"); // 13: no such port for us
    progress = 5;
    __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "rax", "rcx", "rdx"); // 0: f7 f1
    progress = 6;
    while (progress == 6)
        __asm__ volatile("pause");
    address = 0xdead000;
    __asm__ volatile("mov (%1), %%eax" : : "a"(value), "d"(address));
    progress = 99; // must not be reached
    for (;;)
        ;
}

static void wait_for(volatile uint64_t *what, uint64_t value)
{
    for (unsigned i = 0; i < 1000 && *what != value; i++)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
    check_is(*what, value);
}

static void exceptions(void)
{
    uint64_t s = sel_take(4);
    static const uint8_t want[] = {6, 14, 14, 13, 13, 0};
    event_base = sel_take(ABI_EVENT_COUNT);
    done_sm = s + 3;
    events = 0;
    progress = 0;
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(handler), ~0ull), ABI_OK);
    for (unsigned i = 0; i < ABI_EVENT_COUNT; i++) {
        struct call c = {.rsi = i, .rdx = ABI_EVENT_GROUP_GPR | ABI_EVENT_GROUP_IP};
        check_is(create_pt(event_base + i, OWN_PD, s, (uint64_t)portal_entry, i), ABI_OK);
        check_is(call_raw(call_id(ABI_CTRL_PT, 0, event_base + i), &c), ABI_OK);
    }
    check_is(create_sm(done_sm, OWN_PD, 0), ABI_OK);
    check_is(create_thread(s + 1, OWN_PD, utcb_address(1), 0, thread_stack(victim), event_base, (uint64_t)thread_entry),
             ABI_OK);
    check_is(create_sc(s + 2, OWN_PD, s + 1, 1, 10000), ABI_OK);
    wait_for(&progress, 6);
    check_is(events, 6);
    for (unsigned i = 0; i < 6; i++)
        check_is(vectors[i], want[i]);
    check_is(addresses[1], 0x12345000);
    check_is(addresses[2], 0xffff800000000000ull);
    check_is(ctrl_ec(ABI_EC_RECALL, s + 1, 0), ABI_OK);
    wait_for(&events, 7);
    check_is(vectors[6], ABI_EVENT_RECALL);
    progress = 7;
    check_is(sm_down(done_sm, 0, tsc() + ticks(1000000), 0), ABI_OK);
    sm_down(ABI_SEL_FREE, 0, tsc() + ticks(3000), 0);
    check_is(progress, 7);
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, event_base, ABI_EVENT_COUNT, ABI_REVOKE_SELF), ABI_OK);
}

/* Nobody listens to its events: the thread stops, and nothing else does. */
static void unheard(void)
{
    uint64_t s = sel_take(2);
    progress = 0;
    check_is(create_thread(s, OWN_PD, utcb_address(1), 0, thread_stack(victim), ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 1, OWN_PD, s, ABI_PRIO_MAX, 10000), ABI_OK);
    sm_down(ABI_SEL_FREE, 0, tsc() + ticks(5000), 0);
    check_is(progress, 0);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
}

void suite_event(void)
{
    exceptions();
    unheard();
}
