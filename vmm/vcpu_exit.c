/* SPDX-License-Identifier: MIT */
/* What each exit of the engine means to the vCPU. */
#include "vmm/vcpu.h"

#include "vmm/cpu/debug.h"
#include "vmm/cpu/deliver.h"
#include "vmm/machine.h"

#define DB 1u
#define BP 3u
#define OF 4u
#define UD 6u
#define GP 13u

#define KVM_ENOSYS    1000u
#define KVM_EPERM     1u
#define KVM_EINVAL    22u
#define KVM_HC_SEND_IPI 10u
#define XCR0_X87      1u
#define XCR0_SSE      2u
#define XCR0_AVX      4u

static void debug_trap(struct vcpu *vcpu, uint32_t why)
{
    debug_report(vcpu_change(vcpu, CPU_DR), why);
    vcpu_exception(vcpu, DB, VCPU_NO_CODE);
}

void vcpu_advance(struct vcpu *vcpu, uint64_t rip)
{
    struct cpu_state *state = vcpu->state;

    state->rip = rip;
    state->shadow = 0;
    state->rflags &= ~RFLAGS_RF;
    if (state->rflags & RFLAGS_TF)
        debug_trap(vcpu, DR6_BS);
}

/* Goes on behind the instruction, if it can be fetched. */
static bool skip(struct vcpu *vcpu)
{
    unsigned length = vcpu_length(vcpu);
    struct cpu_state *state;
    uint64_t rip;

    if (!length)
        return false;
    state = vcpu_need(vcpu, CPU_CSSS | CPU_EFER);
    rip = state->rip + length;
    if (!((state->efer & 0x400) && (state->cs.attr & CPU_SEG_L)))
        rip = (uint32_t)rip;
    vcpu_advance(vcpu, rip);
    return true;
}

static void set_low(uint64_t *reg, unsigned size, uint32_t value)
{
    if (size == 4)
        *reg = value;
    else if (size == 2)
        *reg = (*reg & ~0xffffull) | (value & 0xffff);
    else
        *reg = (*reg & ~0xffull) | (value & 0xff);
}

static void handle_io(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint32_t info = (uint32_t)state->q0;
    uint16_t port = (uint16_t)(info >> 16);
    unsigned size = (info & EXIT_IO_SIZE) >> 4;

    if (info & EXIT_IO_STRING) {
        vcpu_emulate(vcpu);
        return;
    }
    if (info & EXIT_IO_IN)
        set_low(&state->gpr[CPU_RAX], size, vcpu_port_in(vcpu, port, size));
    else
        vcpu_port_out(vcpu, port, size,
                      (uint32_t)state->gpr[CPU_RAX] & (size == 4 ? ~0u : (1u << 8 * size) - 1));
    vcpu_advance(vcpu, state->q1);
    if (debug_watches(state) && (state->cr4 & CR4_DE)) {
        uint32_t hits = debug_match(state, DEBUG_PORT, port, size);

        if (hits)
            debug_trap(vcpu, hits);
    }
}

