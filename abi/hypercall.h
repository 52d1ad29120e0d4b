/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls: numbers, registers, flags, permissions, and every status each can return.
 *
 * SYSCALL with
 *     RDI = selector << 16 | flags << 8 | number
 *     RSI, RDX, RAX, R8, R9, R10 = arguments as named below
 * returns
 *     RAX = status (abi/status.h); RSI, RDX = results where a call has any.
 * RCX and R11 are taken by the instruction. RBX, RBP, RSP, R12 to R15 are kept by every call, vector state
 * (FPU to AVX) too; all other registers are zero or results afterwards. A call that fails has changed nothing,
 * except that the time donated by IPC has passed.
 *
 * Selectors index the object space of the calling EC's PD, 0 to ABI_SEL_MAX. Ranges are [base, base + count).
 * All calls may return ABI_BAD_HYPERCALL for flag bits that are not listed.
 *
 * Who pays: kernel memory comes in frames of 4 KiB from the quota of the PD that is named in the call (its capability
 * needs CREATE); nodes and tables of a delegation are paid by the PD that owns the destination space. What an
 * object took goes back to that PD when the object is destroyed, after a grace period.
 * An object lives until the capability its creation made is revoked, or the PD that paid for it dies.
 */
#ifndef ABI_HYPERCALL_H
#define ABI_HYPERCALL_H

#define ABI_VERSION 1u
#define ABI_SEL_MAX 0x3ffffu

