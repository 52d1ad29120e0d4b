/* SPDX-License-Identifier: MIT */
/* The hardware engine on the microhypervisor. */
#include "hosts/micro/engine.h"

#include "abi/vcpu.h"
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/memory.h"
#include "framework/slots.h"
#include "framework/space.h"

/* The VM process works on the kernel's page as it is. */
#define SAME(field) _Static_assert(offsetof(struct cpu_state, field) == offsetof(struct abi_vcpu, field), "one layout")
SAME(gpr);
SAME(rip);
SAME(event);
SAME(requests);
SAME(shadow);
SAME(reason);
SAME(q0);
SAME(fetched);
SAME(valid);
SAME(dirty);
SAME(recall);
SAME(exception_bitmap);
SAME(tsc_offset);
SAME(want);
SAME(cs);
SAME(idtr);
SAME(cr0);
SAME(dr);
SAME(efer);
SAME(kernel_gs_base);
SAME(pat);
SAME(xcr0);
SAME(xsave);
#undef SAME
_Static_assert(CPU_ALL == ABI_VCPU_ALL && CPU_CONTROL == ABI_VCPU_CONTROL && CPU_CR == ABI_VCPU_CR, "one set of groups");
_Static_assert((int)EXIT_COUNT == (int)ABI_EXIT_COUNT && (int)EXIT_OTHER == (int)ABI_EXIT_OTHER, "one set of reasons");

static struct cpu_state *micro_state(struct engine *engine, unsigned vcpu)
{
    return engine->state[vcpu];
}

static bool micro_run(struct engine *engine, unsigned vcpu)
{
    uint64_t reason;

    return hc_vcpu_run(engine->vcpu[vcpu], &reason) == ABI_OK;
}

static void micro_kick(struct engine *engine, unsigned vcpu)
{
    /* It can fail only if the vCPU is gone, and then there is nothing to kick. */
    (void)!hc_recall(engine->vcpu[vcpu]);
}

static void micro_fetch(struct engine *engine, unsigned vcpu, uint32_t groups)
{
    (void)!hc_fetch(engine->vcpu[vcpu], groups);
}

/* The processor drops the tag's translations when CR0, CR3 or CR4 are loaded anew (group CR dirty). */
static void micro_invalidate(struct engine *engine, unsigned vcpu)
{
    micro_fetch(engine, vcpu, CPU_CR & ~engine->state[vcpu]->valid);
    engine->state[vcpu]->dirty |= CPU_CR;
}

const struct engine_ops engine_micro = {
    .name       = "microhypervisor",
    .state      = micro_state,
    .run        = micro_run,
    .kick       = micro_kick,
    .fetch      = micro_fetch,
    .invalidate = micro_invalidate,
};

/* State of the guest alone, switched by VMLOAD and VMSAVE or held in the VMCB (APM volume 2, 15.5.2). */
static void give_msrs(uint32_t msr_space)
{
    static const uint32_t direct[] = {
        0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, // STAR, LSTAR, CSTAR, SFMASK
        0xc0000100, 0xc0000101, 0xc0000102,             // FS, GS, kernel GS base
        0x174, 0x175, 0x176,                            // SYSENTER
    };

    for (unsigned i = 0; i < sizeof direct / sizeof direct[0]; i++) {
        uint64_t count = 1;

        /* Without the authority for MSRs the guest pays with exits; nothing else changes. */
        if (hc_delegate(SEL_MSR, msr_space, direct[i], direct[i], &count, ABI_PERM_MSR_R | ABI_PERM_MSR_W) != ABI_OK)
            return;
    }
}

/* The n-th CPU of a mask, counting round. */
static uint32_t cpu_of(uint64_t mask, unsigned n)
{
    uint32_t cpu = 0;

    for (n %= (unsigned)__builtin_popcountll(mask); ; cpu++) {
        if (!(mask >> cpu & 1))
            continue;
        if (!n--)
            return cpu;
    }
}

static enum status create_vcpu(struct engine *engine, unsigned n)
{
    uint64_t page;
    enum status status = space_alloc(PAGE_SIZE, PAGE_SIZE, &page);

    if (status != STATUS_OK)
        return status;
    engine->vcpu[n] = slots_alloc(1);
    if (engine->vcpu[n] == SEL_NONE)
        return STATUS_QUOTA;
    engine->cpu[n] = cpu_of(component_info()->cpu_mask, n);
    engine->state[n] = (struct cpu_state *)page;
    return status_of(hc_create_vcpu(engine->vcpu[n], SEL_PD, page, engine->cpu[n], engine->gst, engine->pio, engine->msr));
}

enum status engine_create(struct engine *engine, unsigned count)
{
    enum status status;
    uint32_t spaces = slots_alloc(3);

    if (count == 0 || count > ENGINE_VCPUS_MAX)
        return STATUS_INVALID;
    if (spaces == SEL_NONE)
        return STATUS_QUOTA;
    engine->gst = spaces;
    engine->pio = spaces + 1;
    engine->msr = spaces + 2;
    if ((status = status_of(hc_create_space(engine->gst, ABI_SPACE_GST, SEL_PD))) != STATUS_OK ||
        (status = status_of(hc_create_space(engine->pio, ABI_SPACE_PIO, SEL_PD))) != STATUS_OK ||
        (status = status_of(hc_create_space(engine->msr, ABI_SPACE_MSR, SEL_PD))) != STATUS_OK)
        return status;
    give_msrs(engine->msr);
    for (engine->count = 0; engine->count < count; engine->count++)
        if ((status = create_vcpu(engine, engine->count)) != STATUS_OK)
            return status;
    return STATUS_OK;
}

enum status engine_map(struct engine *engine, uint64_t gpa, const void *base, uint64_t size, unsigned perms)
{
    return map_pages(SEL_HST, engine->gst, (uint64_t)base >> PAGE_SHIFT, gpa >> PAGE_SHIFT, size >> PAGE_SHIFT, perms);
}