/* What this processor says, which need not be the one of a replay. */
static void record_cpuid(struct vcpu *vcpu, struct cpuid_regs *r)
{
    uint64_t low = r->eax | (uint64_t)r->ebx << 32, high = r->ecx | (uint64_t)r->edx << 32;

    record_access(vcpu, RECORD_CPUID, vcpu->state->gpr[CPU_RAX], &low, &high);
    *r = (struct cpuid_regs){(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
}

static void handle_cpuid(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint32_t leaf = (uint32_t)state->gpr[CPU_RAX];
    struct cpuid_vcpu own = {.apic_id = vcpu->id, .xcr0 = XCR0_X87};
    struct cpuid_regs regs;

    own.apic_enabled = vcpu->lapic.base & LAPIC_BASE_ENABLE;
    if (leaf == 1 || leaf == 7)
        own.cr4 = vcpu_need(vcpu, CPU_CR)->cr4;
    if (leaf == 0xd)
        own.xcr0 = vcpu_need(vcpu, CPU_XSTATE)->xcr0;
    cpuid_query(&vcpu->vm->cpuid, &own, leaf, (uint32_t)state->gpr[CPU_RCX], &regs);
    if (vcpu->vm->record)
        record_cpuid(vcpu, &regs);
    if (!skip(vcpu))
        return;
    state->gpr[CPU_RAX] = regs.eax;
    state->gpr[CPU_RBX] = regs.ebx;
    state->gpr[CPU_RCX] = regs.ecx;
    state->gpr[CPU_RDX] = regs.edx;
}

static void set_edx_eax(struct cpu_state *state, uint64_t value)
{
    state->gpr[CPU_RAX] = (uint32_t)value;
    state->gpr[CPU_RDX] = value >> 32;
}

/* As msr_read() and msr_write(); in a replay the local APIC is not there. */
static bool access_msr(struct vcpu *vcpu, bool write, uint32_t index, uint64_t *value)
{
    const struct record *record = vcpu->vm->record;
    bool apic = msr_is_apic(index);
    uint64_t extra = 0;

    if (!record || !record->replays || !apic)
        extra = write ? msr_write(vcpu, index, *value) : msr_read(vcpu, index, value);
    if (record) {
        if (apic)
            extra |= (lapic_cr8(&vcpu->lapic) + 1ull) << 8;
        record_access(vcpu, write ? RECORD_MSR_WRITE : RECORD_MSR_READ, index, value, &extra);
        if (record->replays && apic && write)
            vcpu->state->cr8 = (uint8_t)((extra >> 8) - 1);
    }
    return extra & 1;
}

static void handle_msr(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint32_t index = (uint32_t)state->gpr[CPU_RCX];
    uint64_t value = state->gpr[CPU_RDX] << 32 | (uint32_t)state->gpr[CPU_RAX];
    bool done;

    done = access_msr(vcpu, state->q0 & 1, index, &value);
    if (vm_traces(vcpu->vm, TRACE_MSR))
        vm_trace(vcpu->vm, "%u msr %lx: %s %x %lx%s", vcpu->id, state->rip,
                 state->q0 & 1 ? "write" : "read", index, value, done ? "" : " #GP");
    if (!done) {
        vcpu_exception(vcpu, GP, 0);
        return;
    }
    if (skip(vcpu) && !(state->q0 & 1))
        set_edx_eax(state, value);
}

static void handle_hlt(struct vcpu *vcpu, bool monitors)
{
    if (!skip(vcpu))
        return;
    vcpu->monitors = monitors;
    vcpu->stored = false;
    if (!(vcpu->state->event & CPU_EVENT_VALID)) {
        vcpu->activity = VCPU_HALTED;
        vcpu->check = true;
    }
}

static void handle_tsc(struct vcpu *vcpu)
{
    bool with_aux = vcpu->state->q0;
    uint64_t value = vcpu_read_tsc(vcpu);

    if (!skip(vcpu))
        return;
    set_edx_eax(vcpu->state, value);
    if (with_aux)
        vcpu->state->gpr[CPU_RCX] = vcpu->msrs->tsc_aux;
}

/* The processor has checked CPL and CR4.OSXSAVE (APM volume 4, XSETBV). */
static void handle_xsetbv(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint64_t value = state->gpr[CPU_RDX] << 32 | (uint32_t)state->gpr[CPU_RAX];
    bool valid = (uint32_t)state->gpr[CPU_RCX] == 0 && (value & XCR0_X87) &&
                 !(value & ~cpuid_xcr0(&vcpu->vm->cpuid)) && !((value & XCR0_AVX) && !(value & XCR0_SSE));

    if (!valid)
        vcpu_exception(vcpu, GP, 0);
    else if (skip(vcpu))
        vcpu_change(vcpu, CPU_XSTATE)->xcr0 = value;
}

/*
 * An interrupt to those of a bitmap of 128 local APICs, from a first one on; the ICR has vector and
 * delivery mode (Linux, Documentation/virt/kvm/x86/hypercalls.rst). How many got it.
 */
static uint64_t send_ipis(struct vcpu *vcpu, const uint64_t map[2], uint64_t first, uint64_t icr)
{
    struct apic_message message = {.vector = (uint8_t)icr, .delivery = icr >> 8 & 7, .wide = true};
    uint64_t count = 0;

    if (icr & ~0x7ffull || (message.delivery != APIC_FIXED && message.delivery != APIC_NMI))
        return 0 - (uint64_t)KVM_EINVAL;
    for (unsigned i = 0; i < 128 && first + i < vcpu->vm->config.vcpus; i++) {
        message.destination = (uint32_t)first + i;
        if (map[i / 64] >> i % 64 & 1)
            count += apic_bus_send(&vcpu->vm->apics, &message);
    }
    return count;
}

/*
 * KVM's hypercalls, which its signature implies: the one for interrupts is understood, without being
 * announced; for others a guest learns that they are not there (Linux, kvm_para.h).
 */
static void handle_hypercall(struct vcpu *vcpu)
{
    uint64_t *r = vcpu->state->gpr, mask, map[2];
    const struct cpu_state *s = vcpu_need(vcpu, CPU_CSSS | CPU_EFER);
    bool wide = (s->efer & 0x400) && (s->cs.attr & CPU_SEG_L);

    if (!skip(vcpu))
        return;
    mask = wide ? UINT64_MAX : UINT32_MAX;
    map[0] = wide ? r[CPU_RBX] : (uint32_t)r[CPU_RBX] | r[CPU_RCX] << 32;
    map[1] = wide ? r[CPU_RCX] : 0;
    if (s->ss.attr & CPU_SEG_DPL)
        r[CPU_RAX] = 0 - (uint64_t)KVM_EPERM;
    else if ((r[CPU_RAX] & mask) == KVM_HC_SEND_IPI)
        r[CPU_RAX] = send_ipis(vcpu, map, r[CPU_RDX] & mask, r[CPU_RSI] & mask);
    else
        r[CPU_RAX] = 0 - (uint64_t)KVM_ENOSYS;
    r[CPU_RAX] &= mask;
}

static void fail(struct vcpu *vcpu, enum vm_end_reason reason)
{
    vcpu_report(vcpu, vm_end_name(reason));
    vm_finish(vcpu->vm, reason, vcpu->state->reason, vcpu->id);
}

/*
 * A task switch is executed in software: the delivery of the event that has met a task gate, or the
 * instruction at RIP. RIP is on INT n, INT3 and INTO too: they have vectors of their own.
 */
static void handle_task(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint64_t event = state->event, type = event & CPU_EVENT_TYPE;
    unsigned vector = event & 0xff;
    bool soft = type == CPU_EVENT_SOFT ||
                (type == CPU_EVENT_EXCEPTION && (vector == BP || vector == OF));

    if (!(event & CPU_EVENT_VALID) || soft) {
        state->event = 0;
        vcpu_emulate(vcpu);
    } else {
        switch (interp_deliver(vcpu_interp(vcpu), event)) {
        case INTERP_DONE:  state->event = 0; break;
        case INTERP_FAULT: vcpu_fault(vcpu); break;
        default:           vcpu_unsupported(vcpu); break;
        }
    }
    vcpu->ops->invalidate(vcpu->engine, vcpu->id);
}

/* Only an engine that notices writes leaves by it where CPUID shows it. */
static void handle_mwait(struct vcpu *vcpu)
{
    if (vcpu_interp(vcpu)->monitors)
        handle_hlt(vcpu, true);
    else
        vcpu_exception(vcpu, UD, VCPU_NO_CODE);
}

static void handle_rare(struct vcpu *vcpu)
{
    switch (vcpu->state->reason) {
    case EXIT_TSC:       handle_tsc(vcpu); break;
    case EXIT_PMC:       vcpu_exception(vcpu, GP, 0); break;
    case EXIT_CACHE:     (void)skip(vcpu); break; // caches are coherent: nothing to write back
    case EXIT_MWAIT:     handle_mwait(vcpu); break;
    case EXIT_SVM:       vcpu_exception(vcpu, UD, VCPU_NO_CODE); break;
    case EXIT_XSETBV:    handle_xsetbv(vcpu); break;
    case EXIT_HYPERCALL: handle_hypercall(vcpu); break;
    case EXIT_PAUSE:     (void)skip(vcpu); break;
    case EXIT_CR:
    case EXIT_DR:
    case EXIT_TABLE:
    case EXIT_INVLPG:
        vcpu_emulate(vcpu);
        vcpu->ops->invalidate(vcpu->engine, vcpu->id);
        break;
    case EXIT_TASK:      handle_task(vcpu); break;
    case EXIT_SHUTDOWN:
        fail(vcpu, VM_END_TRIPLE_FAULT);
        break;
    case EXIT_INVALID:
        fail(vcpu, VM_END_INVALID_STATE);
        break;
    default:
        fail(vcpu, VM_END_ENGINE);
        break;
    }
}

void vcpu_handle_exit(struct vcpu *vcpu)
{
    switch (vcpu->state->reason) {
    case EXIT_IO:        handle_io(vcpu); break;
    case EXIT_MEMORY:    vcpu_emulate(vcpu); break;
    case EXIT_MSR:       handle_msr(vcpu); break;
    case EXIT_CPUID:     handle_cpuid(vcpu); break;
    case EXIT_HLT:       handle_hlt(vcpu, false); break;
    case EXIT_WINDOW:
    case EXIT_NMIWINDOW: vcpu->check = true; break;
    case EXIT_RECALL:    break;
    default:             handle_rare(vcpu); break;
    }
}
