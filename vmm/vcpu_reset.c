/* SPDX-License-Identifier: MIT */
/*
 * Registers at power-on, after INIT, and after a start-up message (SDM volume 3, table 10-1; APM
 * volume 2, 14.1.3).
 */
#include "vmm/vcpu.h"

#include "lib/string.h"
#include "vmm/machine.h"

#include <stdatomic.h>

#define CR0_RESET  0x60000010u
#define CR0_CACHE  0x60000000u  // CD and NW: INIT leaves them
#define PAT_RESET  0x0007040600070406ull
#define MXCSR_AT   24u          // in the legacy area of an XSAVE image
#define XSTATE_BV  512u

static struct cpu_segment segment(uint16_t attr)
{
    return (struct cpu_segment){.attr = attr, .limit = 0xffff};
}

/* All registers but XSTATE, SYSCALL, SYSENTER, PAT and CONTROL. */
static void reset_registers(struct vcpu *vcpu)
{
    const struct cpuid_vcpu own = {.apic_id = vcpu->id};
    struct cpu_state *s = vcpu->state;
    struct cpuid_regs regs;

    cpuid_query(&vcpu->vm->cpuid, &own, 1, 0, &regs);
    memset(s->gpr, 0, sizeof(s->gpr));
    s->gpr[CPU_RDX] = regs.eax;
    s->rip = 0xfff0;
    s->rsp = 0;
    s->rflags = 2;
    s->event = 0;
    s->requests = 0;
    s->shadow = s->nmi_blocked = 0;
    s->cs = (struct cpu_segment){.sel = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000};
    s->ss = s->ds = s->es = s->fs = s->gs = segment(0x93);
    s->ldtr = segment(0x82);
    s->tr = segment(0x8b);
    s->gdtr = s->idtr = segment(0);
    s->cr0 = CR0_RESET;
    s->cr2 = s->cr3 = s->cr4 = 0;
    memset(s->dr, 0, sizeof(s->dr));
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->efer = 0;
    s->dirty |= CPU_CSSS | CPU_DSES | CPU_FSGS | CPU_TRLDTR | CPU_TABLES | CPU_CR |
                CPU_DR | CPU_EFER;
    s->valid |= s->dirty;
    vcpu->ops->invalidate(vcpu->engine, vcpu->id);
    vcpu->nmi = 0;
    atomic_store(&vcpu->nmis, 0);
    vcpu->check = true;
}

void vcpu_power_on(struct vcpu *vcpu)
{
    struct cpu_state *s = vcpu->state;

    s->valid = CPU_ALL;
    s->dirty = CPU_ALL;
    vcpu_take_a20(vcpu);
    reset_registers(vcpu);
    s->star = s->lstar = s->cstar = s->sfmask = s->kernel_gs_base = 0;
    s->sysenter_cs = s->sysenter_esp = s->sysenter_eip = 0;
    s->pat = PAT_RESET;
    s->xcr0 = 1;
    memset(s->xsave, 0, sizeof(s->xsave));
    s->xsave[0] = 0x40; // FCW
    s->xsave[MXCSR_AT] = 0x80;
    s->xsave[MXCSR_AT + 1] = 0x1f;
    s->xsave[XSTATE_BV] = 3;
    s->exception_bitmap = 0;
    s->intercepts = 0;
    s->tsc_offset = vcpu->vm->clock.offset + vcpu->lapic.tsc_skew;
    vcpu->activity = vcpu->id == 0 ? VCPU_RUNNING : VCPU_WAIT_SIPI;
    if (vcpu->id == 0 && !vcpu->vm->config.bios.size)
        entry_apply(&vcpu->vm->boot.entry, s);
}

void vcpu_init_reset(struct vcpu *vcpu)
{
    uint64_t cache = vcpu_need(vcpu, CPU_CR)->cr0 & CR0_CACHE;

    reset_registers(vcpu);
    vcpu->state->cr0 = (CR0_RESET & ~CR0_CACHE) | cache;
    lapic_init_reset(&vcpu->lapic);
    vcpu->activity = vcpu->id == 0 ? VCPU_RUNNING : VCPU_WAIT_SIPI;
}

void vcpu_start_up(struct vcpu *vcpu, uint8_t vector)
{
    struct cpu_state *s = vcpu_change(vcpu, CPU_CSSS);

    s->cs.sel = (uint16_t)(vector << 8);
    s->cs.base = (uint64_t)vector << 12;
    s->rip = 0;
    vcpu->activity = VCPU_RUNNING;
}
