/* SPDX-License-Identifier: MIT */
/*
 * The machine: one PC, made from a configuration, run by its host's threads until it ends.
 *
 * Order: vm_create(); then the host starts its threads: vcpu_loop() for each vCPU, and the device
 * thread's calls. The configuration's images stay the caller's and must live as long as the
 * machine (a reset loads them again). Locks: `lock` (the machine lock) for all devices; local
 * APICs and inter-processor interrupts do without it. None is held while the guest runs.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/memory.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_VCPUS_MAX 64u

struct vm;

struct vm_image {
    const uint8_t *data;
    size_t size;
};

#define VM_MODULES_MAX 8u

/* What a Multiboot or PVH kernel gets beside itself. */
struct vm_module {
    struct vm_image image;
    const char *name;         // before the command line in Multiboot 1; may be NULL
    const char *command_line; // may be NULL
};

struct vm_config {
    uint64_t memory;          // bytes
    unsigned vcpus;           // 1 .. VM_VCPUS_MAX
    struct vm_image kernel;   // bzImage or ELF; size 0: none, with `bios`
    struct vm_image bios;     // a ROM (vmm/devices/rom.h) to start from instead; size 0: none
    struct vm_image initrd;   // or the first module; size 0: none
    struct vm_module modules[VM_MODULES_MAX]; // further ones
    unsigned module_count;
    /*
     * Kernel, initrd and modules are needed from here on, or until the next time no more; by vm_create() and
     * at each reset. False: they are not to be had again, said in the log. NULL: always there.
     */
    bool (*images)(struct host *host, bool needed);
    const char *kernel_name;  // the first word of Multiboot's command line; may be NULL
    const char *command_line; // may be NULL
    bool hpet;
    bool end_on_reset;        // a guest reset ends the VM with VM_END_RESET; else it starts again
    bool fw_cfg;              // with the firmware configuration device (vmm/devices/fw_cfg.h)
    bool testdev;             // with the test suites' device (vmm/devices/testdev.h)
    uint16_t debug_exit_port; // isa-debug-exit, 0: none
    uint16_t post_port;       // of self test codes; 0: 80h
    bool log_post;            // self test codes go to the log
    uint32_t trace;           // TRACE_* (vmm/trace.h); 0: none
    void (*trace_line)(struct host *host, const char *line); // from any thread, with trace
    /*
     * With one vCPU and end_on_reset: a recording (vmm/record.h) is made, in the vCPU's thread (false: it cannot
     * go on, the machine ends); or this one is replayed. NULL and size 0: neither.
     */
    bool (*record_write)(struct host *host, const void *bytes, size_t size);
    struct vm_image replay;
    uint32_t watchdog_ms;     // report a vCPU that long without exits and interrupts; 0: never
};

enum vm_end_reason {
    VM_RUNNING = 0,
    VM_END_POWEROFF,      // ACPI S5
    VM_END_RESET,         // with end_on_reset
    VM_END_DEBUG_EXIT,    // code = value written * 2 + 1
    VM_END_TRIPLE_FAULT,  // with the report in the log
    VM_END_INVALID_STATE, // likewise
    VM_END_ENGINE,        // the engine failed
    VM_END_STOPPED,       // vm_stop()
    VM_END_BOOT,          // the kernel image could not be loaded
};

struct vm_end {
    enum vm_end_reason reason;
    uint32_t code;
    unsigned vcpu;
};

/* Says why not in the log. */
struct vm *vm_create(struct host *host, const struct engine_ops *ops, struct engine *engine,
                     const struct vm_config *config);
/* Only when all its threads are out. */
void vm_destroy(struct vm *vm);

/* A vCPU's thread: returns when the machine has ended. */
void vcpu_loop(struct vm *vm, unsigned vcpu);

/* From the device thread. */
void vm_timer_due(struct vm *vm);
/* Returns the bytes taken. */
size_t vm_console_input(struct vm *vm, enum host_console console, const uint8_t *bytes, size_t n);
void vm_console_ready(struct vm *vm, enum host_console console);
void vm_power_button(struct vm *vm);

/* From any thread. */
void vm_reset(struct vm *vm);
void vm_stop(struct vm *vm);
void vm_nmi(struct vm *vm, unsigned vcpu);
struct vm_end vm_end(const struct vm *vm);
const char *vm_end_name(enum vm_end_reason reason);
/* As a process's exit status: 0 power-off, the guest's own for debug exit, else this + reason. */
#define VM_END_STATUS 100
int vm_end_status(struct vm_end end);

#endif
