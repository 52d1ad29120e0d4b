/* SPDX-License-Identifier: MIT */
/* Building the PC: its devices, how they are wired, reset, and the load of its kernel. */
#include "vmm/machine.h"

#include "vmm/acpi/firmware.h"

#include <stdatomic.h>

#define IOAPIC_ID 0u  // identifiers of IOAPICs and local APICs do not meet on a bus any more

static void pic_output(void *context, bool level)
{
    struct vm *vm = context;

    for (unsigned i = 0; i < vm->apics.count; i++)
        lapic_set_lint0(vm->apics.lapic[i], level);
}

static void power_off(void *context)
{
    vm_finish(context, VM_END_POWEROFF, 0, 0);
}

static void reset_wire(void *context)
{
    vm_reset(context);
}

#define A20 (1ull << 20)

/* The gate is at the processors: devices reach all of RAM. */
static void a20_gate(void *context, bool open)
{
    struct vm *vm = context;

    if (vm->record && !vm->record->replays && !open) {
        vm_log(vm, "a recording does not know the A20 gate, which the guest has closed: the machine ends");
        vm_finish(vm, VM_END_ENGINE, 0, 0);
    }
    atomic_store(&vm->masked, open ? 0 : A20);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vcpu_signal(&vm->vcpu[i], VCPU_A20);
}

static void reset_control(void *context, uint8_t value)
{
    (void)value;
    vm_reset(context);
}

static void debug_exit(void *context, uint32_t value)
{
    vm_finish(context, VM_END_DEBUG_EXIT, value << 1 | 1, 0);
}

static void add(struct vm *vm, struct device *device)
{
    struct device **at = &vm->devices;

    while (*at)
        at = &(*at)->next;
    device->next = NULL;
    *at = device;
}

static void list_devices(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        add(vm, &vm->vcpu[i].lapic.device);
    add(vm, &vm->pic.chip[0].device);
    add(vm, &vm->pic.chip[1].device);
    add(vm, &vm->ioapic.device);
    for (unsigned i = 0; i < 3; i++)
        add(vm, &vm->pit.counter[i].device);
    add(vm, &vm->rtc.device);
    add(vm, &vm->kbc.device);
    add(vm, &vm->board.device);
    add(vm, &vm->pm.device);
    add(vm, &vm->pci.device);
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        add(vm, &vm->pci.function[i].device);
    if (vm->config.hpet)
        add(vm, &vm->hpet.device);
    if (vm->config.fw_cfg)
        add(vm, &vm->fw_cfg.device);
    if (vm->testdev)
        add(vm, &vm->testdev->device);
    for (unsigned i = 0; i < VM_UARTS; i++)
        add(vm, &vm->uart[i].device);
}

#define TRY(call)                          \
    do {                                   \
        enum vmm_status status_ = (call);  \
        if (status_ != VMM_OK)             \
            return status_;                \
    } while (0)

/* What only some machines have. */
static enum vmm_status build_options(struct vm *vm)
{
    if (vm->config.bios.size)
        TRY(rom_init(&vm->rom, &vm->mmio, vm->config.bios.data, vm->config.bios.size));
    if (vm->config.hpet)
        TRY(hpet_init(&vm->hpet, &vm->mmio, vm->lock, &vm->clock, &vm->irqs, &vm->pit.irq,
                      &vm->rtc.irq));
    if (vm->config.fw_cfg)
        TRY(fw_cfg_init(&vm->fw_cfg, &vm->ports, vm->lock, vm->config.memory, vm->config.vcpus));
    if (!vm->config.testdev)
        return VMM_OK;
    vm->testdev = host_alloc(vm->host, sizeof(*vm->testdev), _Alignof(struct testdev));
    if (!vm->testdev)
        return VMM_NO_MEMORY;
    return testdev_init(vm->testdev, &vm->ports, &vm->mmio, vm->lock, &vm->irqs);
}

static enum vmm_status build_devices(struct vm *vm)
{
    TRY(pic_init(&vm->pic, &vm->ports, vm->lock, pic_output, vm));
    TRY(ioapic_init(&vm->ioapic, &vm->mmio, vm->lock, &vm->apics, IOAPIC_ID));
    vm->irqs.pic = pic_set;
    vm->irqs.pic_device = &vm->pic;
    vm->irqs.ioapic = ioapic_set;
    vm->irqs.ioapic_device = &vm->ioapic;
    TRY(pit_init(&vm->pit, &vm->ports, vm->lock, &vm->clock, &vm->irqs));
    TRY(rtc_init(&vm->rtc, &vm->ports, vm->lock, &vm->clock, &vm->irqs, &vm->memory));
    TRY(i8042_init(&vm->kbc, &vm->ports, vm->lock, &vm->irqs, reset_wire, vm));
    vm->kbc.gate = a20_gate;
    vm->board.kbc = &vm->kbc;
    vm->board.reset = reset_wire;
    vm->board.debug_exit = debug_exit;
    vm->board.context = vm;
    vm->board.post_port = vm->config.post_port;
    vm->board.log_post = vm->config.log_post;
    TRY(board_init(&vm->board, &vm->ports, vm->lock, vm->host, vm->config.debug_exit_port));
    TRY(pvpanic_init(&vm->pvpanic, &vm->ports, vm->lock, vm->host));
    TRY(pm_init(&vm->pm, &vm->ports, vm->lock, &vm->clock, &vm->irqs, power_off, vm));
    TRY(pci_init(&vm->pci, &vm->ports, vm->lock, reset_control, vm));
    if (vm->config.bios.size)
        pci_begin_with_rom(&vm->pci);
    TRY(uart_init(&vm->uart[0], &vm->ports, vm->lock, &vm->clock, &vm->irqs, vm->host,
                  HOST_CONSOLE_COM1, 0x3f8, 4));
    TRY(uart_init(&vm->uart[1], &vm->ports, vm->lock, &vm->clock, &vm->irqs, vm->host,
                  HOST_CONSOLE_COM2, 0x2f8, 3));
    return build_options(vm);
}

