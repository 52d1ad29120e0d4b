/* SPDX-License-Identifier: MIT */
/* Virtual CPUs: exits, injection, windows, recall, refused states, extended state; with guests of a few bytes in real mode. */
#include "rig.h"

static void exits(struct rig *r)
{
    static const uint8_t code[] = {
        0x0f, 0xa2,             // 100 cpuid
        0xb0, 0x5a,             // 102 mov $0x5a, %al
        0xe6, 0x80,             // 104 out %al, $0x80
        0xe5, 0x81,             // 106 in $0x81, %ax
        0xba, 0xf8, 0x03,       // 108 mov $0x3f8, %dx
        0xee,                   // 10b out %al, (%dx)
        0x0f, 0x32,             // 10c rdmsr
        0x0f, 0x30,             // 10e wrmsr
        0xf4,                   // 110 hlt
        0xc7, 0x06, 0x00, 0x90, 0x34, 0x12, // 111 movw $0x1234, 0x9000 (ours)
        0x0f, 0x01, 0xd9,       // 117 vmmcall
        0x0f, 0x08,             // 11a invd
        0xb8, 0x00, 0xf0, 0x8e, 0xd8, // 11c mov $0xf000, %ax; mov %ax, %ds
        0xa1, 0x00, 0x01,       // 121 mov 0x100, %ax: beyond what the guest has
    };
    struct abi_vcpu *v = r->state;
    real_mode(v, code, sizeof code);
    check_is(rig_run(r), ABI_EXIT_CPUID);
    check_is(v->rip, 0x100);
    v->rip += 2;
    check_is(rig_run(r), ABI_EXIT_IO);
    check_is(v->q0 >> 16, 0x80);
    check_is(v->q0 & 1, 0);
    check_is(v->q0 >> 4 & 7, 1);
    check_is(v->q1, 0x106);
    check_is(v->gpr[0] & 0xff, 0x5a);
    v->rip = v->q1;
    check_is(rig_run(r), ABI_EXIT_IO);
    check_is(v->q0 >> 16, 0x81);
    check_is(v->q0 & 1, 1);
    check_is(v->q0 >> 4 & 7, 2);
    v->gpr[0] = 0x7788;
    v->rip = v->q1;
    check_is(rig_run(r), ABI_EXIT_IO);
    check_is(v->q0 >> 16, 0x3f8);
    check_is(v->gpr[0] & 0xffff, 0x7788);
    v->rip = v->q1;
    v->gpr[1] = 0x1b;
    check_is(rig_run(r), ABI_EXIT_MSR);
    check_is(v->q0, 0);
    v->rip += 2;
    check_is(rig_run(r), ABI_EXIT_MSR);
    check_is(v->q0, 1);
    v->rip += 2;
    check_is(rig_run(r), ABI_EXIT_HLT);
    v->rip = 0x111;
    check_is(rig_run(r), ABI_EXIT_HYPERCALL);
    check_is(*(uint16_t *)(GUEST + 0x9000), 0x1234);
    v->rip += 3;
    check_is(rig_run(r), ABI_EXIT_CACHE);
    v->rip += 2;
    check_is(rig_run(r), ABI_EXIT_MEMORY);
    check_is(v->q1, 0xf0100);
    check_is(v->rip, 0x121);
}

static void shutdown(struct rig *r)
{
    static const uint8_t code[] = {0x0f, 0x0b};
    real_mode(r->state, code, sizeof code);
    r->state->idtr.limit = 0;
    check_is(rig_run(r), ABI_EXIT_SHUTDOWN);
}

