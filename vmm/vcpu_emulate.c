/* SPDX-License-Identifier: MIT */
/*
 * The interpreter at work for a vCPU: memory-mapped I/O, string port accesses, instruction
 * lengths.
 */
#include "vmm/vcpu.h"

#include "vmm/machine.h"

#define UD 6u

static uint8_t *ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    struct vcpu *vcpu = arg;

    if (write && vcpu->ops->written)
        vcpu->ops->written(vcpu->engine, vcpu->id, gpa, size);
    return memory_pointer(&vcpu->vm->memory, gpa, size);
}

/* The local APIC's page belongs to each vCPU itself. */
static bool is_lapic(const struct vcpu *vcpu, uint64_t gpa)
{
    uint64_t base = vcpu->lapic.base;

    return (base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2)) == LAPIC_BASE_ENABLE &&
           (gpa ^ base) >> 12 == 0;
}

/* Devices may use the vector registers. */
static void settle(struct vcpu *vcpu)
{
    if (vcpu->ops->live_vectors)
        (void)vcpu_need(vcpu, CPU_XSTATE);
}

/* No device is there: the log has what they said. */
static bool replays(const struct vcpu *vcpu)
{
    return vcpu->vm->record && vcpu->vm->record->replays;
}

static const char *memory_name(struct vcpu *vcpu, uint64_t gpa)
{
    return is_lapic(vcpu, gpa) ? "local APIC" : memory_bus_name(&vcpu->vm->mmio, gpa);
}

static void trace_access(struct vcpu *vcpu, const char *name, const char *what, uint64_t at,
                         unsigned size, uint64_t value)
{
    vm_trace(vcpu->vm, "%u exits %lx: %s %s %lx.%u %lx", vcpu->id, vcpu->state->rip,
             name ? name : "nobody", what, at, size, value);
}

static uint64_t mmio_read(void *arg, uint64_t gpa, unsigned size)
{
    struct vcpu *vcpu = arg;

    uint64_t value;

    settle(vcpu);
    if (replays(vcpu)) {
        value = 0;
    } else if (is_lapic(vcpu, gpa)) {
        vcpu_take_priority(vcpu);
        value = lapic_mmio_read(&vcpu->lapic, gpa & 0xffc) >> (8 * (gpa & 3));
    } else {
        value = memory_bus_read(&vcpu->vm->mmio, gpa, size);
    }
    if (vcpu->vm->record)
        record_access(vcpu, RECORD_READ, gpa, &value, &(uint64_t){size});
    if (vm_traces(vcpu->vm, TRACE_EXITS))
        trace_access(vcpu, memory_name(vcpu, gpa), "read", gpa, size, value);
    return value;
}

static void mmio_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    struct vcpu *vcpu = arg;
    uint64_t extra = size;

    settle(vcpu);
    if (vm_traces(vcpu->vm, TRACE_EXITS))
        trace_access(vcpu, memory_name(vcpu, gpa), "write", gpa, size, value);
    if (replays(vcpu)) {
        extra = 0;
    } else if (!is_lapic(vcpu, gpa)) {
        memory_bus_write(&vcpu->vm->mmio, gpa, size, value);
    } else if (size >= 4) {
        vcpu_take_priority(vcpu);
        lapic_mmio_write(&vcpu->lapic, gpa & 0xfff, (uint32_t)value);
        vcpu->state->cr8 = lapic_cr8(&vcpu->lapic);
        extra |= (vcpu->state->cr8 + 1ull) << 8;
    }
    if (!vcpu->vm->record)
        return;
    record_access(vcpu, RECORD_WRITE, gpa, &value, &extra);
    if (replays(vcpu) && extra >> 8)
        vcpu->state->cr8 = (uint8_t)((extra >> 8) - 1);
}

uint32_t vcpu_port_in(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    uint64_t value = replays(vcpu) ? 0 : port_bus_read(&vcpu->vm->ports, port, size), extra = 0;

    if (vcpu->vm->record)
        record_access(vcpu, RECORD_IN, port | (uint64_t)size << 16, &value, &extra);
    if (vm_traces(vcpu->vm, TRACE_EXITS))
        trace_access(vcpu, port_bus_name(&vcpu->vm->ports, port), "in", port, size, value);
    return (uint32_t)value;
}

void vcpu_port_out(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value)
{
    if (vm_traces(vcpu->vm, TRACE_EXITS))
        trace_access(vcpu, port_bus_name(&vcpu->vm->ports, port), "out", port, size, value);
    if (!replays(vcpu))
        port_bus_write(&vcpu->vm->ports, port, size, value);
    if (vcpu->vm->record)
        record_access(vcpu, RECORD_OUT, port | (uint64_t)size << 16, &(uint64_t){value}, &(uint64_t){0});
}

static uint32_t port_in(void *arg, uint16_t port, unsigned size)
{
    struct vcpu *vcpu = arg;

    settle(vcpu);
    return vcpu_port_in(vcpu, port, size);
}

static void port_out(void *arg, uint16_t port, unsigned size, uint32_t value)
{
    struct vcpu *vcpu = arg;

    settle(vcpu);
    vcpu_port_out(vcpu, port, size, value);
}

static void need(void *arg, uint32_t groups)
{
    (void)vcpu_need(arg, groups);
}

static const struct interp_ops ops = {
    .ram = ram, .mmio_read = mmio_read, .mmio_write = mmio_write, .port_in = port_in,
    .port_out = port_out, .need = need,
};

struct interp *vcpu_interp(struct vcpu *vcpu)
{
    if (!vcpu->interp.state) {
        interp_init(&vcpu->interp, vcpu->state, &ops, vcpu, cpuid_physical_bits(&vcpu->vm->cpuid));
        vcpu->interp.monitors = cpuid_has(&vcpu->vm->cpuid, 1, 0, 2, CPUID_1_ECX_MONITOR);
        vcpu->interp.amd = cpuid_is_amd(&vcpu->vm->cpuid);
    }
    return &vcpu->interp;
}

void vcpu_fault(struct vcpu *vcpu)
{
    const struct interp_fault *fault = &vcpu->interp.fault;

    vcpu_exception(vcpu, fault->vector, fault->has_code ? fault->code : VCPU_NO_CODE);
}

/*
 * An instruction on a device's memory that the interpreter does not have is one that no driver
 * uses there; as an engine it does not have what CPUID does not show.
 */
void vcpu_unsupported(struct vcpu *vcpu)
{
    const struct insn *insn = &vcpu->interp.insn;

    if (vcpu->reports++ < VCPU_REPORTS_MAX)
        vm_log(vcpu->vm, "vcpu %u: no emulation of %s at %lx: #UD", vcpu->id,
               opcode_name(insn->op), vcpu->state->rip);
    vcpu_exception(vcpu, UD, VCPU_NO_CODE);
}

void vcpu_emulate(struct vcpu *vcpu)
{
    switch (interp_step(vcpu_interp(vcpu))) {
    case INTERP_DONE:
    case INTERP_AGAIN:
        break;
    case INTERP_FAULT:
        vcpu_fault(vcpu);
        break;
    case INTERP_EXIT:
        vcpu_handle_exit(vcpu);
        break;
    case INTERP_UNSUPPORTED:
        vcpu_unsupported(vcpu);
        break;
    }
}

unsigned vcpu_length(struct vcpu *vcpu)
{
    if (vcpu->state->insn_len)
        return vcpu->state->insn_len;
    if (interp_fetch(vcpu_interp(vcpu)) == INTERP_DONE)
        return vcpu->interp.insn.length;
    vcpu_fault(vcpu);
    return 0;
}
