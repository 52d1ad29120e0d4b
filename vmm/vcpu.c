/* SPDX-License-Identifier: MIT */
/* The vCPU's loop: signals, delivery of interrupts, entry, sleep. */
#include "vmm/vcpu.h"

#include "vmm/machine.h"

#include <stdatomic.h>

#define RFLAGS_IF 0x200u

/*
 * The signaller sets `pending` and then reads `asleep` and `inside`; the thread sets one of these
 * and then reads `pending` (all sequentially consistent), so one of both sees the other. A kick
 * is sticky: one too many costs an exit, none is lost.
 */
void vcpu_signal(struct vcpu *vcpu, uint32_t bits)
{
    if ((atomic_fetch_or(&vcpu->pending, bits) & bits) == bits)
        return;
    if (atomic_load(&vcpu->asleep)) {
        if (atomic_exchange(&vcpu->asleep, 0))
            host_event_signal(vcpu->wake);
    } else if (atomic_load(&vcpu->inside)) {
        vcpu->ops->kick(vcpu->engine, vcpu->id);
    }
}

static void lapic_signalled(void *context, enum lapic_signal signal, uint8_t vector)
{
    static const uint32_t bits[] = {
        [LAPIC_INTERRUPT] = VCPU_INTERRUPT, [LAPIC_NMI] = VCPU_NMI, [LAPIC_INIT] = VCPU_INIT,
        [LAPIC_SIPI] = VCPU_SIPI,
    };
    struct vcpu *vcpu = context;

    if (signal == LAPIC_SIPI)
        atomic_store(&vcpu->sipi, vector);
    if (signal == LAPIC_NMI)
        atomic_fetch_add(&vcpu->nmis, 1);
    vcpu_signal(vcpu, bits[signal]);
}

/* Groups that the handling of an exit nearly always needs. */
static void set_wants(struct cpu_state *state)
{
    const uint16_t fetch = CPU_CSSS | CPU_CR | CPU_EFER;

    for (unsigned i = 0; i < EXIT_COUNT; i++)
        state->want[i] = 0;
    state->want[EXIT_MEMORY] = fetch;
    state->want[EXIT_CPUID] = fetch;
    state->want[EXIT_MSR] = fetch;
    state->want[EXIT_HLT] = fetch;
}

enum vmm_status vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned id)
{
    vcpu->vm = vm;
    vcpu->id = id;
    vcpu->ops = vm->ops;
    vcpu->engine = vm->engine;
    vcpu->state = vm->ops->state(vm->engine, id);
    vcpu->msrs = &vm->msrs[id];
    vcpu->wake = host_event_create(vm->host);
    if (!vcpu->state || !vcpu->wake)
        return VMM_NO_MEMORY;
    set_wants(vcpu->state);
    vcpu->lapic.signal = lapic_signalled;
    vcpu->lapic.vcpu = vcpu;
    return lapic_init(&vcpu->lapic, &vm->apics, &vm->clock, id);
}

uint64_t vcpu_tsc(const struct vcpu *vcpu)
{
    return clock_now(&vcpu->vm->clock) + vcpu->lapic.tsc_skew;
}

uint64_t vcpu_read_tsc(struct vcpu *vcpu)
{
    uint64_t value = vcpu_tsc(vcpu), extra = 0;

    if (vcpu->vm->record)
        record_access(vcpu, RECORD_TSC, 0, &value, &extra);
    return value;
}

void vcpu_set_tsc(struct vcpu *vcpu, uint64_t value)
{
    uint64_t skew = value - clock_now(&vcpu->vm->clock);

    lapic_set_tsc_skew(&vcpu->lapic, skew);
    vcpu_change(vcpu, CPU_CONTROL)->tsc_offset = vcpu->vm->clock.offset + skew;
}

/* Contributory exceptions (SDM volume 3, table 6-4): #DE, #TS, #NP, #SS, #GP. */
static bool contributory(unsigned vector)
{
    return vector == 0 || (vector >= 10 && vector <= 13);
}

