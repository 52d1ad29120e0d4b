/* SPDX-License-Identifier: MIT */
/* Set-up of one CPU (APM volume 2: 4.8 descriptors, 12.2 TSS, 8.2 IDT, 6.1 SYSCALL). */
#include "kernel/cpu.h"

#include "kernel/assert.h"
#include "kernel/kernel_map.h"
#include "kernel/local_apic.h"
#include "kernel/msr.h"
#include "kernel/paging.h"
#include "kernel/trap.h"
#include "kernel/vcpu.h"
#include "kernel/xstate.h"

#define AREA_PAGE(cpu, n) ((uint8_t *)(cpu) - 5 * PAGE_SIZE + (n) * PAGE_SIZE)

#define CR0_BITS 0x80010033ull // PG WP NE ET MP PE
#define CR4_BITS 0x406e0ull    // OSXSAVE OSXMMEXCPT OSFXSR PGE MCE PAE
#define CR4_UMIP (1ull << 11)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define PAT_BITS 0x0007010600070106ull // WB WC UC- UC, twice
#define SFMASK_BITS 0x47700ull         // AC NT IOPL DF IF TF
#define STAR_BITS ((SEL_USER_CODE32 | 3ull) << 48 | (uint64_t)SEL_KERNEL_CODE << 32)

#define GATE_INTERRUPT 0x8eu
#define GATE_USER      0x60u
#define IST_NMI 1u
#define IST_DF  2u

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap_base;
};
_Static_assert(sizeof(struct tss) == 104, "APM volume 2, 12.2.5");

#define TSS_OFFSET (PAGE_SIZE - sizeof(struct tss))
#define TSS_LIMIT  (sizeof(struct tss) + 2 * PAGE_SIZE)
#define IOMAP_NONE 0xffffu

_Static_assert(offsetof(struct cpu, stack_top) == CPU_STACK_TOP, "asm.h");
_Static_assert(offsetof(struct cpu, current_ec) == CPU_CURRENT, "asm.h");
_Static_assert(offsetof(struct cpu, scratch) == CPU_SCRATCH, "asm.h");
_Static_assert(CPU_IOMAP == 4 * PAGE_SIZE + TSS_OFFSET + offsetof(struct tss, iomap_base), "asm.h");
_Static_assert(CPU_IOMAP_PORTS == sizeof(struct tss), "cpu.h");
_Static_assert(CPU_RSP0 == 4 * PAGE_SIZE + TSS_OFFSET + offsetof(struct tss, rsp), "asm.h");

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "APM volume 2, 4.8.4");

struct __attribute__((packed)) table_register {
    uint16_t limit;
    uint64_t base;
};

extern char entry_stubs[], entry_nmi[];

static struct gate idt[256];

static struct tss *cpu_tss(struct cpu *cpu)
{
    return (struct tss *)(void *)(AREA_PAGE(cpu, 9) + TSS_OFFSET);
}

static void set_gate(unsigned vector, uint64_t handler, unsigned ist, unsigned type)
{
    idt[vector] = (struct gate){(uint16_t)handler, SEL_KERNEL_CODE, (uint8_t)ist, (uint8_t)type,
                                (uint16_t)(handler >> 16), (uint32_t)(handler >> 32), 0};
}

