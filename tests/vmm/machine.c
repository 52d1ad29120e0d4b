/* SPDX-License-Identifier: MIT */
/*
 * The vCPU loop over a scripted guest: each exit, delivery of interrupts, halt, reset, and every
 * way a machine ends.
 */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "tests/vmm/script.h"
#include "vmm/machine.h"

#include <stdlib.h>
#include <string.h>

#define RFLAGS_IF 0x200u

static struct host *host;
static struct engine *engine;
static struct vm *vm;
static struct vm_config config;

/* One step of a guest: what it sees is checked, then it leaves. */
typedef void step_fn(struct cpu_state *s);
static step_fn *const *script;
static unsigned at;

static void leave(struct cpu_state *s, enum engine_exit reason, uint64_t q0, uint64_t q1)
{
    s->reason = reason;
    s->q0 = q0;
    s->q1 = q1;
}

static void leave_io(struct cpu_state *s, uint16_t port, unsigned size, bool in)
{
    leave(s, EXIT_IO, (uint32_t)port << 16 | size << 4 | in, s->rip + 1);
}

static void leave_msr(struct cpu_state *s, uint32_t index, bool write, uint64_t value)
{
    s->gpr[CPU_RCX] = index;
    if (write) {
        s->gpr[CPU_RAX] = (uint32_t)value;
        s->gpr[CPU_RDX] = value >> 32;
    }
    s->insn_len = 2;
    leave(s, EXIT_MSR, write, 0);
}

static void off(struct cpu_state *s)
{
    s->gpr[CPU_RAX] = 0x3400;
    leave_io(s, 0x4004, 2, false);
}

static void enter(struct engine *e, unsigned vcpu, struct cpu_state *s)
{
    (void)e;
    (void)vcpu;
    script[at++](s);
}

/* The device thread's work while all sleep. */
static void wait(struct host *h)
{
    fake_host_pass(h, &vm->clock, 1000000);
}

static void start(void)
{
    host = fake_host_new(32 << 20);
    host->wait = wait;
    engine = calloc(1, sizeof(*engine));
    engine->enter = enter;
    config = (struct vm_config){.memory = 32 << 20, .vcpus = 1, .kernel = script_image()};
    at = 0;
}

static bool create(void)
{
    vm = vm_create(host, &script_ops, engine, &config);
    if (!vm)
        tap_note("%s", host->log);
    return vm;
}

static void finish(void)
{
    if (vm)
        vm_destroy(vm);
    fake_host_free(host);
    free(engine);
}

static enum vm_end_reason play(step_fn *const *steps)
{
    enum vm_end_reason reason = VM_RUNNING;

    script = steps;
    start();
    if (create()) {
        vcpu_loop(vm, 0);
        reason = vm_end(vm).reason;
        ok(host->ended, "the host is told of the end");
    }
    return reason;
}

/* Ports. */
static void io_0(struct cpu_state *s)
{
    is_u64(s->rip, 0x100020, "starts at the kernel's entry");
    is_u64(s->gpr[CPU_RAX], 0x2badb002, "with Multiboot's magic number");
    ok(!(s->cr0 & 0x80000000) && (s->cr0 & 1), "in protected mode");
    s->gpr[CPU_RAX] = 0x1111111100000000 | 'X';
    leave_io(s, 0x3f8, 1, false);
}
static void io_1(struct cpu_state *s)
{
    is_u64(s->rip, 0x100021, "OUT: RIP behind it");
    ok(host->console_size[0] == 1 && host->console[0][0] == 'X', "the byte went out");
    s->shadow = 1;
    leave_io(s, 0x3fd, 1, true);
}
static void io_2(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 0x1111111100000060, "IN of 8 bits keeps the rest of RAX");
    is_u64(s->shadow, 0, "the shadow has passed");
    leave_io(s, 0x3fd, 2, true);
}
static void io_3(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 0x111111110000b060, "so does one of 16");
    leave_io(s, 0x1234, 4, true);
}
static void io_4(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 0xffffffff, "one of 32 clears the upper half");
    s->rflags |= 0x100;
    leave_io(s, 0x80, 1, false);
}
static void io_5(struct cpu_state *s)
{
    is_u64(s->event, 0x80000301, "single step: a debug exception follows");
    ok(s->dr6 & 0x4000, "DR6.BS");
    s->event = 0;
    s->rflags &= ~0x100ull;
    off(s);
}
static step_fn *const io_steps[] = {io_0, io_1, io_2, io_3, io_4, io_5};