void vcpu_exception(struct vcpu *vcpu, unsigned vector, uint32_t code)
{
    struct cpu_state *state = vcpu->state;
    unsigned first = state->event & 0xff;

    if (vm_traces(vcpu->vm, TRACE_FAULTS))
        vm_trace(vcpu->vm, "%u faults %lx: vector %u error %x cr2 %lx", vcpu->id, state->rip, vector,
                 code == VCPU_NO_CODE ? 0 : code, state->cr2);
    if ((state->event & (CPU_EVENT_VALID | CPU_EVENT_TYPE)) ==
        (CPU_EVENT_VALID | CPU_EVENT_EXCEPTION)) {
        bool is_double = (contributory(first) && contributory(vector)) ||
                         (first == 14 && (vector == 14 || contributory(vector)));

        if (first == 8 && (contributory(vector) || vector == 14)) {
            vcpu_report(vcpu, "triple fault");
            vm_finish(vcpu->vm, VM_END_TRIPLE_FAULT, 0, vcpu->id);
            return;
        }
        if (is_double) {
            vector = 8;
            code = 0;
        }
    }
    state->event = CPU_EVENT_VALID | CPU_EVENT_EXCEPTION | vector;
    if (code != VCPU_NO_CODE)
        state->event |= CPU_EVENT_ERROR | (uint64_t)code << 32;
    if (vcpu->vm->record)
        record_fault(vcpu);
}

static bool extint_waits(const struct vcpu *vcpu)
{
    return vcpu->lapic.lint0 && lapic_takes_extint(&vcpu->lapic);
}

static bool interrupt_waits(const struct vcpu *vcpu)
{
    return lapic_pending(&vcpu->lapic) >= 0 || extint_waits(vcpu);
}

static void trace_interrupt(struct vcpu *vcpu, const char *source, int vector)
{
    if (vm_traces(vcpu->vm, TRACE_INTERRUPTS) && vector >= 0)
        vm_trace(vcpu->vm, "%u interrupts %lx: vector %d from %s", vcpu->id, vcpu->state->rip,
                 vector, source);
}

/*
 * The interrupt to deliver, taken from its controller; -1: the 8259's request went to another
 * vCPU.
 */
static int take_interrupt(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    int vector = -1;

    if (extint_waits(vcpu)) {
        host_mutex_lock(vm->lock);
        if (pic_requests(&vm->pic))
            vector = pic_acknowledge(&vm->pic);
        host_mutex_unlock(vm->lock);
        trace_interrupt(vcpu, "8259", vector);
        return vector;
    }
    vector = lapic_pending(&vcpu->lapic);
    if (vector >= 0)
        lapic_acknowledge(&vcpu->lapic, (uint8_t)vector);
    trace_interrupt(vcpu, "local APIC", vector);
    return vector;
}

static void deliver_nmi(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;

    if ((state->event & CPU_EVENT_VALID) || state->nmi_blocked || state->shadow) {
        state->requests |= CPU_REQUEST_NMIWINDOW;
        return;
    }
    state->event = CPU_EVENT_VALID | CPU_EVENT_NMI | 2;
    if (vcpu->vm->record)
        record_event(vcpu);
    trace_interrupt(vcpu, "NMI", 2);
    if (--vcpu->nmi)
        state->requests |= CPU_REQUEST_NMIWINDOW;
}

/*
 * A processor keeps one NMI while it serves another (APM volume 2, 8.2.3). One that came to a
 * processor that serves none would have been taken at once: then there is room for two.
 */
static void take_nmis(struct vcpu *vcpu)
{
    const struct cpu_state *state = vcpu->state;
    uint32_t room = state->nmi_blocked || (state->event & CPU_EVENT_TYPE) == CPU_EVENT_NMI ? 1 : 2;
    uint32_t waiting = vcpu->nmi + atomic_exchange(&vcpu->nmis, 0);

    vcpu->nmi = (uint8_t)(waiting < room ? waiting : room);
}