/* What the processor refuses is reported, and the vCPU can be used again. */
static void refused(struct rig *r)
{
    static const uint8_t code[] = {0xf4};
    struct abi_vcpu *v = r->state;
    static const struct {
        uint64_t cr0, cr4, efer;
    } bad[] = {
        {0x10 | 1ull << 32, 0, 0},       // reserved upper half of CR0
        {0x10, 1ull << 40, 0},           // CR4
        {0x80000011, 0, 0x100},          // long mode enabled and paging without PAE
        {0x20000010, 0, 0},              // NW without CD
        {0x10, 0, 1ull << 40},           // EFER
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        real_mode(v, code, sizeof code);
        v->cr0 = bad[i].cr0;
        v->cr4 = bad[i].cr4;
        v->efer = bad[i].efer;
        check_is(rig_run(r), ABI_EXIT_INVALID);
        check(v->q0 != 0);
        real_mode(v, code, sizeof code);
        check_is(rig_run(r), ABI_EXIT_HLT);
    }
}

#define VECTOR 0x20 // its entry in the interrupt table lies below the code

static void injection(struct rig *r)
{
    /* sti; nop; 1: jmp 1b; and at 0x200 the handler: cpuid */
    static const uint8_t code[] = {0xfb, 0x90, 0xf4, 0xeb, 0xfd};
    struct abi_vcpu *v = r->state;
    ((uint16_t *)GUEST)[VECTOR * 2] = 0x200;
    ((uint8_t *)GUEST)[0x200] = 0x0f;
    ((uint8_t *)GUEST)[0x201] = 0xa2;
    real_mode(v, code, sizeof code);
    v->requests = ABI_REQUEST_WINDOW; // interrupts are off: the window opens behind STI's shadow
    check_is(rig_run(r), ABI_EXIT_WINDOW);
    check_is(v->requests, 0);
    check_is(v->rip, 0x102);
    check(v->rflags & 0x200);
    v->event = 1u << 31 | VECTOR;
    check_is(rig_run(r), ABI_EXIT_CPUID);
    check_is(v->rip, 0x200);
    check_is(v->rsp, 0x8000 - 6);
    check_is(((uint16_t *)GUEST)[(0x8000 - 6) / 2], 0x102);
    check_is(v->event, 0);
    /* A delivery that cannot be completed (its stack is not there) comes back to be injected again. */
    real_mode(v, code, sizeof code);
    v->rflags = 0x202;
    v->ss.base = 0x100000;
    v->event = 1u << 31 | VECTOR;
    check_is(rig_run(r), ABI_EXIT_MEMORY);
    check_is(v->event, 1u << 31 | VECTOR);
    v->ss.base = 0;
    v->dirty = ABI_VCPU_CSSS;
    check_is(rig_run(r), ABI_EXIT_CPUID);
    check_is(v->rip, 0x200);
}

/* An NMI blocks the next until its IRET is done; the window that was asked for opens right there. */
static void nmi(struct rig *r)
{
    /* 100: nop; hlt, and at 0x200 the handler: cpuid; iret */
    static const uint8_t code[] = {0x90, 0xf4}, handler[] = {0x0f, 0xa2, 0xcf};
    struct abi_vcpu *v = r->state;
    uint64_t nmi_event = 1u << 31 | 2u << 8 | 2;
    ((uint16_t *)GUEST)[2 * 2] = 0x200;
    ((uint16_t *)GUEST)[2 * 2 + 1] = 0;
    for (unsigned i = 0; i < sizeof handler; i++)
        ((uint8_t *)GUEST)[0x200 + i] = handler[i];
    real_mode(v, code, sizeof code);
    v->requests = ABI_REQUEST_NMIWINDOW; // nothing is blocked: at once
    check_is(rig_run(r), ABI_EXIT_NMIWINDOW);
    check_is(v->rip, 0x100);
    check_is(v->requests, 0);
    v->event = nmi_event;
    check_is(rig_run(r), ABI_EXIT_CPUID);
    check_is(v->rip, 0x200);
    check_is(v->nmi_blocked, 1);
    if (option("bochs", 0)) {
        check_skip("NMI window behind IRET", "Bochs traps a single step by the flags behind the instruction, not those before");
        return;
    }
    v->rip += 2;
    v->requests = ABI_REQUEST_NMIWINDOW;
    check_is(rig_run(r), ABI_EXIT_NMIWINDOW);
    check_is(v->rip, 0x100);
    check_is(v->rsp, 0x8000);
    check_is(v->rflags & 0x100, 0);
    check_is(v->nmi_blocked, 0);
    v->event = nmi_event;
    check_is(rig_run(r), ABI_EXIT_CPUID);
    v->rip += 2; // nobody asks now: the guest goes on behind the IRET
    check_is(rig_run(r), ABI_EXIT_HLT);
    check_is(v->nmi_blocked, 0);
}

