/* SPDX-License-Identifier: MIT */
/* KVM_RUN, and what each of its exits is to the VM process. */
#include "hosts/linux/kvm_engine.h"

#include "vmm/cpu/deliver.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/opcode.h"
#include "vmm/machine.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GP 13u

enum kvm_enter kvm_enter(struct kvm_vcpu *v)
{
    int status;

    atomic_store(&v->thread, gettid());
    v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_EVENTS;
    status = ioctl(v->fd, KVM_RUN, 0);
    atomic_store(&v->thread, 0);
    v->run->kvm_dirty_regs = 0;
    if (status == 0)
        return KVM_ENTER_EXIT;
    return errno == EINTR || errno == EAGAIN ? KVM_ENTER_BACK : KVM_ENTER_FAILED;
}

static bool leave(struct cpu_state *state, enum engine_exit reason, uint64_t q0, uint64_t q1)
{
    state->reason = reason;
    state->q0 = q0;
    state->q1 = q1;
    return true;
}

static bool fail(struct engine *engine, unsigned vcpu, const char *what)
{
    vm_log(engine->vm, "vcpu %u: KVM: %s: error %d", vcpu, what, errno);
    engine->broken = true;
    return false;
}

/* --- Accesses in the middle of an instruction --- */

/* KVM's emulator gathers string instructions: count accesses of one size to one port. */
static bool access_port(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    const struct kvm_run *run = v->run;
    unsigned size = run->io.size;
    uint8_t *data = (uint8_t *)v->run + run->io.data_offset;

    if ((size != 1 && size != 2 && size != 4) || run->io.data_offset > v->run_size ||
        run->io.count > (v->run_size - run->io.data_offset) / size)
        return false;
    for (uint32_t i = 0; i < run->io.count; i++, data += size) {
        uint32_t value = 0;

        if (run->io.direction == KVM_EXIT_IO_IN) {
            value = port_bus_read(&vcpu->vm->ports, run->io.port, size);
            memcpy(data, &value, size);
        } else {
            memcpy(&value, data, size);
            port_bus_write(&vcpu->vm->ports, run->io.port, size, value);
        }
    }
    return true;
}

/* In pieces of 1, 2, 4 or 8 bytes, lowest address first. */
static bool access_memory(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    const struct interp *interp = vcpu_interp(vcpu);
    struct kvm_run *run = v->run;
    unsigned size;

    if (run->mmio.len > sizeof(run->mmio.data))
        return false;
    for (unsigned at = 0; at < run->mmio.len; at += size) {
        unsigned left = run->mmio.len - at;
        uint64_t value = 0;

        size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (run->mmio.is_write) {
            memcpy(&value, run->mmio.data + at, size);
            interp->ops->mmio_write(interp->arg, run->mmio.phys_addr + at, size, value);
        } else {
            value = interp->ops->mmio_read(interp->arg, run->mmio.phys_addr + at, size);
            memcpy(run->mmio.data + at, &value, size);
        }
    }
    return true;
}

/* What KVM refuses of an MSR that it keeps is #GP. */
static void access_msr(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    struct kvm_run *run = v->run;
    uint32_t index = run->msr.index;
    uint64_t value = 0;
    bool done = false;

    if (run->exit_reason == KVM_EXIT_X86_WRMSR) {
        if (!kvm_keeps_msr(index))
            done = msr_write(vcpu, index, run->msr.data);
    } else {
        if (!kvm_keeps_msr(index))
            done = msr_read(vcpu, index, &value);
        run->msr.data = value;
    }
    run->msr.error = !done;
}

/*
 * Is the exit an access that KVM waits for? Then it has been made, and the next KVM_RUN completes
 * the instruction. *good: false if the exit makes no sense.
 */
static bool access_made(struct kvm_vcpu *v, struct vcpu *vcpu, bool *good)
{
    *good = true;
    switch (v->run->exit_reason) {
    case KVM_EXIT_IO:
        *good = access_port(v, vcpu);
        return true;
    case KVM_EXIT_MMIO:
        *good = access_memory(v, vcpu);
        return true;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
        access_msr(v, vcpu);
        return true;
    default:
        return false;
    }
}

/* --- Other exits --- */

/* KVM has gone past the HLT; its handler goes past it again. */
static bool halted(struct cpu_state *state)
{
    state->rip--;
    leave(state, EXIT_HLT, 0, 0);
    state->insn_len = 1;
    return true;
}

/* MOV to a control register, LMSW, INVLPG and their neighbours, INVPCID. */
static bool changes_translation(const struct insn *insn)
{
    const struct opcode_row *row = &opcode_rows[insn->op];

    return (row->map == MAP_0F && (row->byte == 0x01 || row->byte == 0x22)) ||
           (row->map == MAP_38 && row->byte == 0x82);
}

/* What KVM's emulator does not have, the interpreter may: one instruction, from the same state. */
static bool emulate(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    vcpu_emulate(vcpu);
    v->flush |= changes_translation(&vcpu_interp(vcpu)->insn);
    return leave(vcpu->state, EXIT_RECALL, 0, 0);
}