/* A window for the next interrupt: when RFLAGS and the shadow allow it, and CR8 is below its class. */
static void request_window(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    unsigned priority = lapic_next_class(&vcpu->lapic);
    bool extint = extint_waits(vcpu);

    state->requests &= ~CPU_REQUEST_WINDOW;
    if (!extint && !priority)
        return;
    state->requests |= CPU_REQUEST_WINDOW;
    state->window_priority = extint ? 0 : (uint8_t)priority;
}

/* Delivers what can be delivered now, and asks for a window for what cannot. */
static void deliver(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    int vector;

    if (vcpu->nmi)
        deliver_nmi(vcpu);
    vcpu->check = false;
    if (interrupt_waits(vcpu) && !(state->event & CPU_EVENT_VALID) && (state->rflags & RFLAGS_IF) &&
        !state->shadow) {
        vector = take_interrupt(vcpu);
        if (vector >= 0) {
            state->event = CPU_EVENT_VALID | CPU_EVENT_INTR | (unsigned)vector;
            if (vcpu->vm->record)
                record_event(vcpu);
        }
    }
    request_window(vcpu);
}

/* No exit but the watchdog's own since its last look, and no interrupt could come in. */
static void look(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    bool idle = vcpu->exits <= vcpu->looked + 1 && !(vcpu->state->rflags & RFLAGS_IF);

    vcpu->looked = vcpu->exits;
    if (idle && !vcpu->stuck && vcpu->activity == VCPU_RUNNING)
        vm_log(vm, "vcpu %u: interrupts off and no exit for %u ms, at %lx", vcpu->id,
               vm->config.watchdog_ms, vcpu->state->rip);
    vcpu->stuck = idle;
}

void vcpu_take_a20(struct vcpu *vcpu)
{
    struct interp *interp = vcpu_interp(vcpu);
    uint64_t masked = atomic_load(&vcpu->vm->masked);

    if (!vcpu->ops->masks_a20 || interp->walk.masked == masked)
        return;
    interp_mask(interp, masked);
    vcpu->ops->invalidate(vcpu->engine, vcpu->id);
}

/* Takes what other threads have left. False: the machine has ended. */
static bool absorb(struct vcpu *vcpu)
{
    uint32_t generation = atomic_load(&vcpu->vm->generation);
    uint32_t bits = atomic_exchange(&vcpu->pending, 0);

    if (bits & VCPU_A20)
        vcpu_take_a20(vcpu);
    if ((bits & VCPU_STOP) && !vm_park(vcpu->vm, vcpu))
        return false;
    if (atomic_load(&vcpu->vm->generation) != generation)
        return true; // a reset: what came before it is void
    if (bits & VCPU_LOOK)
        look(vcpu);
    if (bits & VCPU_INIT)
        vcpu_init_reset(vcpu);
    if ((bits & VCPU_SIPI) && vcpu->activity == VCPU_WAIT_SIPI)
        vcpu_start_up(vcpu, (uint8_t)atomic_load(&vcpu->sipi));
    if (bits & VCPU_NMI)
        take_nmis(vcpu);
    if (bits & VCPU_STORE)
        vcpu->stored = true;
    if (bits & (VCPU_NMI | VCPU_INTERRUPT))
        vcpu->check = true;
    return true;
}

/*
 * A timer of its own that is due within `most` ticks is waited for awake: the way by the device
 * thread takes longer. True: something may have happened.
 */
static bool await_timer(struct vcpu *vcpu, uint64_t begin, uint64_t most)
{
    const struct clock *clock = &vcpu->vm->clock;
    uint64_t due = most ? lapic_timer_due(&vcpu->lapic) : CLOCK_NEVER, now = clock_now(clock);

    if (due == CLOCK_NEVER || (due > now && due - now > most))
        return false;
    while (clock_now(clock) < due && host_ticks(vcpu->vm->host) - begin <= most) {
        if (atomic_load_explicit(&vcpu->pending, memory_order_relaxed))
            return true;
        __asm__ volatile("pause");
    }
    lapic_timer_run(&vcpu->lapic);
    return atomic_load_explicit(&vcpu->pending, memory_order_relaxed);
}

