/* SPDX-License-Identifier: MIT */
/* Arguments of random calls: sensible ones, and ones that aim at a status. */
#include "random.h"

static uint64_t rich_or_poor(struct generator *g)
{
    return below(g, 4) ? g->sandbox : slot_of(g, PD);
}

uint64_t page_for_utcb(struct generator *g)
{
    return 0x40000000ull + g->cpu * 0x1000000 + below(g, 4096) * PAGE;
}

static uint64_t sensible_delegation(struct generator *g, struct call *c)
{
    bool memory = below(g, 2);
    uint64_t page = (GUEST / PAGE) + below(g, GUEST_PAGES);
    c->rsi = memory ? (below(g, 2) ? g->sandbox + 2 : slot_of(g, GST)) : (below(g, 2) ? OWN_OBJ : slot_of(g, OBJ));
    c->rdx = memory ? page : any_slot(g);
    c->rax = memory ? below(g, 2000) : below(g, 4) ? slot_of(g, EMPTY) : any_slot(g);
    c->r8 = 1 + (below(g, 4) ? 0 : below(g, 8));
    c->r9 = below(g, 32);
    return call_id(ABI_DELEGATE, 0, memory ? OWN_HST : OWN_OBJ);
}

static uint64_t sensible_ec(struct generator *g, struct call *c)
{
    uint64_t kind = below(g, 3);
    c->rdx = page_for_utcb(g) | (below(g, 8) ? g->cpu : below(g, 70));
    c->rax = kind == ABI_EC_VCPU ? slot_of(g, GST) : 0x1000;
    c->r8 = kind == ABI_EC_VCPU ? (below(g, 2) ? ~0ull : slot_of(g, PIO)) : ~0ull;
    c->r9 = kind == ABI_EC_VCPU ? (below(g, 2) ? ~0ull : slot_of(g, MSR)) : 0x1000;
    return call_id(ABI_CREATE_EC, kind, slot_of(g, EMPTY));
}

uint64_t sensible(struct generator *g, unsigned number, struct call *c)
{
    uint64_t n = number, free = slot_of(g, EMPTY);
    *c = (struct call){.rsi = rich_or_poor(g)};
    switch (number) {
    case ABI_IPC_CALL:
        c->rsi = below(g, 9) * 8;
        return call_id(n, below(g, 2), slot_of(g, PT));
    case ABI_CREATE_PD:
        c->rdx = 8 + below(g, 8);
        return call_id(n, 0, free);
    case ABI_CREATE_SPACE:
        return call_id(n, below(g, ABI_SPACE_COUNT), free);
    case ABI_CREATE_EC:
        return sensible_ec(g, c);
    case ABI_CREATE_SC:
        c->rdx = slot_of(g, THREAD);
        c->rax = 1 + below(g, 40) + (1000ull << 8);
        return call_id(n, 0, free);
    case ABI_CREATE_PT:
        c->rdx = slot_of(g, LOCAL);
        c->rax = REMOTE_CODE;
        return call_id(n, 0, free);
    case ABI_CREATE_SM:
        c->rdx = below(g, 4) ? below(g, 3) : ~0ull - below(g, 2);
        return call_id(n, 0, free);
    case ABI_DELEGATE:
        return sensible_delegation(g, c);
    case ABI_REVOKE:
        c->rsi = any_slot(g);
        c->rdx = c->rsi - g->base < SLOTS && !below(g, 16) ? 1 + below(g, g->base + SLOTS - c->rsi) : 1;
        return call_id(n, below(g, 2), OWN_OBJ);
    case ABI_CTRL_PD:
        c->rsi = slot_of(g, PD);
        c->rdx = below(g, 4);
        return call_id(n, below(g, 3), g->sandbox);
    case ABI_CTRL_EC:
        c->rsi = below(g, 2) ? below(g, ABI_VCPU_ALL) : any_value(g);
        return call_id(n, below(g, 3), slot_of(g, (enum kind)(LOCAL + below(g, 3))));
    case ABI_CTRL_SC:
        return call_id(n, 0, slot_of(g, SC));
    case ABI_CTRL_PT:
        c->rdx = below(g, 4);
        return call_id(n, 0, slot_of(g, PT));
    case ABI_CTRL_SM:
        c->rsi = 1; // a deadline in the past polls
        return call_id(n, below(g, 8), slot_of(g, SM));
    case ABI_VCPU_RUN:
        return call_id(n, 0, slot_of(g, VCPU));
    case ABI_ASSIGN_INT:
        c->rsi = below(g, test_info->cpu_count);
        c->rdx = below(g, 4);
        return call_id(n, 0, ABI_SEL_INT_BASE + 5 + below(g, 6)); // pins that nothing uses
    default:
        return call_id(n, 0, any_slot(g));
    }
}

