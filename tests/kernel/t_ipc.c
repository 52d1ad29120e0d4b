/* SPDX-License-Identifier: MIT */
/* Calls and replies: payload, capabilities, nesting, helping, loss of the callee, registers. */
#include "ktest.h"

static uint64_t seen_id, seen_mtd, inner_portal, server_up_sm;

static uint64_t echo(uint64_t id, uint64_t mtd)
{
    struct abi_utcb *u = utcb_at(0);
    seen_id = id;
    seen_mtd = mtd;
    for (uint64_t i = 0; i < (mtd & ABI_MSG_WORDS); i++)
        u->word[i] = ~u->word[i];
    return mtd & ABI_MSG_WORDS;
}

static void payload(void)
{
    uint64_t s = sel_take(2);
    static const uint16_t sizes[] = {0, 1, 2, 3, 8, 64, 447, 448};
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(echo), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0xabcdef0123456789), ABI_OK);
    struct abi_utcb *u = utcb_root();
    for (unsigned k = 0; k < 8; k++) {
        uint64_t n = sizes[k], mtd = n;
        for (uint64_t i = 0; i < ABI_UTCB_WORDS; i++)
            u->word[i] = i * 0x9e3779b97f4a7c15ull;
        check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
        check_is(mtd, n);
        check_is(seen_id, 0xabcdef0123456789);
        bool right = true;
        for (uint64_t i = 0; i < ABI_UTCB_WORDS; i++)
            right = right && u->word[i] == (i < n ? ~(i * 0x9e3779b97f4a7c15ull) : i * 0x9e3779b97f4a7c15ull);
        check(right);
    }
    const uint64_t bad[] = {449, 511, 512, 1ull << 17, 1ull << 63, ABI_MSG_CAPS, ABI_MSG_CAPS | 9u << ABI_MSG_CAP_SHIFT,
                            1u << ABI_MSG_CAP_SHIFT};
    for (unsigned k = 0; k < 8; k++) {
        uint64_t mtd = bad[k];
        check_is(ipc_call(s + 1, 0, &mtd), ABI_BAD_PARAMETER);
    }
    struct call c = {.rsi = 42};
    check_is(call_raw(call_id(ABI_CTRL_PT, 0, s + 1), &c), ABI_OK);
    uint64_t mtd = 0;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
    check_is(seen_id, 42);
    check_is(revoke(OWN_OBJ, s + 1, 1, ABI_REVOKE_SELF), ABI_OK);
    check_is(ipc_call(s + 1, 0, &mtd), ABI_BAD_CAPABILITY);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
}

static uint64_t nested_server(uint64_t id, uint64_t mtd)
{
    (void)id;
    uint64_t inner = mtd & ABI_MSG_WORDS;
    if (ipc_call(inner_portal, 0, &inner) != ABI_OK)
        return 0;
    return inner;
}

static uint64_t adder(uint64_t id, uint64_t mtd)
{
    (void)id;
    utcb_at(1)->word[0] += 5;
    return mtd & ABI_MSG_WORDS;
}

static void nesting(void)
{
    uint64_t s = sel_take(4);
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(nested_server), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(create_local(s + 2, OWN_PD, utcb_address(1), 0, server_stack(adder), ~0ull), ABI_OK);
    check_is(create_pt(s + 3, OWN_PD, s + 2, (uint64_t)portal_entry, 0), ABI_OK);
    inner_portal = s + 3;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t mtd = 1;
        utcb_root()->word[0] = i;
        if (ipc_call(s + 1, 0, &mtd) != ABI_OK || mtd != 1 || utcb_root()->word[0] != i + 5) {
            check_is(i, 1000);
            break;
        }
    }
    /* A server that calls itself, through another or directly, waits for itself: refused or aborted, never a hang. */
    inner_portal = s + 1;
    uint64_t mtd = 1;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
    check_is(mtd, 0);
    /* The inner server dies: the outer one's call fails, ours does not. */
    inner_portal = s + 3;
    check_is(revoke(OWN_OBJ, s + 2, 1, ABI_REVOKE_SELF), ABI_OK);
    mtd = 1;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
    check_is(mtd, 0);
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
}

