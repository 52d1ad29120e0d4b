/* SPDX-License-Identifier: MIT */
/* A vCPU's registers, for a person who has to find out why a guest ended. */
#include "vmm/vcpu.h"

#include "vmm/machine.h"

static void report_segment(struct vm *vm, const char *name, const struct cpu_segment *segment)
{
    vm_log(vm, "  %s  %04x attributes %03x base %016lx limit %08x", name, segment->sel,
           segment->attr, segment->base, segment->limit);
}

void vcpu_report(struct vcpu *vcpu, const char *why)
{
    static const char *const names[16] = {
        "rax", "rcx", "rdx", "rbx", "-", "rbp", "rsi", "rdi",
        "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    };
    struct vm *vm = vcpu->vm;
    const struct cpu_state *s = vcpu->state;

    /* A refused state is in the page alone: as it was last given, which is what one wants to see. */
    if (s->reason != EXIT_INVALID)
        s = vcpu_need(vcpu, CPU_ALL & ~(CPU_XSTATE | CPU_CONTROL));

    vm_log(vm, "vcpu %u: %s (exit %u, %lx, %lx)", vcpu->id, why, s->reason, s->q0, s->q1);
    vm_log(vm, "  rip %016lx rsp %016lx rflags %08lx event %016lx", s->rip, s->rsp, s->rflags,
           s->event);
    for (unsigned i = 0; i < 16; i += 2)
        vm_log(vm, "  %3s %016lx %3s %016lx", names[i], s->gpr[i], names[i + 1], s->gpr[i + 1]);
    vm_log(vm, "  cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx", s->cr0, s->cr2, s->cr3,
           s->cr4, s->efer);
    report_segment(vm, "cs", &s->cs);
    report_segment(vm, "ss", &s->ss);
    report_segment(vm, "ds", &s->ds);
    report_segment(vm, "es", &s->es);
    report_segment(vm, "fs", &s->fs);
    report_segment(vm, "gs", &s->gs);
    report_segment(vm, "tr", &s->tr);
    report_segment(vm, "ldt", &s->ldtr);
    report_segment(vm, "gdt", &s->gdtr);
    report_segment(vm, "idt", &s->idtr);
}