/* Arguments that are right, but for the one that is to be found wrong. */

static uint64_t aim_call(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t f = g->fixture, sel = f + FIX_RICH + REMOTE_ECHO;
    uint64_t one_capability = ABI_MSG_CAPS | 1u << ABI_MSG_CAP_SHIFT;
    c->rsi = below(g, ABI_UTCB_WORDS + 1);
    switch (status) {
    case ABI_TIMEOUT:
        return call_id(ABI_IPC_CALL, ABI_CALL_NOWAIT, f + FIX_BUSY_PT);
    case ABI_ABORTED:
        return call_id(ABI_IPC_CALL, below(g, 2), f + FIX_DEAD_PT);
    case ABI_BAD_CPU:
        return call_id(ABI_IPC_CALL, below(g, 2), g->other->fixture + FIX_BUSY_PT);
    case ABI_BAD_PARAMETER:
        c->rsi = below(g, 2) ? ABI_UTCB_WORDS + 1 + below(g, 60) : BIT(9 + below(g, 7));
        break;
    case ABI_OVERFLOW:
    case ABI_OUT_OF_MEMORY:
        if (status == ABI_OUT_OF_MEMORY)
            sel = f + FIX_POOR + REMOTE_ECHO;
        record(g, ABI_IPC_CALL, remote_open(sel - REMOTE_ECHO, g->utcb, 512 * (1 + below(g, 500)), 1 + below(g, 8)));
        g->utcb->send[0] = (f + (status == ABI_OVERFLOW ? FIX_CHAIN + CHAIN - 1 : FIX_ZERO)) << 8 | below(g, 32);
        c->rsi = one_capability;
        break;
    case ABI_OK: // with a capability now and then
        if (below(g, 2)) {
            record(g, ABI_IPC_CALL, remote_open(sel - REMOTE_ECHO, g->utcb, 1024 + below(g, 400), 1 + below(g, 2)));
            g->utcb->send[0] = any_slot(g) << 8 | below(g, 32);
            c->rsi |= one_capability;
        }
        break;
    default:
        break;
    }
    return call_id(ABI_IPC_CALL, below(g, 2), sel);
}

/* Replies happen in the remote server, and are recorded here. */
static uint64_t aim_reply(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t rich = g->fixture + FIX_RICH;
    uint32_t descriptor = status == ABI_BAD_PARAMETER ? (uint32_t)any(g) | BIT(9 + below(g, 7)) : (uint32_t)(3 + below(g, 400));
    uint8_t flags = status == ABI_BAD_HYPERCALL ? (uint8_t)(2 + below(g, 250)) : (uint8_t)below(g, 2);
    record(g, ABI_IPC_REPLY, remote_reply(rich, g->utcb, descriptor, flags));
    *c = (struct call){0};
    return call_id(ABI_IPC_CALL, 0, rich + REMOTE_ECHO);
}

static uint64_t aim_create_pd(struct generator *g, enum abi_status status, struct call *c)
{
    c->rdx = 8 + below(g, 8);
    if (status == ABI_BAD_PARAMETER)
        c->rdx = below(g, ABI_PD_QUOTA_MIN);
    if (status == ABI_OUT_OF_MEMORY)
        c->rdx = 1ull << (20 + below(g, 44));
    return ABI_CREATE_PD;
}

static uint64_t aim_create_space(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t kind = ABI_SPACE_PIO + below(g, 2);
    if (status == ABI_BAD_FEATURE)
        kind = ABI_SPACE_DMA;
    if (status == ABI_BAD_PARAMETER) { // a second one
        kind = below(g, 2);
        c->rsi = g->sandbox;
    }
    return call_id(ABI_CREATE_SPACE, kind, 0);
}

static uint64_t aim_create_ec(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t kind = below(g, 2);
    c->rdx = page_for_utcb(g) | g->cpu;
    c->rax = below(g, ABI_USER_END);
    c->r8 = c->r9 = c->r10 = 0;
    if (status == ABI_BAD_CPU)
        c->rdx |= 0xfc0;
    if (status == ABI_BAD_PARAMETER)
        *(below(g, 2) ? &c->rax : &c->r8) = BIT(18 + below(g, 10)) | 1ull << 63;
    if (status == ABI_OCCUPIED && below(g, 2)) { // the page
        c->rsi = g->fixture + FIX_RICH;
        c->rdx = REMOTE_UTCB | g->cpu;
    }
    if (status == ABI_BAD_FEATURE)
        kind = ABI_EC_VCPU;
    return call_id(ABI_CREATE_EC, kind, 0);
}