/* The guest's debug registers are its own: kept over exits, not the other guest's nor the kernel's. */
static void debug_registers(struct rig *r)
{
    static const uint8_t code[] = {0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, // 100 mov $0x12345678, %eax
                                   0x0f, 0x23, 0xd8,                   // 106 mov %eax, %dr3
                                   0x0f, 0xa2,                         // 109 cpuid
                                   0x0f, 0x21, 0xdb,                   // 10b mov %dr3, %ebx
                                   0xf4};
    struct abi_vcpu *v = r->state;
    real_mode(v, code, sizeof code);
    v->dr[0] = 0xabc;
    v->dr[3] = 0;
    check_is(rig_run(r), ABI_EXIT_CPUID);
    check_is(ctrl_ec(ABI_EC_FETCH, r->sel + 3, ABI_VCPU_DR), ABI_OK);
    check_is(v->dr[0], 0xabc);
    check_is(v->dr[3], 0x12345678);
    v->rip += 2;
    check_is(rig_run(r), ABI_EXIT_HLT);
    check_is((uint32_t)v->gpr[3], 0x12345678);
    real_mode(v, code, sizeof code);
    v->intercepts = ABI_INTERCEPT_DR; // unless the VM process wants to see each access
    check_is(rig_run(r), ABI_EXIT_DR);
    check_is(v->q0, 3 | 1 << 8);
    check_is(v->rip, 0x106);
}

static void extended(struct rig *r)
{
    /* movq of a word into XMM3, then cpuid; the host's XMM3 must not be touched by it nor be seen */
    static const uint8_t code[] = {0x66, 0x0f, 0x7e, 0xd8,             // movd %xmm3, %eax
                                   0x66, 0xbb, 0x78, 0x56, 0x34, 0x12, // mov $0x12345678, %ebx
                                   0x66, 0x0f, 0x6e, 0xdb,             // movd %ebx, %xmm3
                                   0x0f, 0xa2};
    struct abi_vcpu *v = r->state;
    uint64_t host = 0xfeedfacecafebeef, after;
    real_mode(v, code, sizeof code);
    v->cr4 = 1u << 9; // OSFXSR
    v->cr0 = 0x12;
    __asm__ volatile("movq %0, %%xmm3" : : "r"(host) : "xmm3");
    check_is(rig_run(r), ABI_EXIT_CPUID);
    __asm__ volatile("movq %%xmm3, %0" : "=r"(after));
    check_is(after, host);
    check(v->gpr[0] != (uint32_t)host);
    check_is(ctrl_ec(ABI_EC_FETCH, r->sel + 3, ABI_VCPU_XSTATE), ABI_OK);
    check(v->valid & ABI_VCPU_XSTATE);
    check_is(*(uint32_t *)(void *)(v->xsave + 160 + 3 * 16), 0x12345678);
    /* An image that XRSTOR would refuse does no harm. */
    for (unsigned i = 0; i < sizeof v->xsave; i++)
        v->xsave[i] = 0xff;
    v->xcr0 = ~0ull;
    v->dirty = ABI_VCPU_XSTATE;
    uint64_t reason = 0, status = vcpu_run(r->sel + 3, &reason);
    check_is(status, ABI_OK);
    check(reason == ABI_EXIT_INVALID || reason == ABI_EXIT_CPUID);
    for (unsigned i = 0; i < sizeof v->xsave; i++)
        v->xsave[i] = 0;
    v->xsave[25] = 0x1f;
    v->xsave[24] = 0x80;
    v->xcr0 = 1;
    v->dirty = ABI_VCPU_XSTATE;
}

