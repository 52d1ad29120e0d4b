/* SPDX-License-Identifier: MIT */
/*
 * One CPU: its data, reached by the GS base while the kernel runs, and the area that holds them.
 *
 * Area of CPU_STRIDE bytes at CPU_BASE + id * CPU_STRIDE, by page:
 *   0 guard   1-4 kernel stack   5-6 struct cpu   7 NMI and #MC stacks   8 #DF stack   9 GDT, TSS at its end   10-11 window on the I/O
 *   permission bitmap   12 its end marker   13 SVM host save area   14 VMCB of the host's own state   15 guard
 * A CPU writes only its own area, except for the fields of struct sched that say otherwise.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/asm.h"
#include "kernel/regs.h"
#include "kernel/sched.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ec;
struct sc;

#define CPU_ASID_CHECKED 64u

struct cpu {
    struct cpu *self;
    uint64_t stack_top;
    struct ec *current_ec;   // entry from user level saves registers here: set by cpu_set_current()
    uint64_t scratch;        // for the SYSCALL entry
    struct sc *current_sc;
    uint32_t id;
    uint32_t apic_id;
    bool tsc_deadline;       // the timer has TSC deadline mode
    uint32_t asid_count;     // SVM: tags 1 to asid_count - 1
    uint32_t asid_next;
    uint8_t asid_flush;
    uint64_t asid_generation;
    uint64_t asid_owner[CPU_ASID_CHECKED]; // assertion build: serial of the vCPU that used a tag since the last flush
    uint64_t vcpu_serial;    // last given to a vCPU of this CPU
    uint64_t xcr0;           // what XCR0 holds now
    uint64_t area_phys;
    uint64_t host_vmcb;      // SVM: physical; the host's state for VMLOAD
    uint64_t pio_loaded[2];  // frames of the I/O permission bitmap in force, 0: all ports denied
    uint64_t pio_window[2];  // frames that the window on it shows
    uint32_t online;         // set by itself at the end of cpu_init
    uint16_t vector_source[VECTOR_DEVICE_COUNT]; // interrupt source of a vector + 1, 0 free
    struct sched sched;
};
_Static_assert(sizeof(struct cpu) <= 8192, "two pages of the area");

static inline struct cpu *cpu_self(void)
{
    struct cpu *cpu;
    __asm__("movq %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
    return cpu;
}

static inline struct cpu *cpu_of(unsigned id)
{
    return (struct cpu *)(CPU_BASE + (uint64_t)id * CPU_STRIDE + 0x5000);
}

/* Makes `ec` the one that entry saves into; struct regs is its first member. */
static inline void cpu_set_current(struct ec *ec)
{
    __asm__ volatile("movq %0, %%gs:%c2; movq %1, %%gs:%c3"
                     : : "r"(ec), "r"((uint64_t)ec + REGS_SIZE), "i"(CPU_CURRENT), "i"(CPU_RSP0) : "memory");
}

/* Lets port instructions of user code follow a bitmap (two frames of 4 KiB, physical, 1 = denied), or denies all ports if frame0 is 0. */
void cpu_load_pio(struct cpu *cpu, uint64_t frame0, uint64_t frame1);

/* Values of the TSS's I/O map base: the bitmap window that follows it, or none. */
#define CPU_IOMAP_PORTS 104u
#define CPU_IOMAP_NONE  0xffffu

/* cpu_load_pio() for what is in the window already, and for no ports. */
static inline void cpu_switch_pio(struct cpu *cpu, uint64_t frame)
{
    if (cpu->pio_loaded[0] == frame)
        return;
    if (frame && cpu->pio_window[0] != frame) {
        cpu_load_pio(cpu, frame, frame + 0x1000);
        return;
    }
    cpu->pio_loaded[0] = frame;
    uint16_t base = frame ? CPU_IOMAP_PORTS : CPU_IOMAP_NONE;
    __asm__ volatile("movw %0, %%gs:%c1" : : "r"(base), "i"(CPU_IOMAP) : "memory");
}

/* CPUs that came up; ids 0 to cpu_count() - 1. Constant once kernel_main runs. */
unsigned cpu_count(void);

/* Sets up the calling CPU: descriptor tables, control registers, SYSCALL, extended state, virtualization. */
void cpu_init(unsigned id, uint32_t apic_id, uint64_t area_phys);

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

/* A window in which pending interrupts are taken (handlers run on the kernel stack and return here). */
static inline void cpu_take_interrupts(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

/* Waits for an interrupt; it has been handled on return. Interrupts are off before and after. */
static inline void cpu_idle(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

#endif