enum vmm_status machine_build(struct vm *vm)
{
    const struct cpuid_config cpuid = {
        .read = vm->ops->cpuid ? vm->ops->cpuid : cpuid_read_native,
        .read_arg = vm->engine,
        .cpus = vm->config.vcpus,
        .tsc_khz = host_ticks_khz(vm->host),
        .apic_khz = LAPIC_TIMER_HZ / 1000,
        .xcr0 = vm->ops->xcr0,
        .tsc_aux = vm->ops->tsc_aux,
        .monitor = vm->ops->monitors && vm->config.vcpus > 1, // else nobody is there to write
        .hypervisor = CPUID_HYPERVISOR_KVM,
        .overrides = vm->ops->features,
        .override_count = vm->ops->feature_count,
    };

    vm->lock = host_mutex_create(vm->host);
    if (!vm->lock)
        return VMM_NO_MEMORY;
    TRY(clock_init(&vm->clock, vm->host));
    TRY(memory_init(&vm->memory, vm->host, vm->config.memory));
    if (!cpuid_build(&vm->cpuid, &cpuid))
        return VMM_NO_MEMORY;
    port_bus_init(&vm->ports);
    memory_bus_init(&vm->mmio);
    irq_hub_init(&vm->irqs);
    vm->vcpu = host_alloc(vm->host, sizeof(struct vcpu) * vm->config.vcpus, _Alignof(struct vcpu));
    if (!vm->vcpu)
        return VMM_NO_MEMORY;
    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        msr_init(&vm->msrs[i], &vm->memory, &vm->clock, &vm->cpuid);
        TRY(vcpu_init(&vm->vcpu[i], vm, i));
    }
    TRY(build_devices(vm));
    list_devices(vm);
    return VMM_OK;
}

void machine_reset(struct vm *vm)
{
    host_mutex_lock(vm->lock);
    for (struct device *device = vm->devices; device; device = device->next)
        device_reset(device);
    pit_reset(&vm->pit);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        msr_reset(&vm->msrs[i]);
    host_mutex_unlock(vm->lock);
}

static enum vmm_status install_firmware(struct vm *vm, uint64_t *rsdp)
{
    const struct cpuid_vcpu first = {.apic_id = 0, .apic_enabled = true};
    struct cpuid_regs regs;
    struct firmware_config config = {
        .cpus = vm->config.vcpus,
        .memory = vm->memory.size,
        .low_end = vm->memory.low_end,
        .hpet = vm->config.hpet,
        .com2 = true,
    };

    cpuid_query(&vm->cpuid, &first, 1, 0, &regs);
    config.cpu_signature = regs.eax;
    config.cpu_features = regs.edx;
    return firmware_install(&vm->memory, &config, rsdp);
}

static bool load_kernel(struct vm *vm)
{
    struct boot_module modules[1 + VM_MODULES_MAX] = {0};
    struct boot_request request = {
        .image = vm->config.kernel.data,
        .size = vm->config.kernel.size,
        .name = vm->config.kernel_name,
        .command_line = vm->config.command_line,
        .modules = modules,
    };

    if (vm->config.initrd.size)
        modules[request.module_count++] = (struct boot_module){
            .data = vm->config.initrd.data, .size = vm->config.initrd.size,
        };
    for (unsigned i = 0; i < vm->config.module_count; i++) {
        const struct vm_module *m = &vm->config.modules[i];

        modules[request.module_count++] = (struct boot_module){
            .data = m->image.data, .size = m->image.size, .name = m->name,
            .command_line = m->command_line,
        };
    }

    if (install_firmware(vm, &request.rsdp) != VMM_OK) {
        vm_log(vm, "boot: the firmware tables do not fit");
        return false;
    }
    if (boot_load(&vm->boot, &vm->memory, &request) != VMM_OK) {
        vm_log(vm, "boot: %s", vm->boot.why);
        return false;
    }
    return true;
}

bool machine_boot(struct vm *vm)
{
    bool loaded;

    if (vm->config.bios.size) {
        if (rom_shadow(&vm->rom, &vm->memory))
            return true;
        vm_log(vm, "boot: no RAM for the ROM below 1 MiB");
        return false;
    }
    if (vm->config.images && !vm->config.images(vm->host, true))
        return false;
    loaded = load_kernel(vm);
    if (vm->config.images)
        (void)vm->config.images(vm->host, false);
    return loaded;
}