static uint64_t aim_create_sc(struct generator *g, enum abi_status status, struct call *c)
{
    c->rdx = status == ABI_OK ? need(g, THREAD) : g->fixture + FIX_THREAD;
    c->rax = 1 + below(g, 40) + ((100 + below(g, 10000)) << 8);
    if (status == ABI_BAD_PARAMETER)
        c->rax = below(g, 2) ? c->rax & ~0xffull : 1 + (below(g, 100) << 8);
    return ABI_CREATE_SC;
}

static uint64_t aim_create_pt(struct generator *g, enum abi_status status, struct call *c)
{
    c->rdx = g->fixture + (status == ABI_OUT_OF_MEMORY ? FIX_BUSY_EC : FIX_RICH + REMOTE_EC);
    c->rax = status == ABI_BAD_PARAMETER ? ABI_USER_END + any(g) / 2 : REMOTE_CODE;
    return ABI_CREATE_PT;
}

/* Creations have the free slot, the PD that pays and the capability's selector in common. */
static uint64_t aim_create(struct generator *g, unsigned number, enum abi_status status, struct call *c)
{
    static uint64_t (*const makers[])(struct generator *g, enum abi_status status, struct call *c) = {
        [ABI_CREATE_PD] = aim_create_pd, [ABI_CREATE_SPACE] = aim_create_space, [ABI_CREATE_EC] = aim_create_ec,
        [ABI_CREATE_SC] = aim_create_sc, [ABI_CREATE_PT] = aim_create_pt,
    };
    uint64_t sel = status == ABI_OCCUPIED ? g->fixture + FIX_FULL : empty_slot(g);
    c->rsi = status == ABI_OUT_OF_MEMORY ? g->fixture + FIX_POOR : below(g, 2) ? g->sandbox : OWN_PD;
    uint64_t id = number == ABI_CREATE_SM ? number : makers[number](g, status, c);
    if (number == ABI_CREATE_EC && c->rsi == g->fixture + FIX_RICH && status == ABI_OCCUPIED)
        sel = empty_slot(g);
    if (status == ABI_BAD_CAPABILITY)
        c->rsi = below(g, 2) ? g->fixture + FIX_FULL : slot_of(g, EMPTY);
    if (number == ABI_CREATE_SM && status == ABI_BAD_PARAMETER)
        sel = ABI_SEL_MAX + 1 + below(g, 9);
    return id | sel << 16;
}

static uint64_t aim_delegate(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t f = g->fixture;
    *c = (struct call){.rsi = OWN_OBJ, .rdx = f + FIX_ZERO, .rax = empty_slot(g), .r8 = 1, .r9 = below(g, 32)};
    switch (status) {
    case ABI_OVERFLOW:
        c->rdx = f + FIX_CHAIN + CHAIN - 1;
        break;
    case ABI_OUT_OF_MEMORY:
        c->rsi = f + FIX_POOR + REMOTE_OBJ;
        c->rax = 1024 + below(g, 200000);
        break;
    case ABI_OCCUPIED:
        c->rax = f + FIX_FULL;
        break;
    case ABI_BAD_PARAMETER:
        switch (below(g, 5)) {
        case 0: c->r8 = 0; break;
        case 1: c->rdx = ABI_SEL_MAX + 1 + (any(g) >> below(g, 64)); break;
        case 2: c->r8 = ABI_SEL_MAX + 2 + (any(g) >> below(g, 64)); break;
        case 3: c->r9 |= 1ull << (5 + below(g, 59)); break;
        default: c->rsi = g->sandbox + 2; break;
        }
        break;
    case ABI_BAD_CAPABILITY:
        *(below(g, 2) ? &c->rsi : &f) = slot_of(g, EMPTY);
        return call_id(ABI_DELEGATE, 0, f);
    default:
        break;
    }
    return call_id(ABI_DELEGATE, 0, OWN_OBJ);
}

static uint64_t aim_ctrl_pd(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t op = below(g, 2);
    c->rsi = status == ABI_BAD_PARAMETER ? g->fixture + FIX_RICH : status == ABI_OUT_OF_MEMORY ? g->sandbox : need(g, PD);
    c->rdx = status == ABI_OUT_OF_MEMORY ? 1ull << (20 + below(g, 44)) : below(g, 2);
    return call_id(ABI_CTRL_PD, status == ABI_OK ? ABI_PD_QUOTA_QUERY : op, status == ABI_OUT_OF_MEMORY ? OWN_PD : g->sandbox);
}

static uint64_t aim_ctrl_ec(struct generator *g, enum abi_status status, struct call *c)
{
    c->rsi = status == ABI_BAD_PARAMETER ? ABI_USER_END + any(g) / 2 : below(g, ABI_USER_END);
    if (status == ABI_BAD_CPU)
        return call_id(ABI_CTRL_EC, ABI_EC_FS_BASE, g->other->fixture + FIX_THREAD);
    return call_id(ABI_CTRL_EC, ABI_EC_FS_BASE, g->fixture + FIX_THREAD);
}