static uint64_t suicide_base;

static uint64_t suicide(uint64_t id, uint64_t mtd)
{
    (void)id;
    (void)mtd;
    revoke(OWN_OBJ, suicide_base, 1, ABI_REVOKE_SELF);
    return 1;
}

static void loss(void)
{
    uint64_t s = sel_take(2), mtd = 1;
    suicide_base = s;
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(suicide), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(ipc_call(s + 1, 0, &mtd), ABI_ABORTED);
    uint64_t status = ipc_call(s + 1, 0, &mtd);
    check(status == ABI_BAD_CAPABILITY || status == ABI_ABORTED);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
}

static uint64_t give_base;
static uint64_t got[2];

static uint64_t exchange(uint64_t id, uint64_t mtd)
{
    struct abi_utcb *u = utcb_at(0);
    (void)id;
    got[0] = mtd;
    got[1] = u->recv[0];
    u->send[0] = (give_base << 8) | ABI_PERM_SM_UP;
    u->window_base = give_base + 8;
    u->window_count = 4;
    return ABI_MSG_CAPS | 1u << ABI_MSG_CAP_SHIFT;
}

static void capabilities(void)
{
    uint64_t s = sel_take(4), t = sel_take(4), r = sel_take(4);
    struct abi_utcb *u = utcb_root();
    give_base = sel_take(16);
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(exchange), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(create_sm(t, OWN_PD, 0), ABI_OK);
    check_is(create_sm(give_base, OWN_PD, 0), ABI_OK);
    u->window_base = r;
    u->window_count = 1;
    u->send[0] = t << 8 | ABI_PERM_SM_DOWN;
    uint64_t mtd = ABI_MSG_CAPS | 1u << ABI_MSG_CAP_SHIFT;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK); // it has no window, but what it knows already needs none
    utcb_at(0)->window_base = give_base + 8;
    utcb_at(0)->window_count = 4;
    u->window_base = r;
    u->window_count = 1;
    mtd = ABI_MSG_CAPS | 1u << ABI_MSG_CAP_SHIFT;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
    /* Both live in one object space, so each is found among the receiver's own and translated. */
    check(got[1] & ABI_CAP_TRANSLATED);
    check_is((got[1] & ~ABI_CAP_TRANSLATED) >> 8, t);
    check_is(mtd >> ABI_MSG_CAP_SHIFT & 15, 1);
    check(u->recv[0] & ABI_CAP_TRANSLATED);
    check_is((u->recv[0] & ~ABI_CAP_TRANSLATED) >> 8, give_base);
    u->send[0] = (t + 1) << 8 | 31; // an empty slot
    mtd = ABI_MSG_CAPS | 1u << ABI_MSG_CAP_SHIFT;
    check_is(ipc_call(s + 1, 0, &mtd), ABI_BAD_CAPABILITY);
    u->window_count = 0;
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, t, 4, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, give_base, 16, ABI_REVOKE_SELF), ABI_OK);
}

static volatile uint64_t slow_calls, quick_status;
static uint64_t slow_portal, slow_sm;

static uint64_t slow(uint64_t id, uint64_t mtd)
{
    (void)id;
    slow_calls++;
    sm_down(slow_sm, 0, 0, 0);
    return mtd & ABI_MSG_WORDS;
}