static void clock(struct rig *r)
{
    static const uint8_t code[] = {0x0f, 0x31, 0xf4};
    struct abi_vcpu *v = r->state;
    real_mode(v, code, sizeof code);
    v->tsc_offset = -tsc();
    check_is(rig_run(r), ABI_EXIT_HLT);
    check((v->gpr[2] << 32 | (uint32_t)v->gpr[0]) < ticks(1000000));
    real_mode(v, code, sizeof code);
    v->intercepts = ABI_INTERCEPT_TSC;
    check_is(rig_run(r), ABI_EXIT_TSC);
}

static struct rig *shared_rig;
static volatile uint64_t loop_reason, loop_status, looping;

static void looper(uint64_t argument)
{
    uint64_t reason;
    (void)argument;
    looping = 1;
    loop_status = vcpu_run(shared_rig->sel + 3, &reason);
    loop_reason = reason;
    looping = 2;
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

static void wait_looping(uint64_t value)
{
    for (unsigned i = 0; i < 2000 && looping != value; i++)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
    check_is(looping, value);
}

/* A guest that loops with interrupts off is made to exit, from its own CPU or another. */
static void recall(uint64_t cpu, uint64_t frame)
{
    struct rig r;
    uint64_t s = sel_take(2), reason;
    check(rig_create(&r, cpu, frame));
    shared_rig = &r;
    for (unsigned i = 0; i < 3; i++) {
        looping = 0;
        loop_reason = loop_status = ~0ull;
        real_mode_loop(r.state);
        check_is(create_thread(s, OWN_PD, utcb_address(1), cpu, thread_stack(looper), ~0ull, (uint64_t)thread_entry), ABI_OK);
        check_is(create_sc(s + 1, OWN_PD, s, 1, 10000), ABI_OK);
        wait_looping(1);
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(2000), 0);
        check_is(looping, 1);
        check_is(vcpu_run(r.sel + 3, &reason), cpu ? ABI_BAD_CPU : ABI_BAD_PARAMETER);
        if (i < 2) {
            check_is(ctrl_ec(ABI_EC_RECALL, r.sel + 3, 0), ABI_OK);
            wait_looping(2);
            check_is(loop_status, ABI_OK);
            check_is(loop_reason, ABI_EXIT_RECALL);
            check_is(r.state->recall, 0);
        } else { // it dies instead
            check_is(revoke(OWN_OBJ, r.sel + 3, 1, ABI_REVOKE_SELF), ABI_OK);
            wait_looping(2);
            check(loop_status == ABI_ABORTED || loop_status == ABI_BAD_CAPABILITY);
        }
        check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
    }
    rig_destroy(&r);
    stacks_reset();
}

/* A port and an MSR given to the guest do not exit. */
static void direct(struct rig *r)
{
    static const uint8_t code[] = {0xe6, 0x80, 0x66, 0xb9, 0x00, 0x01, 0x00, 0xc0, 0x0f, 0x32, 0xf4};
    struct abi_vcpu *v = r->state;
    check_is(delegate(ABI_SEL_ALL_PIO, r->sel + 1, 0x80, 0x80, 1, ABI_PERM_PIO, 0), ABI_OK);
    check_is(delegate(ABI_SEL_ALL_MSR, r->sel + 2, 0xc0000100, 0xc0000100, 1, ABI_PERM_MSR_R | ABI_PERM_MSR_W, 0), ABI_OK);
    real_mode(v, code, sizeof code);
    v->fs.base = 0x1234;
    check_is(rig_run(r), ABI_EXIT_HLT);
    check_is((uint32_t)v->gpr[0], 0x1234);
    uint64_t done = 1, status = delegate(ABI_SEL_ALL_MSR, r->sel + 2, 0xc0010117, 0xc0010117, 1, ABI_PERM_MSR_W, &done);
    check(status != ABI_OK || !done); // VM_HSAVE_PA is nobody's
    check_is(revoke(r->sel + 1, 0x80, 1, ABI_REVOKE_SELF), ABI_OK);
    real_mode(v, code, sizeof code);
    check_is(rig_run(r), ABI_EXIT_IO);
}

