/* SPDX-License-Identifier: MIT */
/*
 * The component ABI: what a component finds when its first thread starts. doc/framework.md says it in prose.
 *
 * Object space (selectors):
 *     SEL_PD          its PD {CREATE}: it may make spaces, ECs, portals and semaphores out of its kernel quota
 *     SEL_OBJ         its object space {GRANT, TAKE, REVOKE}
 *     SEL_HST         its memory {GRANT, REVOKE}: what is mapped comes from core only
 *     SEL_EC          its first thread {CTRL, BIND_PT}
 *     SEL_MSR         MSRs for guests {GRANT}, with AUTHORITY_VM only
 *     SEL_CORE + c    portal to core on CPU c {CALL}          one each for the CPUs of component_info.cpu_mask
 *     SEL_PARENT + c  portal to the parent on CPU c {CALL}
 *     SEL_EVENT + 64c exception portals of core on CPU c {EVENT}: the event base of each EC there
 *     slot_first()    everything from here is free
 * Memory: the ELF segments; struct component_info, read-only, at ABI_INFO_ADDRESS; the first thread's UTCB at ABI_ROOT_UTCB.
 * Registers at the ELF entry point: RDI = ABI_ROOT_UTCB, RSP = 0; the start-up code brings its stack. FS base is 0.
 *
 * The root PD has the same first slots by the kernel's doing (abi/hypercall.h), so that the start-up code serves both.
 */
#ifndef FRAMEWORK_LAYOUT_H
#define FRAMEWORK_LAYOUT_H

#include "abi/hypercall.h"
#include "abi/info.h"

#define SEL_PD     ABI_SEL_ROOT_PD
#define SEL_OBJ    ABI_SEL_ROOT_OBJ
#define SEL_HST    ABI_SEL_ROOT_HST
#define SEL_EC     ABI_SEL_ROOT_EC
#define SEL_MSR    ABI_SEL_ALL_MSR
#define SEL_CORE   64u
#define SEL_PARENT 128u
#define SEL_EVENT  256u

#define SEL_EVENT_STRIDE 64u
#define SEL_NONE         (~0u)

#define COMPONENT_MAGIC   0x504d4f4354465247ull // "GRFTCOMP"
#define COMPONENT_VERSION 1u
#define LABEL_SIZE        64u

/* Where the address-space allocator works; below lie the ELF segments. */
#define SPACE_BASE 0x0000000100000000ull
#define SPACE_END  0x0000700000000000ull

struct component_info {
    uint64_t magic;
    uint32_t version;
    uint32_t features;    // ABI_FEATURE_*
    uint32_t cpu_count;   // of the machine
    uint32_t cpu;         // of the first thread
    uint64_t cpu_mask;    // CPUs that this component may use
    uint32_t xstate_size;
    uint32_t authority;   // AUTHORITY_*
    uint64_t xcr0;
    uint64_t tsc_khz;
    uint64_t boot_tsc;    // when core started: the log's time zero
    uint32_t priority;    // highest that its threads can have
    uint32_t pad;
    char     label[LABEL_SIZE];
};
_Static_assert(sizeof(struct component_info) == 136, "layout");

/* What core lets a component do beyond its own memory and threads. A parent can pass on only what it has. */
#define AUTHORITY_CHILDREN 0x01u // make and destroy child PDs
#define AUTHORITY_ROM      0x02u // open any boot module
#define AUTHORITY_DEVICE   0x04u // ports, device memory, interrupts, DMA addresses, platform information
#define AUTHORITY_LOG      0x08u // read the system log
#define AUTHORITY_VM       0x10u // MSRs for guests
#define AUTHORITY_ALL      0x1fu

#endif