/* CPUID, MSRs, and instructions that are not there. */
static void sys_0(struct cpu_state *s)
{
    s->gpr[CPU_RAX] = 0x40000000;
    s->insn_len = 2;
    leave(s, EXIT_CPUID, 0, 0);
}
static void sys_1(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RBX], 0x4b4d564b, "CPUID: hypervisor signature");
    is_u64(s->rip, 0x100022, "behind it");
    leave_msr(s, 0x1b, false, 0);
}
static void sys_2(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RDX] << 32 | s->gpr[CPU_RAX], 0xfee00900, "RDMSR of the APIC base");
    leave_msr(s, 0x12345, true, 5);
}
static void sys_3(struct cpu_state *s)
{
    is_u64(s->event, 0x80000b0d, "WRMSR of an unknown one: #GP(0)");
    is_u64(s->rip, 0x100024, "RIP on the instruction");
    s->event = 0;
    leave_msr(s, 0x10, true, 1000000);
}
static void sys_4(struct cpu_state *s)
{
    is_u64(s->tsc_offset + host->ticks, 1000000, "the TSC is set by its offset");
    ok(s->dirty & CPU_CONTROL || s->valid & CPU_CONTROL, "which the engine loads");
    leave_msr(s, 0x6e0, true, 5);
}
static void sys_5(struct cpu_state *s)
{
    s->insn_len = 3;
    leave(s, EXIT_HYPERCALL, 0, 0);
}
static void sys_6(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], (uint32_t)-1000, "a hypercall is not there, in 32 bits");
    leave(s, EXIT_MWAIT, 0, 0);
}
static void sys_7(struct cpu_state *s)
{
    is_u64(s->event, 0x80000306, "MONITOR: #UD");
    s->event = 0;
    s->gpr[CPU_RCX] = 0;
    s->gpr[CPU_RAX] = 6;
    s->gpr[CPU_RDX] = 0;
    leave(s, EXIT_XSETBV, 0, 0);
}
static void sys_8(struct cpu_state *s)
{
    is_u64(s->event, 0x80000b0d, "XSETBV without x87: #GP");
    s->event = 0;
    s->gpr[CPU_RAX] = 7;
    s->insn_len = 3;
    leave(s, EXIT_XSETBV, 0, 0);
}
static void sys_9(struct cpu_state *s)
{
    is_u64(s->xcr0, 7, "XSETBV");
    s->insn_len = 2;
    leave(s, EXIT_TSC, 0, 0);
}
static void sys_10(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 1000000, "RDTSC (no time has passed)");
    s->event = 0x80000b0e;
    leave(s, EXIT_PMC, 0, 0);
}
static void sys_11(struct cpu_state *s)
{
    is_u64(s->event, 0x80000b08, "#GP while a page fault was delivered: #DF");
    leave(s, EXIT_PMC, 0, 0);
}
static step_fn *const sys_steps[] = {
    sys_0, sys_1, sys_2, sys_3, sys_4, sys_5, sys_6, sys_7, sys_8, sys_9, sys_10, sys_11,
};

