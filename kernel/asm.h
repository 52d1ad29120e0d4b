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

/* Offsets in struct regs (kernel/regs.h): REGS_R15 and so on for assembly. */
#define REGS_SIZE 176
#ifdef __ASSEMBLER__
.set regs_at, 0
.irp name, R15, R14, R13, R12, R11, R10, R9, R8, RDI, RSI, RBP, RBX, RDX, RCX, RAX, VECTOR, ERROR, RIP, CS, RFLAGS, RSP, SS
.set REGS_\name, regs_at
.set regs_at, regs_at + 8
.endr
#endif

#endif