/*
 * Waits for a signal: first awake, as long as that has been worth it, then asleep. The time doubles
 * while signals come soon, and is given up when one does not.
 */
static void wait(struct vcpu *vcpu)
{
    struct host *host = vcpu->vm->host;
    uint64_t most = host_poll_ticks(host), begin = host_ticks(host);

    if (await_timer(vcpu, begin, most))
        return;
    if (vcpu->poll && !vcpu->looked_awake)
        do {
            if (atomic_load_explicit(&vcpu->pending, memory_order_relaxed))
                return;
            __asm__ volatile("pause");
        } while (host_ticks(host) - begin < vcpu->poll);
    vcpu->looked_awake = false;
    atomic_store(&vcpu->asleep, 1);
    if (!atomic_load(&vcpu->pending))
        (void)host_event_wait(vcpu->wake, HOST_FOREVER);
    atomic_store(&vcpu->asleep, 0);
    if (host_ticks(host) - begin > most)
        vcpu->poll = 0;
    else
        vcpu->poll = 2 * vcpu->poll < most / 8 ? most / 8 : 2 * vcpu->poll > most ? most : 2 * vcpu->poll;
}

/* Blocks while there is nothing to run. False: the machine has ended. */
static bool rest(struct vcpu *vcpu)
{
    for (;;) {
        if (!absorb(vcpu))
            return false;
        if (vcpu->activity == VCPU_HALTED &&
            (vcpu->nmi || ((vcpu->state->rflags & RFLAGS_IF) && interrupt_waits(vcpu)) ||
             (vcpu->monitors && vcpu->stored)))
            vcpu->activity = VCPU_RUNNING;
        if (vcpu->activity == VCPU_RUNNING)
            return true;
        wait(vcpu);
    }
}

/*
 * A delivery that the exit has interrupted is injected again; but INT n and INT3, whose
 * instruction has not been left, are executed again instead (APM volume 2, 15.7.2).
 */
static void keep_event(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;
    uint64_t type = state->event & CPU_EVENT_TYPE;
    unsigned vector = state->event & 0xff;

    if (type == CPU_EVENT_SOFT ||
        (type == CPU_EVENT_EXCEPTION && (vector == 3 || vector == 4)))
        state->event = 0;
    vcpu->check = true;
}

/* One entry and the exit it ends with. False: the machine has ended. */
static bool step(struct vcpu *vcpu)
{
    struct cpu_state *state = vcpu->state;

    if (vcpu->check)
        deliver(vcpu);
    atomic_store(&vcpu->inside, 1);
    if (atomic_load(&vcpu->pending)) {
        atomic_store_explicit(&vcpu->inside, 0, memory_order_relaxed);
        return absorb(vcpu);
    }
    state->cr8 = lapic_cr8(&vcpu->lapic);
    if (!vcpu->ops->run(vcpu->engine, vcpu->id)) {
        vm_finish(vcpu->vm, VM_END_ENGINE, 0, vcpu->id);
        return false;
    }
    atomic_store_explicit(&vcpu->inside, 0, memory_order_relaxed);
    vcpu->exits++;
    if (vcpu->vm->record)
        record_flush(vcpu->vm->record);
    vcpu_take_priority(vcpu);
    if (state->event)
        keep_event(vcpu);
    vcpu_handle_exit(vcpu);
    return true;
}

void vcpu_loop(struct vm *vm, unsigned id)
{
    struct vcpu *vcpu = &vm->vcpu[id];

    vcpu_power_on(vcpu);
    if (vm->config.replay.size) {
        replay_run(vcpu);
        return;
    }
    if (vm->record)
        record_begin(vcpu);
    while (vcpu->activity != VCPU_RUNNING ? rest(vcpu) : step(vcpu))
        ;
    if (vm->record)
        record_end(vcpu);
}