/* Interrupts. */
static void irq_0(struct cpu_state *s)
{
    leave_msr(s, 0x1b, true, 0xfee00d00);
}
static void irq_1(struct cpu_state *s)
{
    leave_msr(s, 0x80f, true, 0x1ff);
}
static void irq_2(struct cpu_state *s)
{
    s->rflags &= ~(uint64_t)RFLAGS_IF;
    leave_msr(s, 0x83f, true, 0x51);
}
static void irq_3(struct cpu_state *s)
{
    is_u64(s->event, 0, "interrupts off: not delivered");
    is_u64(s->requests, CPU_REQUEST_WINDOW, "a window is asked for");
    s->rflags |= RFLAGS_IF;
    s->requests = 0;
    leave(s, EXIT_WINDOW, 0, 0);
}
static void irq_4(struct cpu_state *s)
{
    is_u64(s->event, 0x80000051, "delivered in the window");
    is_u64(s->requests, 0, "no more window");
    leave_msr(s, 0x83f, true, 0x62); /* the delivery was interrupted by this exit, so to say */
}
static void irq_5(struct cpu_state *s)
{
    is_u64(s->event, 0x80000051, "an interrupted delivery is delivered again");
    is_u64(s->requests, CPU_REQUEST_WINDOW, "the next one waits");
    s->event = 0;
    s->requests = 0;
    leave(s, EXIT_WINDOW, 0, 0);
}
static void irq_6(struct cpu_state *s)
{
    is_u64(s->event, 0x80000062, "a higher one nests");
    s->event = 0;
    leave_msr(s, 0x83f, true, 0x55);
}
static void irq_7(struct cpu_state *s)
{
    is_u64(s->event | s->requests, 0, "a lower one waits for EOI, without a window");
    leave_msr(s, 0x80b, true, 0);
}
static void irq_8(struct cpu_state *s)
{
    is_u64(s->event | s->requests, 0, "for both EOIs");
    leave_msr(s, 0x80b, true, 0);
}
static void irq_9(struct cpu_state *s)
{
    is_u64(s->event, 0x80000055, "then it comes");
    s->event = 0;
    leave_msr(s, 0x80b, true, 0);
}
static void irq_10(struct cpu_state *s)
{
    vm_nmi(vm, 0);
    s->nmi_blocked = 1;
    leave(s, EXIT_RECALL, 0, 0);
}
static void irq_11(struct cpu_state *s)
{
    is_u64(s->event, 0, "NMI while one is handled: waits");
    is_u64(s->requests, CPU_REQUEST_NMIWINDOW, "for its window");
    s->nmi_blocked = 0;
    s->requests = 0;
    leave(s, EXIT_NMIWINDOW, 0, 0);
}
static void irq_12(struct cpu_state *s)
{
    is_u64(s->event, 0x80000202, "NMI");
    s->event = 0x80000480;
    leave(s, EXIT_RECALL, 0, 0);
}
static void irq_13(struct cpu_state *s)
{
    is_u64(s->event, 0, "an interrupted INT n is not injected: it is executed again");
    leave_msr(s, 0x808, true, 0x50);
}
static void irq_14(struct cpu_state *s)
{
    is_u64(s->cr8, 5, "TPR is CR8");
    s->cr8 = 8;
    leave_msr(s, 0x808, false, 0);
}
static void irq_15(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 0x80, "and CR8 is TPR");
    leave_msr(s, 0x83f, true, 0x55);
}
static void irq_16(struct cpu_state *s)
{
    is_u64(s->event, 0, "TPR holds an interrupt back");
    is_u64(s->requests << 8 | s->window_priority, CPU_REQUEST_WINDOW << 8 | 5,
           "a window is asked for when CR8 is below its class");
    s->cr8 = 4;
    s->requests = 0;
    leave(s, EXIT_WINDOW, 0, 0);
}
static void irq_17(struct cpu_state *s)
{
    is_u64(s->event, 0x80000055, "then it is delivered");
    off(s);
}
static step_fn *const irq_steps[] = {
    irq_0, irq_1, irq_2, irq_3, irq_4, irq_5, irq_6, irq_7, irq_8, irq_9, irq_10, irq_11, irq_12,
    irq_13, irq_14, irq_15, irq_16, irq_17,
};

/* Halt until the timers: the 8254 through the 8259, the local APIC's with its deadline. */
static void outb(struct cpu_state *s, uint16_t port, uint8_t value)
{
    s->gpr[CPU_RAX] = value;
    leave_io(s, port, 1, false);
}
static void halt(struct cpu_state *s)
{
    s->rflags |= RFLAGS_IF;
    s->event = 0;
    s->insn_len = 1;
    leave(s, EXIT_HLT, 0, 0);
}
static void hlt_0(struct cpu_state *s) { outb(s, 0x20, 0x11); }
static void hlt_1(struct cpu_state *s) { outb(s, 0x21, 0x20); }
static void hlt_2(struct cpu_state *s) { outb(s, 0x21, 0x04); }
static void hlt_3(struct cpu_state *s) { outb(s, 0x21, 0x03); }
static void hlt_4(struct cpu_state *s) { outb(s, 0x21, 0xfe); }
static void hlt_5(struct cpu_state *s) { outb(s, 0x43, 0x30); }
static void hlt_6(struct cpu_state *s) { outb(s, 0x40, 0x00); }
static void hlt_7(struct cpu_state *s) { outb(s, 0x40, 0x80); }
static void hlt_8(struct cpu_state *s)
{
    leave_msr(s, 0x1b, true, 0xfee00100);
}
static void hlt_9(struct cpu_state *s)
{
    is_u64(s->event, 0, "nothing yet");
    halt(s);
}
static void hlt_10(struct cpu_state *s)
{
    is_u64(s->event, 0x80000020, "woken by the 8254 through the 8259, with the APIC off");
    is_u64(vm->clock.host->ticks / 1000000 * 1000000 > 0, 1, "time has passed");
    leave_msr(s, 0x1b, true, 0xfee00900);
    s->event = 0;
}
static void hlt_11(struct cpu_state *s)
{
    leave_msr(s, 0x1b, true, 0xfee00d00);
}
static void hlt_12(struct cpu_state *s)
{
    leave_msr(s, 0x80f, true, 0x1ff);
}
static void hlt_13(struct cpu_state *s)
{
    leave_msr(s, 0x832, true, 0x400ec);
}
static void hlt_14(struct cpu_state *s)
{
    leave_msr(s, 0x6e0, true, clock_now(&vm->clock) + 5500000);
}
static void hlt_15(struct cpu_state *s)
{
    halt(s);
}
static void hlt_16(struct cpu_state *s)
{
    is_u64(s->event, 0x800000ec, "woken by the TSC deadline");
    off(s);
}
static step_fn *const hlt_steps[] = {
    hlt_0, hlt_1, hlt_2, hlt_3, hlt_4, hlt_5, hlt_6, hlt_7, hlt_8, hlt_9, hlt_10, hlt_11, hlt_12,
    hlt_13, hlt_14, hlt_15, hlt_16,
};

