/* SPDX-License-Identifier: MIT */
/* The VM process as a component: configuration, guest images, threads, and the end. */
#include "hosts/micro/config.h"
#include "hosts/micro/host.h"

#include "framework/component.h"
#include "framework/io.h"
#include "framework/session/rtc.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "lib/string.h"
#include "vmm/machine.h"

#define EXIT_SETUP 1 // beside those of vm_end_status()

#define RTC_WAIT_US 2000000u // for a driver that does not come up

static struct host host;
static struct config config;
static struct thread vcpu_thread[ENGINE_VCPUS_MAX];
static uint64_t process_start, first_entry; // TSC

/* A ROM, mapped for reading. Its session stays open for good. */
static enum status open_rom(const char *name, struct mapping *memory, uint64_t *size)
{
    struct session session;
    struct session_arguments arguments = {.service = "ROM", .label = name};
    enum status status = session_open(&session, &arguments, 0);

    if (status == STATUS_OK)
        status = memory_attach(memory, session.slots, ABI_PERM_MEM_R);
    *size = session.word[0];
    if (status != STATUS_OK)
        log_print("cannot open ROM \"%s\": %s", name, status_name(status));
    else if (*size > memory->size)
        status = STATUS_INVALID;
    return status;
}

static bool read_config(void)
{
    struct mapping memory;
    uint64_t size;

    if (open_rom("config", &memory, &size) != STATUS_OK)
        return false;
    if (!config_read(&config, memory.address, size)) {
        log_print("configuration: %s", config.error);
        return false;
    }
    return true;
}

static bool open_image(const char *name, struct vm_image *image)
{
    struct mapping memory;
    uint64_t size;

    if (!name[0])
        return true;
    if (open_rom(name, &memory, &size) != STATUS_OK)
        return false;
    *image = (struct vm_image){memory.address, size};
    return true;
}

static void read_clock(void)
{
    struct rtc_time time;
    enum status status = rtc_ask(&time, tsc_now() + tsc_of_us(RTC_WAIT_US, component_info()->tsc_khz));

    if (status == STATUS_OK)
        host.wall_ns = time.ns;
    else
        log_print("no clock (%s): the guest's time starts in 1970", status_name(status));
}

static void run_vcpu(void *argument)
{
    if (argument == NULL)
        first_entry = tsc_now();
    vcpu_loop(host.vm, (unsigned)(uintptr_t)argument);
}

/* vCPUs below the device thread, which must be able to interrupt them. */
static bool start_vcpus(void)
{
    unsigned priority = component_info()->priority > 1 ? component_info()->priority - 1 : 1;

    for (unsigned i = 0; i < config.vcpus; i++) {
        struct thread_config thread = {.function = run_vcpu, .argument = (void *)(uintptr_t)i, .cpu = host.engine.cpu[i],
                                       .priority = priority};
        enum status status = thread_start(&vcpu_thread[i], &thread);

        if (status != STATUS_OK) {
            log_print("cannot start the thread of vCPU %u: %s", i, status_name(status));
            return false;
        }
    }
    return true;
}

static bool create_vm(void)
{
    struct vm_config vm = {
        .memory = config.memory, .vcpus = config.vcpus, .kernel_name = config.kernel, .command_line = config.command_line, .hpet = config.hpet,
        .end_on_reset = config.end_on_reset, .debug_exit_port = config.debug_exit, .watchdog_ms = config.watchdog_ms,
    };
    enum status status;

    if (!open_image(config.kernel, &vm.kernel) || !open_image(config.initrd, &vm.initrd))
        return false;
    if ((status = host_memory(&host, config.memory)) != STATUS_OK) {
        log_print("cannot have %lu MiB of memory for the guest: %s; give this component more ram", config.memory >> 20,
                  status_name(status));
        return false;
    }
    if ((status = engine_create(&host.engine, config.vcpus)) != STATUS_OK) {
        log_print("cannot make %u vCPUs: %s", config.vcpus, status_name(status));
        return false;
    }
    host.vm = vm_create(&host, &engine_micro, &host.engine, &vm);
    return host.vm != NULL;
}

/* The faults that the configuration can ask for: they show what a VM process gone wrong can do to others, which is nothing. */
static void misbehave(void)
{
    uint64_t seed = tsc_now() | 1;
    uint8_t *heap = heap_alloc(64);

    log_print("the configured fault is due");
    switch (config.fault) {
    case FAULT_WRITE:
        *(volatile uint8_t *)0x1000 = 1;
        break;
    case FAULT_CODE:
        *(volatile uint8_t *)(uintptr_t)&run_vcpu = 0xcc;
        break;
    case FAULT_SCRIBBLE:
        for (unsigned i = 0; heap && i < 65536; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *(volatile uint8_t *)(heap - 32768 + i) = (uint8_t)seed;
        }
        break;
    case FAULT_STATE:
        host.engine.state[0]->cr0 = 1ull << 40; // reserved (APM volume 2, 3.1.1)
        host.engine.state[0]->dirty |= CPU_CR;
        engine_micro.kick(&host.engine, 0);
        break;
    case FAULT_NONE:
        break;
    }
}

static int report_end(void)
{
    struct vm_end end = vm_end(host.vm);

    log_print("VM ended: %s", vm_end_name(end.reason));
    log_print("ticks: process %lu, first entry %lu, guest's zero %lu, end %lu, vCPUs waited %lu", process_start, first_entry,
              0 - host.vm->clock.offset, tsc_now(), (uint64_t)host.waited);
    return vm_end_status(end);
}

int main(void)
{
    static struct terminal terminal;
    uint64_t fault_at = HOST_FOREVER;

    process_start = tsc_now();
    if (host_init(&host) != STATUS_OK || !read_config())
        return EXIT_SETUP;
    if (terminal_open(&terminal, "", host.wake, 0) == STATUS_OK)
        host.terminal = &terminal;
    else
        log_print("no terminal: the guest's serial line goes nowhere");
    read_clock();
    if (!create_vm() || !start_vcpus())
        return EXIT_SETUP;
    if (config.fault != FAULT_NONE)
        fault_at = tsc_now() + config.fault_after_ms * component_info()->tsc_khz;
    while (!host_run(&host, fault_at)) {
        misbehave();
        fault_at = HOST_FOREVER;
    }
    for (unsigned i = 0; i < config.vcpus; i++)
        (void)!thread_join(&vcpu_thread[i], 0);
    if (host.terminal)
        terminal_flush(host.terminal);
    return report_end();
}