static uint64_t refuse(struct rig *r, uint64_t frame)
{
    uint64_t s = sel_take(1);
    check_is(create_vcpu(s, OWN_PD, utcb_address(16), 0, r->sel, ~0ull, ~0ull), ABI_OCCUPIED);
    check_is(create_vcpu(s, OWN_PD, utcb_address(17), 0, r->sel + 1, ~0ull, ~0ull), ABI_BAD_CAPABILITY);
    check_is(create_vcpu(s, OWN_PD, utcb_address(17), 0, r->sel, r->sel, ~0ull), ABI_BAD_CAPABILITY);
    check_is(create_vcpu(s, OWN_PD, utcb_address(17), ABI_CPU_MAX - 1, r->sel, ~0ull, ~0ull), ABI_BAD_CPU);
    check_is(ctrl_ec(ABI_EC_FETCH, r->sel + 3, ~0ull), ABI_BAD_PARAMETER);
    return frame;
}

void suite_vcpu(void)
{
    struct rig r;
    uint64_t frame = frames_take(GUEST_PAGES);
    if (!(test_info->features & (ABI_FEATURE_SVM | ABI_FEATURE_VTX))) {
        check_skip("virtual CPUs", "no hardware virtualization");
        return;
    }
    check(rig_create(&r, 0, frame));
    exits(&r);
    shutdown(&r);
    refused(&r);
    injection(&r);
    nmi(&r);
    debug_registers(&r);
    extended(&r);
    clock(&r);
    direct(&r);
    refuse(&r, frame);
    rig_destroy(&r);
    for (uint64_t cpu = 0; cpu < test_info->cpu_count && cpu < 2; cpu++)
        recall(cpu, frame);
}

/*
 * More PDs than any tag space of the processor holds, and three times as many vCPUs as it has ASIDs, each run in turn: the assertion build
 * checks at every entry that no other live space on this CPU uses the same tag in the same generation.
 */
static void many_vcpus(uint64_t frame)
{
    static const uint8_t code[] = {0xf4};
    struct rig r;
    unsigned count = (unsigned)option("vcpus", 200), made = 0;
    uint64_t s = sel_take(count);
    check(rig_create(&r, 0, frame));
    for (; made < count; made++) {
        struct abi_vcpu *v = (struct abi_vcpu *)utcb_address(32 + made);
        if (create_vcpu(s + made, OWN_PD, (uint64_t)v, 0, r.sel, r.sel + 1, r.sel + 2))
            break;
        real_mode(v, code, sizeof code);
    }
    check_is(made, count);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < made; i++) {
            uint64_t reason = ~0ull;
            ((struct abi_vcpu *)utcb_address(32 + i))->rip = 0x100;
            check_is(vcpu_run(s + i, &reason), ABI_OK);
            check_is(reason, ABI_EXIT_HLT);
        }
    check_is(revoke(OWN_OBJ, s, count, ABI_REVOKE_SELF), ABI_OK);
    rig_destroy(&r);
}

void suite_tags(void)
{
    uint64_t frame = frames_take(GUEST_PAGES), s = sel_take(3);
    if (test_info->features & ABI_FEATURE_SVM)
        many_vcpus(frame);
    unsigned made = 0;
    for (; made < 4200; made++)
        if (!child_create(s, 16) || revoke(OWN_OBJ, s, 3, ABI_REVOKE_SELF) != ABI_OK)
            break;
    check_is(made, 4200);
}
