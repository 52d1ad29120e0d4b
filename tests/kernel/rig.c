/* SPDX-License-Identifier: MIT */
/* A virtual CPU with a few pages of guest memory. */
#include "rig.h"

static void segment(struct abi_segment *s, uint16_t attr)
{
    *s = (struct abi_segment){.attr = attr, .limit = 0xffff};
}

/* Real mode at 0000:0100 with a stack below 0x8000 and the interrupt table at 0. */
void real_mode(struct abi_vcpu *v, const uint8_t *code, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        ((uint8_t *)GUEST)[0x100 + i] = code[i];
    for (unsigned i = 0; i < 16; i++)
        v->gpr[i] = 0;
    v->rip = 0x100;
    v->rsp = 0x8000;
    v->rflags = 2;
    v->event = 0;
    v->requests = 0;
    v->shadow = v->cr8 = v->nmi_blocked = 0;
    segment(&v->cs, 0x9b);
    segment(&v->ss, 0x93);
    segment(&v->ds, 0x93);
    segment(&v->es, 0x93);
    segment(&v->fs, 0x93);
    segment(&v->gs, 0x93);
    segment(&v->tr, 0x8b);
    segment(&v->ldtr, 0x82);
    v->gdtr = (struct abi_segment){.limit = 0xffff};
    v->idtr = (struct abi_segment){.limit = 0xffff};
    v->cr0 = 0x10;
    v->cr2 = v->cr3 = v->cr4 = 0;
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->efer = 0;
    v->pat = 0x0007040600070406ull;
    v->xcr0 = 1;
    v->exception_bitmap = v->intercepts = 0;
    v->tsc_offset = 0;
    v->dirty |= ABI_VCPU_ALL & ~ABI_VCPU_XSTATE;
}

void real_mode_loop(struct abi_vcpu *v)
{
    static const uint8_t off[] = {0xfa, 0xeb, 0xfe}, on[] = {0xfb, 0xeb, 0xfe}; // cli or sti; jmp .
    real_mode(v, option("bochs", 0) ? on : off, sizeof off);
}

bool rig_create(struct rig *r, uint64_t cpu, uint64_t frame)
{
    r->sel = sel_take(4);
    r->state = (struct abi_vcpu *)utcb_address(16);
    if (create_space(r->sel, OWN_PD, ABI_SPACE_GST) || create_space(r->sel + 1, OWN_PD, ABI_SPACE_PIO) ||
        create_space(r->sel + 2, OWN_PD, ABI_SPACE_MSR))
        return false;
    if (delegate(ABI_SEL_PHYS, OWN_HST, frame, GUEST / PAGE, GUEST_PAGES, ABI_PERM_MEM_ALL, 0) ||
        delegate(OWN_HST, r->sel, GUEST / PAGE, 0, GUEST_PAGES, ABI_PERM_MEM_ALL, 0))
        return false;
    for (uint64_t *p = (uint64_t *)GUEST; p < (uint64_t *)(GUEST + GUEST_PAGES * PAGE); p++)
        *p = 0;
    return create_vcpu(r->sel + 3, OWN_PD, utcb_address(16), cpu, r->sel, r->sel + 1, r->sel + 2) == ABI_OK;
}

void rig_destroy(struct rig *r)
{
    check_is(revoke(OWN_OBJ, r->sel, 4, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, GUEST / PAGE, GUEST_PAGES, ABI_REVOKE_SELF), ABI_OK);
}

uint64_t rig_run(struct rig *r)
{
    uint64_t reason = ~0ull;
    check_is(vcpu_run(r->sel + 3, &reason), ABI_OK);
    check_is(reason, r->state->reason);
    return reason;
}
