/* SPDX-License-Identifier: MIT */
/*
 * The first PD: what the machine has, as capabilities, and the program that the boot loader
 * brought.
 */
#include "kernel/assert.h"
#include "kernel/boot.h"
#include "kernel/cpu.h"
#include "kernel/delegate.h"
#include "kernel/interrupt.h"
#include "kernel/msr.h"
#include "kernel/object_kinds.h"
#include "kernel/pd.h"
#include "kernel/program.h"
#include "kernel/sm.h"
#include "kernel/timer.h"
#include "lib/string.h"

#define ROOT_PRIORITY 64u
#define ROOT_SLICE_US 10000u
#define SOURCE_PERMS  (ABI_PERM_SPACE_GRANT | ABI_PERM_SPACE_REVOKE)

static struct pd root_pd __attribute__((aligned(OBJECT_ALIGN)));

/* Nothing here may fail: the pool has just been made. */
static void *must(void *memory)
{
    if (!memory)
        panic("the pool is too small for the root PD");
    return memory;
}

static void bind(struct object *object, uint64_t sel, uint8_t perms)
{
    struct reserve slot;

    if (slot_reserve(&slot, root_pd.objects, sel) != ABI_OK)
        panic("no memory for the root PD's capability %lu", sel);
    slot_bind(&slot, object, perms, NODE_BOOT);
}

/* A root node of a source or of kernel memory. */
static void add_range(struct space *space, uint64_t base, uint64_t count, uint64_t phys,
                      uint8_t perms, uint8_t flags)
{
    struct reserve reserve;

    reserve_init(&reserve, space);
    struct node *node = must(reserve_node(&reserve, base));
    node->count = count;
    node->phys = phys;
    node->perms = perms;
    node->flags = flags;
    reserve_plan(&reserve, node);
    if (!reserve_frames(&reserve))
        must(NULL);
    reserve_commit(&reserve);
}

static void add_source(struct space *space, uint64_t base, uint64_t count, uint8_t perms)
{
    if (count)
        add_range(space, base, count, base, perms, NODE_BOOT);
}

/* All physical memory but the pages of what the kernel keeps. The ranges are in ascending order. */
static void add_memory(struct space *space, const struct abi_info *info)
{
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff;
    uint64_t at = 0, end = BIT((bits < 52 ? bits : 52) - 12);

    for (const struct abi_memory_range *r = info->range; r < info->range + info->range_count; r++) {
        uint64_t first = r->base / FRAME_SIZE;
        if (r->type != ABI_MEMORY_KERNEL)
            continue;
        add_source(space, at, first > at ? first - at : 0, ABI_PERM_MEM_ALL);
        at = MAX(at, (r->base + r->size + FRAME_SIZE - 1) / FRAME_SIZE);
    }
    add_source(space, at, end > at ? end - at : 0, ABI_PERM_MEM_ALL);
}

/*
 * The MSRs that belong to the guest alone: VMLOAD, VMSAVE and the VMCB switch them (APM volume 2,
 * appendix B).
 */
static void add_msrs(struct space *space)
{
    uint8_t perms = ABI_PERM_MSR_R | ABI_PERM_MSR_W;

    add_source(space, 0x174, 3, perms);      // SYSENTER
    add_source(space, 0xc0000081, 4, perms); // STAR, LSTAR, CSTAR, SFMASK
    add_source(space, 0xc0000100, 3, perms); // FS.base, GS.base, KERNEL_GS_BASE
}

static void create_spaces(struct boot_info *boot)
{
    struct space *memory = must(space_create(&root_pd, OBJECT_SPACE_HST, true));
    struct space *ports = must(space_create(&root_pd, OBJECT_SPACE_PIO, true));
    struct space *msrs = must(space_create(&root_pd, OBJECT_SPACE_MSR, true));

    must(space_create(&root_pd, OBJECT_SPACE_OBJ, false));
    must(space_create(&root_pd, OBJECT_SPACE_HST, false));
    must(space_create(&root_pd, OBJECT_SPACE_PIO, false));
    add_memory(memory, &boot->info);
    add_source(ports, 0, 0x10000, ABI_PERM_PIO);
    add_msrs(msrs);
    bind(&root_pd.object, ABI_SEL_ROOT_PD, PERMS_PD);
    bind(&root_pd.objects->object, ABI_SEL_ROOT_OBJ, PERMS_SPACE);
    bind(&root_pd.host->object, ABI_SEL_ROOT_HST, PERMS_SPACE);
    bind(&root_pd.ports->object, ABI_SEL_ROOT_PIO, PERMS_SPACE);
    bind(&memory->object, ABI_SEL_PHYS, SOURCE_PERMS);
    bind(&ports->object, ABI_SEL_ALL_PIO, SOURCE_PERMS);
    bind(&msrs->object, ABI_SEL_ALL_MSR, SOURCE_PERMS);
}

