/* SPDX-License-Identifier: MIT */
/* Running a vCPU on the time of the thread that calls for it. */
#include "kernel/hypercall.h"
#include "kernel/switch.h"
#include "kernel/vcpu.h"

enum abi_status vcpu_fetch(struct ec *vcpu, uint64_t groups)
{
    if (vcpu->kind != ABI_EC_VCPU)
        return ABI_BAD_CAPABILITY;
    if (vcpu->cpu != cpu_self()->id)
        return ABI_BAD_CPU;
    if (vcpu->runner || groups & ~(uint64_t)ABI_VCPU_ALL)
        return ABI_BAD_PARAMETER;
    vcpu_ops()->fetch(vcpu->vcpu, (uint32_t)groups);
    return ABI_OK;
}

/* Binds the vCPU to the thread. */
static enum abi_status begin(struct ec *ec, struct ec *vcpu)
{
    if (vcpu->kind != ABI_EC_VCPU)
        return ABI_BAD_CAPABILITY;
    if (vcpu->cpu != ec->cpu)
        return ABI_BAD_CPU;
    if (vcpu->runner)
        return ABI_BAD_PARAMETER;
    ec->running = vcpu;
    vcpu->runner = ec;
    return ABI_OK;
}

static void end(struct ec *ec)
{
    xstate_restore(ec->xstate);
    msr_write(MSR_FS_BASE, ec->fs_base);
}

struct result vcpu_run(struct ec *ec)
{
    struct object *object = ec_object(ec, hypercall_sel(ec), OBJECT_EC, ABI_PERM_EC_RUN);
    struct cpu *cpu = cpu_self();

    if (ec->running) // taken up again, or given up for another
        ec->running->runner = NULL;
    ec->running = NULL;
    ec->resume_rip = 0;
    enum abi_status status = object ? begin(ec, ec_of(object)) : ABI_BAD_CAPABILITY;
    if (status != ABI_OK)
        return status_result(status);
    struct vcpu *vcpu = ec_of(object)->vcpu;
    xstate_save(ec->xstate);
    while (vcpu_ops()->run(vcpu) == VCPU_INTERRUPT) {
        cpu_take_interrupts();
        if (!cpu->current_ec)
            schedule();
        if (!ec->running) { // the vCPU was destroyed
            end(ec);
            return status_result(ABI_ABORTED);
        }
        if (cpu->sched.resched || ec->hazard) {
            end(ec);
            ec_restart(ec);
            ec->resume_rip = ec->regs.rip;
            if (cpu->sched.resched)
                schedule();
            ec_run(ec);
        }
    }
    end(ec);
    ec->running->runner = NULL;
    ec->running = NULL;
    return (struct result){ABI_OK, vcpu->state->reason};
}
