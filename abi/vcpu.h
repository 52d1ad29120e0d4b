/* SPDX-License-Identifier: MIT */
/*
 * The vCPU state page, shared by the kernel and the VM process.
 *
 * After ABI_VCPU_RUN returned: the fields of the first two groups (general registers; pointers and interrupts) and the exit are always
 * there. `valid` names the other groups that hold the guest's present state: those that want[reason] asked for, and what
 * ABI_EC_FETCH brought since. Before ABI_VCPU_RUN the VM process sets in `dirty` each group that it changed (the first two are always loaded);
 * the kernel clears `dirty` and `valid` when it enters the guest. While the guest runs only `recall` may be touched.
 *
 * The kernel trusts nothing here: it reads each field once; a state that the processor refuses ends in ABI_EXIT_INVALID.
 * Formats are AMD's (APM volume 2, appendix B): attributes are the 12 packed bits of a VMCB, events are EVENTINJ. A VT-x back end converts.
 */
#ifndef ABI_VCPU_H
#define ABI_VCPU_H

#include <stddef.h>
#include <stdint.h>

/* Groups. */
#define ABI_VCPU_GPR      0x0001u // always: all but RSP
#define ABI_VCPU_CORE     0x0002u // always: RIP, RSP, RFLAGS, CR8, shadow, event, requests
#define ABI_VCPU_CSSS     0x0004u
#define ABI_VCPU_DSES     0x0008u
#define ABI_VCPU_FSGS     0x0010u
#define ABI_VCPU_TRLDTR   0x0020u
#define ABI_VCPU_TABLES   0x0040u // GDTR, IDTR
#define ABI_VCPU_CR       0x0080u // CR0, CR2, CR3, CR4
#define ABI_VCPU_DR       0x0100u // DR0-3, DR6, DR7
#define ABI_VCPU_EFER     0x0200u
#define ABI_VCPU_SYSCALL  0x0400u // STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE
#define ABI_VCPU_SYSENTER 0x0800u
#define ABI_VCPU_PAT      0x1000u
#define ABI_VCPU_XSTATE   0x2000u // XCR0 and the XSAVE image
#define ABI_VCPU_CONTROL  0x4000u // extra intercepts, TSC offset
#define ABI_VCPU_ALL      0x7fffu

/* Exit reasons, the same for every kind of hardware. Qualifications q0, q1 as given. */
enum abi_exit {
    ABI_EXIT_RECALL    = 0,  // the sticky bit, or nothing to do but look again
    ABI_EXIT_WINDOW    = 1,  // an interrupt can be delivered now
    ABI_EXIT_NMIWINDOW = 2,
    ABI_EXIT_IO        = 3,  // q0 = EXITINFO1: port << 16, ADDR 9:7, SIZE 6:4, REP 3, STR 2, IN 0; q1 = next RIP
    ABI_EXIT_MSR       = 4,  // q0 = 0 read, 1 write; RCX = index
    ABI_EXIT_CPUID     = 5,
    ABI_EXIT_HLT       = 6,
    ABI_EXIT_MEMORY    = 7,  // q0 = page fault error code, q1 = guest-physical address
    ABI_EXIT_SHUTDOWN  = 8,  // triple fault
    ABI_EXIT_INVALID   = 9,  // refused by the processor: q0 = groups with an offending field as far as known. All groups but XSTATE have to be
                             // given anew (the page holds what was last there); a refused XSTATE has become the initial one
    ABI_EXIT_HYPERCALL = 10, // VMMCALL
    ABI_EXIT_EXCEPTION = 11, // q0 = vector | error code valid << 31, q1 = error code or, for #PF, see CR2 in q1 and code in q0 bits 8-23
    ABI_EXIT_CR        = 12, // q0 = CR number | write << 8
    ABI_EXIT_DR        = 13, // q0 = DR number | write << 8
    ABI_EXIT_TSC       = 14, // RDTSC (q0 = 0), RDTSCP (q0 = 1)
    ABI_EXIT_PMC       = 15, // RDPMC
    ABI_EXIT_CACHE     = 16, // INVD (q0 = 0), WBINVD (q0 = 1)
    ABI_EXIT_INVLPG    = 17, // q0 = address where the processor gives it
    ABI_EXIT_MWAIT     = 18, // MONITOR (q0 = 0), MWAIT (q0 = 1)
    ABI_EXIT_XSETBV    = 19,
    ABI_EXIT_SVM       = 20, // a virtualization instruction of the guest
    ABI_EXIT_TASK      = 21, // task switch: q0, q1 = EXITINFO1, EXITINFO2
    ABI_EXIT_PAUSE     = 22,
    ABI_EXIT_TABLE     = 23, // descriptor table register access: q0 = hardware code
    ABI_EXIT_OTHER     = 24, // q0 = hardware exit code, q1 = EXITINFO1
    ABI_EXIT_COUNT
};