static void create_interrupts(const struct boot_info *boot)
{
    unsigned count = boot->info.pin_count + boot->info.msi_count;

    for (unsigned i = 0; i < count; i++) {
        struct sm *sm = must(sm_create(&root_pd, 0));
        sm_bind_interrupt(sm, i);
        bind(&sm->object, ABI_SEL_INT_BASE + i, PERMS_SM);
    }
}
_Static_assert(ABI_SEL_INT_BASE + INTERRUPT_PIN_MAX + INTERRUPT_MSI_MAX <= ABI_SEL_FREE,
               "selectors at boot");

/* Maps memory of the program, as if it had been delegated from ABI_SEL_PHYS. */
static void map_root(struct space *memory, uint64_t virtual, uint64_t phys, uint64_t pages,
                     uint8_t perms)
{
    for (uint64_t at = 0, done; at < pages; at += done) {
        struct delegation d = {.source = memory, .source_base = phys / FRAME_SIZE + at,
                               .target = root_pd.host, .target_base = virtual / FRAME_SIZE + at,
                               .count = MIN(pages - at, ABI_DELEGATE_MAX), .perms = perms};
        if (delegate(&d, &done) != ABI_OK || done != d.count)
            panic("the root program's segment at %lx does not fit", virtual);
    }
}

static void load_segment(struct boot_info *boot, const struct program *program,
                         const struct program_segment *s)
{
    struct space *memory = space_of(node_first(root_pd.objects, ABI_SEL_PHYS, 1)->object);
    uint64_t base = ALIGN_DOWN(s->virtual, FRAME_SIZE);
    uint64_t size = ALIGN_UP(s->virtual + s->memory_size, FRAME_SIZE) - base;
    uint64_t phys = boot_take(boot, size, FRAME_SIZE, ABI_MEMORY_ROOT);
    unsigned perms = ABI_PERM_MEM_R | (s->flags & PROGRAM_WRITE ? ABI_PERM_MEM_W : 0) |
                     (s->flags & PROGRAM_EXECUTE ? ABI_PERM_MEM_X : 0);

    if (!phys)
        panic("no room for the root program");
    memcpy((char *)boot_map(phys, size) + (s->virtual - base), program->image + s->offset,
           s->file_size);
    map_root(memory, base, phys, size / FRAME_SIZE, (uint8_t)perms);
}

static uint64_t load_program(struct boot_info *boot)
{
    struct program program;
    const char *wrong =
        program_open(&program, boot_map(boot->module_base, boot->module_size), boot->module_size);

    if (wrong)
        panic("the first boot module is the root program: %s", wrong);
    for (unsigned i = 0; i < program.count; i++)
        if (program.segments[i].type == PROGRAM_LOAD && program.segments[i].memory_size)
            load_segment(boot, &program, &program.segments[i]);
    return program.entry;
}

static struct abi_info *map_info(void)
{
    struct abi_info *info = must(frame_alloc(&root_pd, 1));

    add_range(root_pd.host, ABI_INFO_ADDRESS / FRAME_SIZE, 1, pool_phys(info) / FRAME_SIZE,
              ABI_PERM_MEM_R, NODE_KERNEL | NODE_BOOT);
    return info;
}

static void start_program(uint64_t entry)
{
    struct ec_config config = {.pd = &root_pd, .kind = ABI_EC_THREAD, .page = ABI_ROOT_UTCB,
                               .rip = entry, .event_base = ~0ull};
    struct ec *ec;

    if (ec_create(&config, &ec) != ABI_OK)
        panic("the pool is too small for the root PD");
    ec->regs.rdi = ABI_INFO_ADDRESS;
    bind(&ec->object, ABI_SEL_ROOT_EC, ABI_PERM_EC_CTRL | ABI_PERM_EC_BIND_SC);
    struct sc *sc =
        must(sc_create(&root_pd, ec, ROOT_PRIORITY, ROOT_SLICE_US * timer_khz() / 1000));
    bind(&sc->object, ABI_SEL_ROOT_SC, ABI_PERM_SC_CTRL);
    sc_start(sc);
}

void kernel_main(struct boot_info *boot)
{
    pool_init((void *)POOL_BASE, boot->pool_base, boot->pool_size / FRAME_SIZE);
    space_set_template((const uint64_t *)(KERNEL_BASE + boot->kernel_pml4));
    for (unsigned i = 0; i < cpu_count(); i++)
        sched_init(&cpu_of(i)->sched);
    pd_init(&root_pd, NULL, pool_free());
    create_spaces(boot);
    create_interrupts(boot);
    struct abi_info *info = map_info();
    uint64_t entry = load_program(boot);
    boot->info.size = (uint32_t)offsetof(struct abi_info, range) +
                      boot->info.range_count * (uint32_t)sizeof boot->info.range[0];
    boot->info.pool_frames = pool_size();
    boot->info.root_quota = root_pd.account.limit;
    start_program(entry);
    boot_finish(boot);
    *info = boot->info;
    schedule();
}

void kernel_main_ap(void)
{
    schedule();
}
