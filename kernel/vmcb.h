/* SPDX-License-Identifier: MIT */
/* The virtual machine control block (APM volume 2, appendix B) and its exit codes (appendix C). */
#ifndef KERNEL_VMCB_H
#define KERNEL_VMCB_H

#include "abi/vcpu.h"

#include <stddef.h>
#include <stdint.h>

struct vmcb {
    /* Control area. */
    uint32_t intercept_cr;        // reads 15:0, writes 31:16
    uint32_t intercept_dr;
    uint32_t intercept_exception;
    uint32_t intercept_misc1;
    uint32_t intercept_misc2;
    uint8_t  reserved0[0x40 - 0x14];
    uint64_t iopm_base, msrpm_base, tsc_offset;
    uint32_t asid;
    uint8_t  tlb_control, reserved1[3];
    uint64_t vintr;
    uint64_t shadow;
    uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
    uint64_t np_enable;
    uint8_t  reserved2[0xa8 - 0x98];
    uint64_t event;
    uint64_t nested_cr3, lbr_control;
    uint64_t clean;
    uint64_t next_rip;
    uint8_t  fetched, bytes[15];
    uint8_t  reserved3[0x400 - 0xe0];
    /* State save area. */
    struct abi_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t  reserved4[0x4cb - 0x4a0];
    uint8_t  cpl;
    uint32_t reserved5;
    uint64_t efer;
    uint8_t  reserved6[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t  reserved7[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t  reserved8[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t  reserved9[0x668 - 0x648];
    uint64_t pat;
    uint8_t  reserved10[0x1000 - 0x670];
};
_Static_assert(offsetof(struct vmcb, iopm_base) == 0x40, "table B-1");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "table B-1");
_Static_assert(offsetof(struct vmcb, event) == 0xa8, "table B-1");
_Static_assert(offsetof(struct vmcb, fetched) == 0xd0, "table B-1");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "table B-2");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "table B-2");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "table B-2");
_Static_assert(sizeof(struct vmcb) == 4096, "one page");

/* intercept_misc1 */
#define INTERCEPT_INTR     (1u << 0)
#define INTERCEPT_NMI      (1u << 1)
#define INTERCEPT_SMI      (1u << 2)
#define INTERCEPT_INIT     (1u << 3)
#define INTERCEPT_VINTR    (1u << 4)
#define INTERCEPT_TABLES   (0xffu << 6)
#define INTERCEPT_RDTSC    (1u << 14)
#define INTERCEPT_RDPMC    (1u << 15)
#define INTERCEPT_CPUID    (1u << 18)
#define INTERCEPT_IRET     (1u << 20)
#define INTERCEPT_INVD     (1u << 22)
#define INTERCEPT_PAUSE    (1u << 23)
#define INTERCEPT_HLT      (1u << 24)
#define INTERCEPT_INVLPG   (1u << 25)
#define INTERCEPT_INVLPGA  (1u << 26)
#define INTERCEPT_IO       (1u << 27)
#define INTERCEPT_MSR      (1u << 28)
#define INTERCEPT_TASK     (1u << 29)
#define INTERCEPT_SHUTDOWN (1u << 31)
/* intercept_misc2: VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP, WBINVD MONITOR MWAIT, XSETBV */
#define INTERCEPT_MISC2    0x2effu

/* vintr */
#define VINTR_TPR          0xfull
#define VINTR_IRQ          (1ull << 8)
#define VINTR_PRIO_SHIFT   16
#define VINTR_IGNORE_TPR   (1ull << 20)
#define VINTR_MASKING      (1ull << 24)

/* event, exit_int_info */
#define EVENT_VECTOR(e)    ((unsigned)(e) & 0xff)
#define EVENT_TYPE(e)      ((unsigned)(e) >> 8 & 7)
#define EVENT_ERROR        (1ull << 11)
#define EVENT_VALID        (1ull << 31)
enum { EVENT_INTERRUPT = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFTWARE = 4 };

enum {
    EXIT_CR = 0x00, EXIT_DR = 0x20, EXIT_EXCEPTION = 0x40, EXIT_INTR = 0x60, EXIT_NMI, EXIT_SMI, EXIT_INIT, EXIT_VINTR,
    EXIT_TABLE_FIRST = 0x66, EXIT_TABLE_LAST = 0x6d, EXIT_RDTSC, EXIT_RDPMC, EXIT_CPUID = 0x72, EXIT_IRET = 0x74, EXIT_INVD = 0x76,
    EXIT_PAUSE, EXIT_HLT, EXIT_INVLPG, EXIT_INVLPGA, EXIT_IO, EXIT_MSR, EXIT_TASK, EXIT_SHUTDOWN = 0x7f, EXIT_VMRUN = 0x80, EXIT_VMMCALL,
    EXIT_VMLOAD, EXIT_VMSAVE, EXIT_STGI, EXIT_CLGI, EXIT_SKINIT, EXIT_RDTSCP, EXIT_WBINVD = 0x89, EXIT_MONITOR, EXIT_MWAIT,
    EXIT_XSETBV = 0x8d, EXIT_NPF = 0x400
};
#define EXIT_INVALID 0xffffffffu // low half: QEMU 7.2 writes only that
/* Not the processor's: the sticky bit was set before entry, and the IRET that ended NMI blocking is done. */
#define EXIT_RECALLED   0x1000ull
#define EXIT_NMI_WINDOW 0x1001ull

#endif