/* Memory-mapped I/O through the interpreter: the guest runs with flat segments and paging off. */
static const uint8_t mmio_code[] = {
    0xa3, 0x00, 0x00, 0xc0, 0xfe,                                  // mov %eax, 0xfec00000
    0x8b, 0x1d, 0x10, 0x00, 0xc0, 0xfe,                            // mov 0xfec00010, %ebx
    0xa1, 0x30, 0x00, 0xe0, 0xfe,                                  // mov 0xfee00030, %eax
    0xc7, 0x05, 0x80, 0x00, 0xe0, 0xfe, 0x30, 0x00, 0x00, 0x00,    // movl $0x30, 0xfee00080
    0x8b, 0x05, 0x00, 0x00, 0x00, 0xd0,                            // mov 0xd0000000, %eax
    0x0f, 0xa2,                                                    // cpuid
};
static void mmio_0(struct cpu_state *s)
{
    ok(memory_write(&vm->memory, 0x200000, mmio_code, sizeof(mmio_code)), "code");
    s->rip = 0x200000;
    s->gpr[CPU_RAX] = 1;
    leave(s, EXIT_MEMORY, EXIT_MEMORY_WRITE, 0xfec00000);
}
static void mmio_1(struct cpu_state *s)
{
    is_u64(s->rip, 0x200005, "a write to the IOAPIC");
    leave(s, EXIT_MEMORY, 0, 0xfec00010);
}
static void mmio_2(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RBX], 0x00170020, "a read from it: its version");
    leave(s, EXIT_MEMORY, 0, 0xfee00030);
}
static void mmio_3(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX] & 0xff00ff, 0x060014, "a read from the local APIC");
    leave(s, EXIT_MEMORY, EXIT_MEMORY_WRITE, 0xfee00080);
}
static void mmio_4(struct cpu_state *s)
{
    is_u64(vm->vcpu[0].lapic.tpr, 0x30, "a write to it");
    leave(s, EXIT_MEMORY, 0, 0xd0000000);
}
static void mmio_5(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RAX], 0xffffffff, "unmapped: all ones");
    s->gpr[CPU_RAX] = 0x40000000;
    leave(s, EXIT_CPUID, 0, 0);
}
static void mmio_6(struct cpu_state *s)
{
    is_u64(s->gpr[CPU_RBX], 0x4b4d564b, "CPUID of unknown length");
    is_u64(s->rip, 0x200000 + sizeof(mmio_code), "is decoded");
    off(s);
}
static step_fn *const mmio_steps[] = {mmio_0, mmio_1, mmio_2, mmio_3, mmio_4, mmio_5, mmio_6};

/* Reset: by the keyboard controller; the second time round the guest powers off. */
static void rst_0(struct cpu_state *s)
{
    ok(memory_fill(&vm->memory, 0x100000, 0xcc, 64), "the kernel is gone");
    s->gpr[CPU_RBX] = 77;
    leave_msr(s, 0x1b, true, 0xfee00d00);
}
static void rst_1(struct cpu_state *s)
{
    s->rip = 0x123456;
    outb(s, 0x64, 0xfe);
}
static void rst_2(struct cpu_state *s)
{
    uint32_t word = 0;

    is_u64(s->rip, 0x100020, "reset: at the entry again");
    is_u64(s->gpr[CPU_RAX], 0x2badb002, "registers as at the start");
    ok(memory_read(&vm->memory, 0x100000, &word, 4) && word == 0x1badb002, "the kernel is back");
    is_u64(vm->vcpu[0].lapic.base, 0xfee00900, "the local APIC is reset");
    off(s);
}
static step_fn *const rst_steps[] = {rst_0, rst_1, rst_2};

