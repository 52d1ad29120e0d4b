/* SPDX-License-Identifier: MIT */
/*
 * Constants that C and assembly share: the kernel's address layout, selectors, vectors, and the offsets into struct cpu
 * (checked in cpu.c).
 *
 * Upper 2 GiB of the address space, the same in every host space (one PML4 entry):
 *   KERNEL_BASE  image (text, read-only data, data), at the physical address plus KERNEL_BASE
 *   POOL_BASE    the pool of kernel memory, physically contiguous, at most 256 MiB
 *   CPU_BASE     one area of CPU_STRIDE bytes a CPU (cpu.h)
 *   DEVICE_BASE  local APIC, I/O APICs
 */
#ifndef KERNEL_ASM_H
#define KERNEL_ASM_H

#define KERNEL_BASE 0xffffffff80000000
#define POOL_BASE   0xffffffff90000000
#define CPU_BASE    0xffffffffc0000000
#define DEVICE_BASE 0xffffffffd0000000
#define CPU_STRIDE  0x10000

/* Selectors: the order that SYSCALL and SYSRET want (APM volume 2, 6.1.1). */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_CODE32 0x18
#define SEL_USER_DATA   0x23
#define SEL_USER_CODE   0x2b
#define SEL_TSS         0x30

/* Vectors. */
#define VECTOR_DEVICE      0x20 // first of VECTOR_DEVICE_COUNT for devices
#define VECTOR_DEVICE_COUNT 0xd0
#define VECTOR_TIMER       0xf0
#define VECTOR_RENDEZVOUS  0xf1
#define VECTOR_WAKE        0xf2
#define VECTOR_ERROR       0xfe
#define VECTOR_SPURIOUS    0xff

/* Offsets in struct cpu, used with the GS prefix. */
#define CPU_SELF      0
#define CPU_STACK_TOP 8
#define CPU_CURRENT   16 // current_ec
#define CPU_SCRATCH   24
#define CPU_IOMAP     0x4ffe // TSS: offset of the I/O permission bitmap
#define CPU_RSP0      0x4f9c // TSS.RSP0: end of the current EC's struct regs

/* Offsets in struct regs (kernel/regs.h). */
#define REGS_R15    0
#define REGS_R14    8
#define REGS_R13    16
#define REGS_R12    24
#define REGS_R11    32
#define REGS_R10    40
#define REGS_R9     48
#define REGS_R8     56
#define REGS_RDI    64
#define REGS_RSI    72
#define REGS_RBP    80
#define REGS_RBX    88
#define REGS_RDX    96
#define REGS_RCX    104
#define REGS_RAX    112
#define REGS_VECTOR 120
#define REGS_ERROR  128
#define REGS_RIP    136
#define REGS_RFLAGS 152
#define REGS_RSP    160
#define REGS_SS     168
#define REGS_SIZE   176

#endif