static void load_idt(void)
{
    for (unsigned i = 0; !idt[255].type && i < 256; i++)
        set_gate(i, i == 2 ? (uint64_t)entry_nmi : (uint64_t)entry_stubs + i * 16, i == 2 || i == 18 ? IST_NMI : i == 8 ? IST_DF : 0,
                 i == 3 || i == 4 ? GATE_INTERRUPT | GATE_USER : GATE_INTERRUPT);
    struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

static void load_descriptors(struct cpu *cpu)
{
    struct tss *tss = cpu_tss(cpu);
    uint64_t *gdt = (uint64_t *)(void *)AREA_PAGE(cpu, 9), base = (uint64_t)tss;
    tss->rsp[0] = cpu->stack_top;
    tss->ist[IST_NMI - 1] = (uint64_t)AREA_PAGE(cpu, 8);
    tss->ist[IST_DF - 1] = (uint64_t)AREA_PAGE(cpu, 9);
    tss->iomap_base = IOMAP_NONE;
    *AREA_PAGE(cpu, 12) = 0xff;
    gdt[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    gdt[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    gdt[SEL_USER_DATA / 8]   = 0x00cff3000000ffff;
    gdt[SEL_USER_CODE / 8]   = 0x00affb000000ffff;
    gdt[SEL_TSS / 8] = TSS_LIMIT | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    struct table_register gdtr = {SEL_TSS + 16 - 1, (uint64_t)gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%ss\n\t"
                     "movl %3, %%ds\n\t"
                     "movl %3, %%es\n\t"
                     "movl %3, %%fs\n\t"
                     "movl %3, %%gs\n\t"
                     "lldt %w3\n\t"
                     "ltr %w4"
                     : : "m"(gdtr), "i"(SEL_KERNEL_CODE), "r"(SEL_KERNEL_DATA), "r"(0), "r"(SEL_TSS) : "rax", "memory");
}

static void load_control(struct cpu *cpu)
{
    struct cpuid c1 = cpuid(1, 0), c7 = cpuid(7, 0), e1 = cpuid(0x80000001, 0);
    if (!(c1.ecx >> 26 & 1) || !(e1.edx >> 20 & 1))
        panic("the processor lacks XSAVE or no-execute pages");
    msr_write(MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE);
    msr_write(MSR_PAT, PAT_BITS);
    uint64_t cr4 = CR4_BITS;
    if (c7.ebx >> 7 & 1)
        cr4 |= CR4_SMEP;
    if (c7.ebx >> 20 & 1)
        cr4 |= CR4_SMAP;
    if (c7.ecx >> 2 & 1)
        cr4 |= CR4_UMIP;
    __asm__ volatile("movq %0, %%cr4; movq %1, %%cr0; movq %2, %%dr7" : : "r"(cr4), "r"(CR0_BITS), "r"(0x400ull));
    cpu->tsc_deadline = c1.ecx >> 24 & 1;
}

static void load_syscall(void)
{
    msr_write(MSR_STAR, STAR_BITS);
    msr_write(MSR_LSTAR, (uint64_t)syscall_entry);
    msr_write(MSR_CSTAR, 0);
    msr_write(MSR_SFMASK, SFMASK_BITS);
    msr_write(MSR_FS_BASE, 0);
    msr_write(MSR_KERNEL_GS_BASE, 0);
}

void cpu_init(unsigned id, uint32_t apic_id, uint64_t area_phys)
{
    struct cpu *cpu = cpu_of(id);
    cpu->self = cpu;
    cpu->id = id;
    cpu->apic_id = apic_id;
    cpu->area_phys = area_phys;
    cpu->stack_top = (uint64_t)AREA_PAGE(cpu, 5);
    load_control(cpu);
    load_idt();
    load_descriptors(cpu);
    msr_write(MSR_GS_BASE, (uint64_t)cpu);
    load_syscall();
    xstate_init_cpu(cpu);
    local_apic_init(cpu);
    vcpu_init_cpu(cpu);
}

void cpu_load_pio(struct cpu *cpu, uint64_t frame0, uint64_t frame1)
{
    cpu->pio_loaded[0] = frame0;
    cpu->pio_loaded[1] = frame1;
    cpu_tss(cpu)->iomap_base = frame0 ? sizeof(struct tss) : IOMAP_NONE;
    if (!frame0 || (cpu->pio_window[0] == frame0 && cpu->pio_window[1] == frame1))
        return;
    kernel_map_pio(cpu->id, frame0, frame1);
    cpu->pio_window[0] = frame0;
    cpu->pio_window[1] = frame1;
}