/* Ends. */
static void end_triple(struct cpu_state *s) { leave(s, EXIT_SHUTDOWN, 0, 0); }
static void end_invalid(struct cpu_state *s) { leave(s, EXIT_INVALID, CPU_CR, 0); }
static void end_unknown(struct cpu_state *s) { leave(s, EXIT_OTHER, 0x99, 0); }
static void end_reset(struct cpu_state *s) { outb(s, 0xcf9, 0x06); }
static void end_debug(struct cpu_state *s)
{
    s->gpr[CPU_RAX] = 21;
    leave_io(s, 0x501, 4, false);
}
static void end_stop(struct cpu_state *s)
{
    vm_stop(vm);
    leave(s, EXIT_RECALL, 0, 0);
}
static void end_button(struct cpu_state *s)
{
    vm_power_button(vm);
    off(s);
}
static step_fn *const triple[] = {end_triple};
static step_fn *const invalid[] = {end_invalid};
static step_fn *const unknown[] = {end_unknown};
static step_fn *const resets[] = {end_reset};
static step_fn *const debug[] = {end_debug};
static step_fn *const stop[] = {end_stop};
static step_fn *const button[] = {end_button};

static void test_ends(void)
{
    is_u64(play(triple), VM_END_TRIPLE_FAULT, "triple fault");
    ok(strstr(host->log, "rip 0000000000100020"), "with registers in the log");
    finish();
    is_u64(play(invalid), VM_END_INVALID_STATE, "invalid state");
    finish();
    is_u64(play(unknown), VM_END_ENGINE, "an exit that nobody knows");
    finish();
    is_u64(play(stop), VM_END_STOPPED, "stopped from outside");
    finish();
    is_u64(play(button), VM_END_POWEROFF, "power button, unheard");
    ok(strstr(host->log, "does not listen"), "is said");
    finish();

    script = resets;
    start();
    config.end_on_reset = true;
    ok(create(), "a machine that ends on reset");
    vcpu_loop(vm, 0);
    is_u64(vm_end(vm).reason, VM_END_RESET, "reset control");
    finish();

    script = debug;
    start();
    config.debug_exit_port = 0x501;
    ok(create(), "a machine with a debug exit");
    vcpu_loop(vm, 0);
    is_u64(vm_end(vm).reason == VM_END_DEBUG_EXIT ? vm_end(vm).code : 0, 43, "debug exit");
    finish();
}

static void test_creation(void)
{
    static const uint8_t rubbish[64] = {1, 2, 3};

    start();
    config.kernel = (struct vm_image){rubbish, sizeof(rubbish)};
    ok(!create() && strstr(host->log, "boot:"), "no kernel: refused, with a reason");
    finish();
    start();
    config.vcpus = 65;
    ok(!create(), "65 vCPUs are refused");
    finish();
    start();
    config.memory = 1ull << 30;
    ok(!create(), "more memory than there is");
    finish();
}

/* Interrupts off, no exits. */
static void dog_0(struct cpu_state *s)
{
    fake_host_pass(host, &vm->clock, 250000000);
    leave(s, EXIT_RECALL, 0, 0);
}
static void dog_end(struct cpu_state *s) { off(s); }
static step_fn *const dog_steps[] = {dog_0, dog_0, dog_0, dog_0, dog_end};

static void test_watchdog(void)
{
    script = dog_steps;
    start();
    config.watchdog_ms = 200;
    ok(create(), "a machine with a watchdog");
    vcpu_loop(vm, 0);
    ok(strstr(host->log, "interrupts off and no exit"), "a loop with interrupts off is said");
    is_u64(vm_end(vm).reason, VM_END_POWEROFF, "and goes on");
    finish();
}

int main(void)
{
    is_u64(play(io_steps), VM_END_POWEROFF, "ports");
    finish();
    is_u64(play(sys_steps), VM_END_TRIPLE_FAULT, "a fault while #DF was delivered: triple fault");
    finish();
    is_u64(play(irq_steps), VM_END_POWEROFF, "interrupts");
    finish();
    is_u64(play(hlt_steps), VM_END_POWEROFF, "halt");
    finish();
    is_u64(play(mmio_steps), VM_END_POWEROFF, "memory-mapped I/O");
    finish();
    is_u64(play(rst_steps), VM_END_POWEROFF, "reset");
    finish();
    test_ends();
    test_creation();
    test_watchdog();
    return tap_done();
}