static void slow_client(uint64_t argument)
{
    (void)argument;
    uint64_t mtd = 0;
    quick_status = ipc_call(slow_portal, 0, &mtd);
    sm_up(server_up_sm);
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

/* A callee that is blocked: NOWAIT reports, a waiting caller gets its turn, one killed meanwhile leaves nobody hanging. */
static void busy(void)
{
    uint64_t s = sel_take(8), mtd = 0;
    slow_calls = 0;
    slow_portal = s + 1;
    slow_sm = s + 2;
    server_up_sm = s + 3;
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(slow), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(create_sm(s + 2, OWN_PD, 0), ABI_OK);
    check_is(create_sm(s + 3, OWN_PD, 0), ABI_OK);
    check_is(create_thread(s + 4, OWN_PD, utcb_address(2), 0, thread_stack(slow_client), ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 5, OWN_PD, s + 4, ABI_PRIO_MAX, 10000), ABI_OK);
    while (!slow_calls)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
    check_is(ipc_call(s + 1, ABI_CALL_NOWAIT, &mtd), ABI_TIMEOUT);
    check_is(sm_up(slow_sm), ABI_OK);
    check_is(sm_down(server_up_sm, 0, tsc() + ticks(1000000), 0), ABI_OK);
    check_is(quick_status, ABI_OK);
    check_is(sm_up(slow_sm), ABI_OK);
    mtd = 3;
    check_is(ipc_call(s + 1, ABI_CALL_NOWAIT, &mtd), ABI_OK);
    check_is(mtd, 3);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
}

/* A client that dies in the middle of its call: the server goes on for others. */
static void lost_client(void)
{
    uint64_t s = sel_take(8), mtd = 1;
    slow_calls = 0;
    slow_portal = s + 1;
    slow_sm = s + 2;
    server_up_sm = s + 3;
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(slow), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(create_sm(s + 2, OWN_PD, 0), ABI_OK);
    check_is(create_sm(s + 3, OWN_PD, 0), ABI_OK);
    check_is(create_thread(s + 4, OWN_PD, utcb_address(2), 0, thread_stack(slow_client), ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 5, OWN_PD, s + 4, ABI_PRIO_MAX, 10000), ABI_OK);
    while (!slow_calls)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
    check_is(revoke(OWN_OBJ, s + 4, 2, ABI_REVOKE_SELF), ABI_OK);
    check_is(sm_up(slow_sm), ABI_OK);
    check_is(sm_up(slow_sm), ABI_OK);
    check_is(ipc_call(s + 1, 0, &mtd), ABI_OK);
    check_is(mtd, 1);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
}

/* The registers that the interface keeps are kept, vector state included, and no register of the callee comes through. */
static void registers(void)
{
    uint64_t s = sel_take(2), leaked, kept, id = call_id(ABI_IPC_CALL, 0, s + 1);
    check_is(create_local(s, OWN_PD, utcb_address(0), 0, server_stack(echo), ~0ull), ABI_OK);
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 7), ABI_OK);
    __asm__ volatile("push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14; push %%r15\n"
                     "mov $0x1111, %%ebx; mov $0x2222, %%ebp; mov $0x3333, %%r12d\n"
                     "mov $0x4444, %%r13d; mov $0x5555, %%r14d; mov $0x6666, %%r15d\n"
                     "movq %%rbx, %%xmm7; movq %%r15, %%xmm15\n"
                     "xor %%esi, %%esi\n"
                     "syscall\n"
                     "mov %%rdx, %%rcx; or %%r8, %%rcx; or %%r9, %%rcx; or %%r10, %%rcx\n"
                     "xor $0x1111, %%rbx; xor $0x2222, %%rbp; xor $0x3333, %%r12\n"
                     "xor $0x4444, %%r13; xor $0x5555, %%r14; xor $0x6666, %%r15\n"
                     "or %%rbp, %%rbx; or %%r12, %%rbx; or %%r13, %%rbx; or %%r14, %%rbx; or %%r15, %%rbx\n"
                     "movq %%xmm7, %%rdx; xor $0x1111, %%rdx; or %%rdx, %%rbx\n"
                     "movq %%xmm15, %%rdx; xor $0x6666, %%rdx; or %%rdx, %%rbx\n"
                     "mov %%rbx, %%rdx\n"
                     "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop %%rbp; pop %%rbx\n"
                     : "=c"(leaked), "=d"(kept), "+D"(id)
                     :
                     : "rax", "rsi", "r8", "r9", "r10", "r11", "xmm7", "xmm15", "memory", "cc");
    check_is(kept, 0);
    check_is(leaked, 0);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
}

void suite_ipc(void)
{
    payload();
    nesting();
    loss();
    capabilities();
    busy();
    lost_client();
    registers();
}