enum abi_hypercall {
    /*
     * Call through a portal, on the caller's CPU. sel: portal {CALL}. RSI = message descriptor (abi/utcb.h).
     * ABI_CALL_NOWAIT: do not help a busy callee. Result: RSI = descriptor of the reply.
     * TIMEOUT callee busy and NOWAIT; ABORTED; BAD_CAPABILITY (portal, or a capability in the message);
     * BAD_PARAMETER descriptor, or a capability sent where no window is open or it is occupied; BAD_CPU portal of another CPU;
     * OUT_OF_MEMORY the receiver cannot pay for a capability; OVERFLOW.
     */
    ABI_IPC_CALL = 0,
    /*
     * Answer the present caller, if any, and wait for the next call. Only a local EC. RSI = descriptor of the reply.
     * ABI_REPLY_STOP: (answering an event) the thread that caused it never runs again. Does not return: the next call enters at its portal's
     * IP with RDI = portal id, RSI = message descriptor, RSP as it was at this call, all other registers zero.
     * If the capabilities of the reply cannot be delivered the caller gets the reply without them (count 0 in the descriptor).
     * BAD_HYPERCALL not a local EC; BAD_PARAMETER descriptor (the caller is then still waiting).
     */
    ABI_IPC_REPLY = 1,
    /*
     * sel: free slot for the new PD. RSI = parent PD {CREATE_PD}. RDX = quota in frames, taken from the parent, at least ABI_PD_QUOTA_MIN.
     * A PD is created without spaces. BAD_CAPABILITY, BAD_PARAMETER, OCCUPIED, OUT_OF_MEMORY.
     */
    ABI_CREATE_PD = 2,
    /*
     * flags = enum abi_space. sel: free slot. RSI = PD {CREATE}, which pays. The first OBJ, HST and PIO space of a PD become those its threads
     * run in; it can have only one OBJ and one HST. BAD_CAPABILITY, BAD_PARAMETER, OCCUPIED, OUT_OF_MEMORY, BAD_FEATURE (DMA without IOMMU, GST without
     * virtualization).
     */
    ABI_CREATE_SPACE = 3,
    /*
     * flags = enum abi_ec. sel: free slot. RSI = PD {CREATE}, with OBJ and HST space. RDX = address of the UTCB or state page in that PD's
     * host space (page aligned, unmapped, below ABI_USER_END; 0 allowed for no UTCB on a thread) | CPU number (bits 0-11).
     *   local, thread: RAX = initial RSP, R8 = event base (selectors of the PD: + 0..31 exception, + ABI_EVENT_RECALL; or ~0 none),
     *                  R9 = initial RIP (thread only), R10 = FS base.
     *   thread:        starts with RDI = its UTCB address when a scheduling context is bound to it.
     *   vCPU:          RAX = GST space {ASSIGN}, R8 = PIO space {ASSIGN} or ~0, R9 = MSR space {ASSIGN} or ~0. State: abi/vcpu.h.
     * BAD_CAPABILITY, BAD_PARAMETER, BAD_CPU, OCCUPIED (slot or page), OUT_OF_MEMORY, BAD_FEATURE (vCPU).
     */
    ABI_CREATE_EC = 4,
    /*
     * sel: free slot. RSI = PD {CREATE_SC}. RDX = thread EC {BIND_SC} without one. RAX = priority (1..ABI_PRIO_MAX) | time slice in microseconds << 8
     * (100..1000000). R8 = CPUs that are allowed: bit n is CPU n, 0 means all. BAD_CAPABILITY (also an EC that has one or is not a thread), BAD_PARAMETER,
     * BAD_CPU (the EC is on another), OCCUPIED, OUT_OF_MEMORY.
     */
    ABI_CREATE_SC = 5,
    /*
     * sel: free slot. RSI = PD {CREATE}. RDX = local EC {BIND_PT}. RAX = entry RIP. R8 = portal id.
     * BAD_CAPABILITY, BAD_PARAMETER (RIP not a user address), OCCUPIED, OUT_OF_MEMORY.
     */
    ABI_CREATE_PT = 6,
    /* sel: free slot. RSI = PD {CREATE}. RDX = initial count. BAD_CAPABILITY, OCCUPIED, OUT_OF_MEMORY. */
    ABI_CREATE_SM = 7,
    /*
     * Derive a range. sel = source space {GRANT}, RSI = destination space {TAKE}, of kinds that fit (same kind; or HST to GST or DMA).
     * RDX = source base, RAX = destination base, R8 = count, R9 = permissions (narrowed by the source's; from HST to GST
     * reading includes executing) | cache attribute << 8 (memory, from
     * ABI_SEL_PHYS only). Units: OBJ selectors, memory 4 KiB pages, PIO ports, MSR indices. At most ABI_DELEGATE_MAX leaf entries (a 2 MiB page
     * counts 1 where source, destination and physical address allow it). Ports and MSRs keep their number (RDX = RAX). Empty parts of the source are skipped; a part being
     * revoked counts as empty. Result: RSI = units delegated.
     * BAD_CAPABILITY, BAD_PARAMETER, OCCUPIED (any part of the destination in use), OUT_OF_MEMORY, OVERFLOW (derivation deeper than ABI_DEPTH_MAX).
     */
    ABI_DELEGATE = 8,
    /*
     * Take back, recursively, all that was derived from a range. sel = space {REVOKE}, RSI = base, RDX = count. ABI_REVOKE_SELF: the range itself too
     * (capabilities whose creation made them: the object is destroyed). A derivation that lies partly in the range goes as a whole; with SELF so does what lies
     * partly in it here. Preemptible; restarted by the kernel. On return nothing of it is usable on any CPU. BAD_CAPABILITY, BAD_PARAMETER.
     */
    ABI_REVOKE = 9,
    /*
     * flags = enum abi_pd_op. sel = PD {CTRL}.
     *   QUOTA_GIVE: RSI = PD {CTRL} that is sel's child, RDX = frames from sel to it.   QUOTA_TAKE: back, unused ones only.
     *   QUOTA_QUERY: results RSI = frames in use, RDX = limit.
     * BAD_CAPABILITY, BAD_PARAMETER (not a child), OUT_OF_MEMORY (not that many unused).
     */
    ABI_CTRL_PD = 10,
    /*
     * flags = enum abi_ec_op. sel = EC {CTRL}.
     *   RECALL: vCPU: sets the sticky bit and makes it exit if it runs, on any CPU; thread: event ABI_EVENT_RECALL before its next user instruction.
     *   FETCH:  vCPU on this CPU and not running: RSI = groups (abi/vcpu.h) to bring into the state page.
     *   FS_BASE: RSI = new FS base (canonical user address) of a thread or local EC of this CPU.
     * BAD_CAPABILITY, BAD_PARAMETER, BAD_CPU.
     */
    ABI_CTRL_EC = 11,
    /* sel = SC {CTRL}. Result: RSI = TSC ticks it has run. BAD_CAPABILITY. */
    ABI_CTRL_SC = 12,
    /* sel = PT {CTRL}. RSI = new id, RDX = event groups to transfer (abi/utcb.h). BAD_CAPABILITY, BAD_PARAMETER. */
    ABI_CTRL_PT = 13,
    /*
     * flags = enum abi_sm_op. sel = SM {UP or DOWN}.
     *   UP: count + 1, or wakes the waiter of the highest priority, first come first served within one.  DOWN: waits while 0, then count - 1.
     *   ABI_SM_ALL (with DOWN): takes the whole count. ABI_SM_MASKED (interrupt SM): leave the line masked.
     *   RSI = absolute TSC deadline, 0 = none; a deadline in the past polls. Result of DOWN: RSI = what was taken.
     * BAD_CAPABILITY, OVERFLOW (UP), TIMEOUT (DOWN), ABORTED (SM destroyed while waiting).
     */
    ABI_CTRL_SM = 14,
    /*
     * Run a vCPU. sel = vCPU EC {RUN} of this CPU that nobody runs. The guest runs on the caller's time; returns at an exit that the VM process has to handle.
     * Result: RSI = exit reason (abi/vcpu.h). BAD_CAPABILITY, BAD_CPU, BAD_PARAMETER (already run by another EC), ABORTED (destroyed
     * while it ran; BAD_CAPABILITY if that happened while the caller was preempted).
     */
    ABI_VCPU_RUN = 15,
    /*
     * Route an interrupt. sel = interrupt SM {ASSIGN}. RSI = CPU, RDX = enum abi_int_flags. Results: RSI = MSI address, RDX = MSI data (MSI sources).
     * The line is masked when it fires; a level-triggered one is unmasked by the next DOWN. BAD_CAPABILITY (also not an interrupt SM), BAD_CPU, BAD_PARAMETER, BAD_DEVICE
     * (no such pin, or out of vectors).
     */
    ABI_ASSIGN_INT = 16,
    /* sel = DMA space {ASSIGN}, RSI = PCI bus/device/function. BAD_CAPABILITY, BAD_FEATURE while there is no IOMMU driver. */
    ABI_ASSIGN_DEV = 17,
    ABI_HYPERCALL_COUNT
};