static uint64_t aim_ctrl_sm(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t f = g->fixture;
    c->rsi = 1;
    if (status == ABI_OVERFLOW)
        return call_id(ABI_CTRL_SM, ABI_SM_UP, f + FIX_FULL);
    if (status == ABI_TIMEOUT) {
        c->rsi = below(g, 16) ? 1 : tsc() + ticks(below(g, 200));
        return call_id(ABI_CTRL_SM, ABI_SM_DOWN | below(g, 4) << 1, f + FIX_ZERO);
    }
    if (status == ABI_ABORTED) {
        create_sm(f + FIX_DOOMED, OWN_PD, 0);
        sm_up(f + FIX_GO);
        c->rsi = below(g, 2) ? tsc() + ticks(500000) : 0;
        return call_id(ABI_CTRL_SM, ABI_SM_DOWN, f + FIX_DOOMED);
    }
    return call_id(ABI_CTRL_SM, ABI_SM_UP, need(g, SM));
}

static uint64_t aim_vcpu_run(struct generator *g, enum abi_status status)
{
    uint64_t f = g->fixture;
    switch (status) {
    case ABI_BAD_CPU:
        return call_id(ABI_VCPU_RUN, 0, g->other->fixture + FIX_VCPU);
    case ABI_BAD_PARAMETER:
        return call_id(ABI_VCPU_RUN, 0, f + FIX_VCPU);
    case ABI_ABORTED:
        if (create_vcpu(f + FIX_VICTIM, OWN_PD, page_of(g, PAGE_VICTIM), g->cpu, f + FIX_GST, ~0ull, ~0ull) == ABI_OK)
            real_mode_loop((struct abi_vcpu *)page_of(g, PAGE_VICTIM));
        g->kill_victim = true;
        return call_id(ABI_VCPU_RUN, 0, f + FIX_VICTIM);
    default:
        return call_id(ABI_VCPU_RUN, 0, need(g, VCPU));
    }
}

static uint64_t aim_assign(struct generator *g, enum abi_status status, struct call *c)
{
    uint64_t rdi = sensible(g, ABI_ASSIGN_INT, c);
    if (status == ABI_BAD_CPU)
        c->rsi = test_info->cpu_count + (any(g) >> below(g, 64)) % (1ull << 40);
    if (status == ABI_BAD_PARAMETER)
        c->rdx = 4 + any(g) / 2;
    return status == ABI_BAD_CAPABILITY ? call_id(ABI_ASSIGN_INT, 0, g->fixture + FIX_FULL) : rdi;
}

static uint64_t aim_kind(struct generator *g, unsigned number, enum abi_status status, struct call *c)
{
    switch (number) {
    case ABI_IPC_CALL:
        return aim_call(g, status, c);
    case ABI_DELEGATE:
        return aim_delegate(g, status, c);
    case ABI_REVOKE:
        sensible(g, number, c);
        if (status == ABI_BAD_PARAMETER)
            *(below(g, 2) ? &c->rsi : &c->rdx) = below(g, 2) ? ABI_SEL_MAX + 1 : ~0ull;
        return call_id(number, below(g, 2), OWN_OBJ);
    case ABI_CTRL_PD:
        return aim_ctrl_pd(g, status, c);
    case ABI_CTRL_EC:
        return aim_ctrl_ec(g, status, c);
    case ABI_CTRL_SC:
        return call_id(number, 0, g->fixture + FIX_OWN_SC);
    case ABI_CTRL_PT:
        c->rdx = status == ABI_BAD_PARAMETER ? 4 + any(g) / 2 : below(g, 4);
        return call_id(number, 0, g->fixture + FIX_RICH + REMOTE_ECHO);
    case ABI_CTRL_SM:
        return aim_ctrl_sm(g, status, c);
    case ABI_VCPU_RUN:
        return aim_vcpu_run(g, status);
    case ABI_ASSIGN_INT:
        return aim_assign(g, status, c);
    case ABI_ASSIGN_DEV:
        return number;
    default:
        return aim_create(g, number, status, c);
    }
}

uint64_t aimed(struct generator *g, unsigned number, enum abi_status status, struct call *c)
{
    *c = (struct call){0};
    if (number == ABI_IPC_REPLY)
        return aim_reply(g, status, c);
    uint64_t rdi = aim_kind(g, number, status, c);
    if (status == ABI_BAD_HYPERCALL)
        rdi |= (8 + below(g, 248)) << 8 & 0xf800;
    if (status == ABI_BAD_CAPABILITY && (number < ABI_CREATE_PD || number > ABI_DELEGATE))
        rdi = (rdi & 0xffff) | (below(g, 2) ? slot_of(g, EMPTY) : ABI_SEL_MAX - below(g, 2)) << 16;
    return rdi;
}