/* requests: what the VM process waits for. */
#define ABI_REQUEST_WINDOW    1u
#define ABI_REQUEST_NMIWINDOW 2u

/* Extra intercepts (group CONTROL), on top of those the kernel always sets. */
#define ABI_INTERCEPT_TSC    0x1u
#define ABI_INTERCEPT_CR3    0x2u
#define ABI_INTERCEPT_CR0_4  0x4u
#define ABI_INTERCEPT_DR     0x8u
#define ABI_INTERCEPT_PAUSE  0x10u
#define ABI_INTERCEPT_TABLE  0x20u
#define ABI_INTERCEPT_INVLPG 0x40u

struct abi_segment {
    uint16_t sel;
    uint16_t attr; // type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10, G 11
    uint32_t limit;
    uint64_t base;
};
_Static_assert(sizeof(struct abi_segment) == 16, "as in a VMCB");

struct abi_vcpu {
    /* GPR, by encoding; [4] is unused. */
    uint64_t gpr[16];
    /* CORE */
    uint64_t rip, rsp, rflags;
    uint64_t event;      // to inject at entry (EVENTINJ); after an exit: the delivery that it interrupted, to be injected again, or 0
    uint32_t requests;   // ABI_REQUEST_*; the kernel clears a request when it reports its window
    uint8_t  shadow;     // 1: in an interrupt shadow (STI, MOV SS)
    uint8_t  cr8;
    uint8_t  nmi_blocked;
    uint8_t  window_priority; // with REQUEST_WINDOW: report once it is above CR8 (1-15), or whatever CR8 is (0)
    /* The exit. */
    uint32_t reason;
    uint32_t insn_len;   // of the exiting instruction where the processor says, else 0
    uint64_t q0, q1;
    uint8_t  fetched;    // number of instruction bytes that the processor gave
    uint8_t  bytes[15];
    /* Control of the transfer. */
    uint32_t valid;
    uint32_t dirty;
    uint32_t recall;     // sticky: set to make the vCPU exit; cleared by the kernel when it reports ABI_EXIT_RECALL
    uint32_t exception_bitmap; // CONTROL: exceptions to intercept
    uint32_t intercepts;       // CONTROL
    uint32_t pad1;
    uint64_t tsc_offset;       // CONTROL
    uint16_t want[32];   // by exit reason: groups to bring at such an exit
    /* The other groups. */
    struct abi_segment cs, ss, ds, es, fs, gs, tr, ldtr, gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t dr[4], dr6, dr7;
    uint64_t efer;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t xcr0;
    uint64_t exits;      // statistics: exits that reached the VM process
    uint64_t entries;    // statistics: guest entries
    uint64_t pad2[47];
    /* XSTATE: standard (not compacted) XSAVE image, offset 1024. */
    uint8_t  xsave[3072];
};
_Static_assert(offsetof(struct abi_vcpu, xsave) == 1024, "layout");
_Static_assert(sizeof(struct abi_vcpu) == 4096, "one page");

#endif