enum abi_space { ABI_SPACE_OBJ, ABI_SPACE_HST, ABI_SPACE_GST, ABI_SPACE_DMA, ABI_SPACE_PIO, ABI_SPACE_MSR, ABI_SPACE_COUNT };
enum abi_ec    { ABI_EC_LOCAL, ABI_EC_THREAD, ABI_EC_VCPU };
enum abi_pd_op { ABI_PD_QUOTA_GIVE, ABI_PD_QUOTA_TAKE, ABI_PD_QUOTA_QUERY };
enum abi_ec_op { ABI_EC_RECALL, ABI_EC_FETCH, ABI_EC_FS_BASE };

#define ABI_CALL_NOWAIT 1u
#define ABI_REPLY_STOP  1u
#define ABI_REVOKE_SELF 1u
#define ABI_SM_UP       0u
#define ABI_SM_DOWN     1u
#define ABI_SM_ALL      2u
#define ABI_SM_MASKED   4u

enum abi_int_flags { ABI_INT_EDGE = 0, ABI_INT_LEVEL = 1, ABI_INT_HIGH = 0, ABI_INT_LOW = 2 };

#define ABI_EVENT_RECALL 32u
#define ABI_EVENT_COUNT  33u

/* Permissions of a capability. Delegation can only clear bits. */
#define ABI_PERM_PD_CTRL      0x01u
#define ABI_PERM_PD_CREATE    0x02u // spaces, ECs, portals, semaphores
#define ABI_PERM_PD_CREATE_PD 0x04u // PDs below it
#define ABI_PERM_PD_CREATE_SC 0x08u // SCs: who has it decides about priorities
#define ABI_PERM_SPACE_GRANT  0x01u
#define ABI_PERM_SPACE_TAKE   0x02u
#define ABI_PERM_SPACE_ASSIGN 0x04u
#define ABI_PERM_SPACE_REVOKE 0x08u
#define ABI_PERM_EC_CTRL      0x01u
#define ABI_PERM_EC_BIND_PT   0x02u
#define ABI_PERM_EC_BIND_SC   0x04u
#define ABI_PERM_EC_RUN       0x08u
#define ABI_PERM_SC_CTRL      0x01u
#define ABI_PERM_PT_CTRL      0x01u
#define ABI_PERM_PT_CALL      0x02u
#define ABI_PERM_PT_EVENT     0x04u
#define ABI_PERM_SM_UP        0x01u
#define ABI_PERM_SM_DOWN      0x02u
#define ABI_PERM_SM_ASSIGN    0x04u
#define ABI_PERM_OBJ_ALL      0x1fu
/* Permissions of memory. */
#define ABI_PERM_MEM_R        0x01u
#define ABI_PERM_MEM_W        0x02u
#define ABI_PERM_MEM_X        0x04u
#define ABI_PERM_MEM_ALL      0x07u
/* Permissions of ports and MSRs. */
#define ABI_PERM_PIO          0x01u
#define ABI_PERM_MSR_R        0x01u
#define ABI_PERM_MSR_W        0x02u

/* Cache attribute of memory delegated from ABI_SEL_PHYS. */
#define ABI_CACHE_WB 0u
#define ABI_CACHE_UC 1u
#define ABI_CACHE_WC 2u

#define ABI_DELEGATE_MAX 512u
#define ABI_DEPTH_MAX    32u
#define ABI_PRIO_MAX     127u
#define ABI_PD_QUOTA_MIN 8u
#define ABI_CPU_MAX      64u
#define ABI_USER_END     0x00007ffffffff000ull

/* What the root PD's object space holds at boot. */
#define ABI_SEL_ROOT_PD  0u
#define ABI_SEL_ROOT_OBJ 1u
#define ABI_SEL_ROOT_HST 2u
#define ABI_SEL_ROOT_PIO 3u
#define ABI_SEL_ROOT_EC  4u
#define ABI_SEL_ROOT_SC  5u
#define ABI_SEL_PHYS     6u   // all physical memory that is not the kernel's, as a HST space: page number = frame number. Source only.
#define ABI_SEL_ALL_PIO  7u   // all I/O ports. Source only.
#define ABI_SEL_ALL_MSR  8u   // the MSRs a guest may be given directly. Source only.
#define ABI_SEL_INT_BASE 16u  // interrupt SMs: pins first (abi_info.pin_count), then message-signalled ones (abi_info.msi_count)
#define ABI_SEL_FREE     512u // first selector the root PD may use freely

#endif
