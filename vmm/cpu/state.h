/* SPDX-License-Identifier: MIT */
/*
 * The state of one virtual CPU, in groups, and the exit that its engine last reported.
 *
 * One page, owned by the engine, used by the vCPU's own thread while the engine does not run it.
 * Formats are AMD's (APM volume 2, appendix B): segment attributes are the 12 packed bits of a
 * VMCB, events are EVENTINJ. The layout is also that of the state page which the microhypervisor
 * shares with a VM process, so that its engine needs no copy (it asserts that).
 *
 * GPR and CORE are always present and always loaded. Any other group is present if its bit is in
 * `valid`, else engine_fetch() brings it; whoever changes a group that is present sets its bit in
 * `dirty`. RSP is the field `rsp`; gpr[4] is scratch (the interpreter may keep RSP there while it
 * works). Only the engine's kick may touch the page while it runs.
 */
#ifndef VMM_CPU_STATE_H
#define VMM_CPU_STATE_H

#include <stddef.h>
#include <stdint.h>

/* Groups. */
#define CPU_GPR      0x0001u // always: all but RSP
#define CPU_CORE     0x0002u // always: RIP, RSP, RFLAGS, CR8, shadow, event, requests
#define CPU_CSSS     0x0004u
#define CPU_DSES     0x0008u
#define CPU_FSGS     0x0010u
#define CPU_TRLDTR   0x0020u
#define CPU_TABLES   0x0040u // GDTR, IDTR
#define CPU_CR       0x0080u // CR0, CR2, CR3, CR4
#define CPU_DR       0x0100u
#define CPU_EFER     0x0200u
#define CPU_SYSCALL  0x0400u // STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE
#define CPU_SYSENTER 0x0800u
#define CPU_PAT      0x1000u
#define CPU_XSTATE   0x2000u // XCR0 and the XSAVE image
#define CPU_CONTROL  0x4000u // exception bitmap, extra intercepts, TSC offset
#define CPU_ALL      0x7fffu

/*
 * requests: exits that the VM process waits for; the engine clears a request when it reports its
 * window.
 */
#define CPU_REQUEST_WINDOW    1u // maskable interrupts can be delivered
#define CPU_REQUEST_NMIWINDOW 2u

/* intercepts, on top of those that an engine always sets. */
#define CPU_INTERCEPT_TSC    0x01u
#define CPU_INTERCEPT_CR3    0x02u
#define CPU_INTERCEPT_CR0_4  0x04u
#define CPU_INTERCEPT_DR     0x08u
#define CPU_INTERCEPT_PAUSE  0x10u
#define CPU_INTERCEPT_TABLE  0x20u
#define CPU_INTERCEPT_INVLPG 0x40u

/*
 * event (EVENTINJ, APM 15.20): vector 7:0, type 10:8, error code valid 11, valid 31, error code
 * 63:32.
 */
#define CPU_EVENT_INTR       (0ull << 8)
#define CPU_EVENT_NMI        (2ull << 8)
#define CPU_EVENT_EXCEPTION  (3ull << 8)
#define CPU_EVENT_SOFT       (4ull << 8)
#define CPU_EVENT_TYPE       (7ull << 8)
#define CPU_EVENT_ERROR      (1ull << 11)
#define CPU_EVENT_VALID      (1ull << 31)

/* attr of a segment. */
#define CPU_SEG_TYPE 0x00fu
#define CPU_SEG_S    0x010u
#define CPU_SEG_DPL  0x060u
#define CPU_SEG_P    0x080u
#define CPU_SEG_AVL  0x100u
#define CPU_SEG_L    0x200u
#define CPU_SEG_DB   0x400u
#define CPU_SEG_G    0x800u

enum cpu_reg {
    CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI,
    CPU_R8, CPU_R9, CPU_R10, CPU_R11, CPU_R12, CPU_R13, CPU_R14, CPU_R15
};

struct cpu_segment {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit; // in bytes, granularity applied
    uint64_t base;
};
_Static_assert(sizeof(struct cpu_segment) == 16, "as in a VMCB");

struct cpu_state {
    /* GPR, by encoding. */
    uint64_t gpr[16];
    /* CORE */
    uint64_t rip, rsp, rflags;
    uint64_t event;      // inject at entry; after an exit: the delivery it interrupted, or 0
    uint32_t requests;
    uint8_t  shadow;     // 1: in an interrupt shadow (STI, MOV SS)
    uint8_t  cr8;
    uint8_t  nmi_blocked;
    uint8_t  window_priority; // of REQUEST_WINDOW: report it once above CR8; 0: always
    /* The exit (vmm/engine.h). */
    uint32_t reason;
    uint32_t insn_len;   // of the exiting instruction where the engine knows, else 0
    uint64_t q0, q1;
    uint8_t  fetched;    // number of instruction bytes in bytes[]
    uint8_t  bytes[15];
    /* Control of the transfer. */
    uint32_t valid;
    uint32_t dirty;
    uint32_t recall;     // belongs to the engine's kick
    /* CONTROL */
    uint32_t exception_bitmap;
    uint32_t intercepts;
    uint32_t pad1;
    uint64_t tsc_offset; // guest TSC = host TSC + tsc_offset
    uint16_t want[32];   // by exit reason: groups to bring at such an exit without being asked
    /* CSSS, DSES, FSGS, TRLDTR, TABLES (selector and attributes of the last two unused) */
    struct cpu_segment cs, ss, ds, es, fs, gs, tr, ldtr, gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t dr[4], dr6, dr7;
    uint64_t efer;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t xcr0;
    uint64_t exits;      // statistics of the engine
    uint64_t entries;
    uint64_t pad2[47];
    /* XSTATE: standard (not compacted) XSAVE image, APM volume 2, 11.5. */
    uint8_t  xsave[3072];
};
_Static_assert(offsetof(struct cpu_state, xsave) == 1024, "layout of the shared page");
_Static_assert(sizeof(struct cpu_state) == 4096, "one page");

#endif