/* A delivery that needs a device's memory is the interpreter's, or the fault that it ends in. */
static bool deliver(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    enum interp_status status = interp_deliver(vcpu_interp(vcpu), state->event);

    if (status == INTERP_DONE)
        state->event = 0;
    else if (status == INTERP_FAULT)
        vcpu_fault(vcpu);
    else
        vcpu_exception(vcpu, GP, 0);
    return leave(state, EXIT_RECALL, 0, 0);
}

static bool internal_error(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
        return emulate(v, vcpu);
    if (v->run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV &&
        (vcpu->state->event & CPU_EVENT_VALID))
        return deliver(vcpu);
    vm_log(vcpu->vm, "vcpu %u: KVM: internal error %u", vcpu->id, v->run->internal.suberror);
    return leave(vcpu->state, EXIT_OTHER, v->run->exit_reason, v->run->internal.suberror);
}

static bool leave_for(struct kvm_vcpu *v, struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;

    switch (v->run->exit_reason) {
    case KVM_EXIT_HLT:
        return halted(state);
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        state->requests &= ~CPU_REQUEST_WINDOW;
        return leave(state, EXIT_WINDOW, 0, 0);
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_INTR:
        return leave(state, EXIT_RECALL, 0, 0);
    case KVM_EXIT_SHUTDOWN:
        return leave(state, EXIT_SHUTDOWN, 0, 0);
    case KVM_EXIT_FAIL_ENTRY:
        return leave(state, EXIT_INVALID, v->run->fail_entry.hardware_entry_failure_reason, 0);
    case KVM_EXIT_INTERNAL_ERROR:
        return internal_error(v, vcpu);
    default:
        return leave(state, EXIT_OTHER, v->run->exit_reason, 0);
    }
}

/* --- The run --- */

static bool window_wanted(const struct cpu_state *state)
{
    return (state->requests & CPU_REQUEST_WINDOW) &&
           (!state->window_priority || state->window_priority > state->cr8);
}

/* Has the vCPU something to do before the guest goes on? */
static bool must_leave(struct kvm_vcpu *v, const struct vcpu *vcpu)
{
    return atomic_load(&v->kicked) || vcpu->check || vcpu->state->dirty;
}

/* All accesses of the instruction that KVM is in are made: KVM completes it and comes back. */
static bool complete(struct engine *engine, struct kvm_vcpu *v, struct vcpu *vcpu)
{
    bool good = true;

    for (;;) {
        enum kvm_enter how;

        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        how = kvm_enter(v);
        if (how == KVM_ENTER_FAILED)
            return fail(engine, vcpu->id, "KVM_RUN");
        kvm_take(v);
        if (how == KVM_ENTER_BACK)
            return leave(vcpu->state, EXIT_RECALL, 0, 0);
        if (!access_made(v, vcpu, &good))
            return leave_for(v, vcpu);
        if (!good)
            return fail(engine, vcpu->id, "an access out of bounds");
    }
}

/* Enters the guest until there is something for the vCPU. */
static bool run(struct engine *engine, struct kvm_vcpu *v, struct vcpu *vcpu)
{
    bool good = true;

    for (;;) {
        enum kvm_enter how;

        v->run->request_interrupt_window = window_wanted(vcpu->state);
        how = kvm_enter(v);
        if (how == KVM_ENTER_FAILED)
            return fail(engine, vcpu->id, "KVM_RUN");
        kvm_take(v);
        if (how == KVM_ENTER_BACK)
            return leave(vcpu->state, EXIT_RECALL, 0, 0);
        if (!access_made(v, vcpu, &good))
            return leave_for(v, vcpu);
        if (!good)
            return fail(engine, vcpu->id, "an access out of bounds");
        vcpu->exits++;
        v->run->cr8 = vcpu->state->cr8;
        if (must_leave(v, vcpu))
            return complete(engine, v, vcpu);
    }
}

/* A TSC that cannot be moved is the processor's, whatever is written to it; the rest agrees. */
static void keep_tsc(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;

    if ((state->dirty & CPU_CONTROL) && state->tsc_offset) {
        lapic_set_tsc_skew(&vcpu->lapic, vcpu->lapic.tsc_skew - state->tsc_offset);
        state->tsc_offset = 0;
    }
}

/*
 * The kick sets `kicked` first and immediate_exit behind it; here immediate_exit is cleared before
 * `kicked` is read. So a kick that is not seen here makes the next KVM_RUN come back.
 */
bool kvm_engine_run(struct engine *engine, unsigned n)
{
    struct kvm_vcpu *v = &engine->vcpu[n];
    struct vcpu *vcpu = &engine->vm->vcpu[n];
    bool handed = v->state->requests & CPU_REQUEST_NMIWINDOW;

    if (engine->broken)
        return false;
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (atomic_exchange(&v->kicked, 0))
        return leave(v->state, EXIT_RECALL, 0, 0);
    if (!engine->tsc_moves)
        keep_tsc(vcpu);
    if (!kvm_put(v))
        return fail(engine, n, "registers refused");
    if (handed)
        vcpu->nmi = 0; // KVM knows no NMI window: it holds the NMI itself until it can come in
    return run(engine, v, vcpu);
}
