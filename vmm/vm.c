/* SPDX-License-Identifier: MIT */
/* The machine's life: creation, the host's calls, reset and end. */
#include "vmm/vm.h"

#include "lib/format.h"
#include "lib/string.h"
#include "vmm/machine.h"

#include <stdatomic.h>

void vm_log(struct vm *vm, const char *format, ...)
{
    char line[160];
    va_list arguments;

    va_start(arguments, format);
    format_string_va(line, sizeof(line), format, arguments);
    va_end(arguments);
    host_log(vm->host, line);
}

void vm_trace(struct vm *vm, const char *format, ...)
{
    char line[160];
    va_list arguments;

    va_start(arguments, format);
    format_string_va(line, sizeof(line), format, arguments);
    va_end(arguments);
    vm->config.trace_line(vm->host, line);
}

/* Every look of the watchdog is an exit of each vCPU that runs. */
static void watchdog(void *context)
{
    struct vm *vm = context;

    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (vm->vcpu[i].inside)
            vcpu_signal(&vm->vcpu[i], VCPU_LOOK);
    clock_timer_set(&vm->clock, &vm->watchdog, clock_now(&vm->clock) +
                    clock_from_count(&vm->clock, vm->config.watchdog_ms, 1000));
}

struct vm *vm_create(struct host *host, const struct engine_ops *ops, struct engine *engine,
                     const struct vm_config *config)
{
    struct vm *vm = host_alloc(host, sizeof(*vm), 64);
    enum vmm_status status;

    if (!vm) {
        host_log(host, "vm: out of memory");
        return NULL;
    }
    vm->host = host;
    vm->ops = ops;
    vm->engine = engine;
    vm->config = *config;
    status = VMM_BAD_CONFIG;
    if (config->vcpus >= 1 && config->vcpus <= VM_VCPUS_MAX)
        status = machine_build(vm);
    if (status == VMM_OK)
        status = record_create(vm);
    if (status != VMM_OK) {
        vm_log(vm, "vm: a machine with %u CPUs and %lu bytes cannot be built: status %d",
               config->vcpus, config->memory, status);
        vm_destroy(vm);
        return NULL;
    }
    if (!machine_boot(vm)) {
        vm_destroy(vm);
        return NULL;
    }
    clock_timer_init(&vm->watchdog, NULL, watchdog, vm);
    if (config->watchdog_ms)
        watchdog(vm);
    return vm;
}

void vm_destroy(struct vm *vm)
{
    struct host *host = vm->host;

    record_destroy(vm);
    if (vm->vcpu)
        host_free(host, vm->vcpu);
    if (vm->testdev)
        host_free(host, vm->testdev);
    host_free(host, vm);
}

static void signal_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vcpu_signal(&vm->vcpu[i], VCPU_STOP);
}

void vm_finish(struct vm *vm, enum vm_end_reason reason, uint32_t code, unsigned vcpu)
{
    if (atomic_exchange(&vm->ending, 1))
        return;
    vm->end = (struct vm_end){reason, code, vcpu};
    atomic_store(&vm->ended, 1);
    vm_log(vm, "vm: %s (code %u)", vm_end_name(reason), code);
    signal_all(vm);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        host_event_signal(vm->vcpu[i].wake); // who waits for a reset that does not come
    host_vm_ended(vm->host);
}

void vm_reset(struct vm *vm)
{
    if (vm->config.end_on_reset) {
        vm_finish(vm, VM_END_RESET, 0, 0);
        return;
    }
    atomic_store(&vm->reset_wanted, 1);
    signal_all(vm);
}

/* The last vCPU to come: nobody runs, so the machine can be changed. */
static void reset_all(struct vm *vm)
{
    atomic_store(&vm->reset_wanted, 0);
    atomic_store(&vm->parked, 0);
    machine_reset(vm);
    vm_log(vm, "vm: reset");
    if (!machine_boot(vm))
        vm_finish(vm, VM_END_BOOT, 0, 0);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        atomic_store(&vm->vcpu[i].pending, 0); // signals of the machine that was
    atomic_fetch_add(&vm->generation, 1);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        host_event_signal(vm->vcpu[i].wake);
}

bool vm_park(struct vm *vm, struct vcpu *vcpu)
{
    uint32_t generation = atomic_load(&vm->generation);

    if (atomic_load(&vm->ended))
        return false;
    if (!atomic_load(&vm->reset_wanted))
        return true;
    if (atomic_fetch_add(&vm->parked, 1) + 1 == vm->config.vcpus)
        reset_all(vm);
    while (atomic_load(&vm->generation) == generation && !atomic_load(&vm->ended))
        (void)host_event_wait(vcpu->wake, HOST_FOREVER);
    if (atomic_load(&vm->ended))
        return false;
    vcpu_power_on(vcpu);
    return true;
}

void vm_stop(struct vm *vm)
{
    vm_finish(vm, VM_END_STOPPED, 0, 0);
}

void vm_nmi(struct vm *vm, unsigned vcpu)
{
    if (vcpu < vm->config.vcpus)
        vm->vcpu[vcpu].lapic.signal(&vm->vcpu[vcpu], LAPIC_NMI, 0);
}

void vm_timer_due(struct vm *vm)
{
    clock_run(&vm->clock);
}

size_t vm_console_input(struct vm *vm, enum host_console console, const uint8_t *bytes, size_t n)
{
    size_t taken = n;

    host_mutex_lock(vm->lock);
    if (console < VM_UARTS)
        taken = uart_input(&vm->uart[console], bytes, n);
    host_mutex_unlock(vm->lock);
    return taken;
}

void vm_console_ready(struct vm *vm, enum host_console console)
{
    host_mutex_lock(vm->lock);
    if (console < VM_UARTS)
        uart_ready(&vm->uart[console]);
    host_mutex_unlock(vm->lock);
}

void vm_power_button(struct vm *vm)
{
    bool heard;

    host_mutex_lock(vm->lock);
    heard = pm_power_button(&vm->pm);
    host_mutex_unlock(vm->lock);
    if (!heard)
        vm_log(vm, "vm: the guest does not listen to its power button");
}

struct vm_end vm_end(const struct vm *vm)
{
    const struct vm_end running = {VM_RUNNING, 0, 0};

    return atomic_load(&vm->ended) ? vm->end : running;
}

int vm_end_status(struct vm_end end)
{
    switch (end.reason) {
    case VM_END_POWEROFF:
        return 0;
    case VM_END_DEBUG_EXIT:
        return (int)(end.code & 0xff);
    default:
        return VM_END_STATUS + (int)end.reason;
    }
}

const char *vm_end_name(enum vm_end_reason reason)
{
    static const char *const names[] = {
        [VM_RUNNING] = "running",
        [VM_END_POWEROFF] = "powered off",
        [VM_END_RESET] = "reset",
        [VM_END_DEBUG_EXIT] = "debug exit",
        [VM_END_TRIPLE_FAULT] = "triple fault",
        [VM_END_INVALID_STATE] = "invalid guest state",
        [VM_END_ENGINE] = "CPU engine failed",
        [VM_END_STOPPED] = "stopped",
        [VM_END_BOOT] = "kernel could not be loaded",
    };

    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
