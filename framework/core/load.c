/* SPDX-License-Identifier: MIT */
/*
 * Starting a PD: its ELF image is copied into one dataspace at the PD's expense, each segment mapped with its own permissions, the
 * information page filled in, the first thread made. The image is hostile: lib/elf checks it, and each segment must lie inside the
 * range for images and on pages of its own (the kernel refuses to map a page twice).
 */
#include "framework/core/dataspace.h"
#include "framework/core/pd.h"
#include "framework/core/syslog.h"
#include "lib/elf.h"
#include "lib/string.h"

#define IMAGE_BASE 0x1000ull
#define IMAGE_MAX  (4ull << 20) // as much as core clears without releasing its lock

struct image {
    struct elf elf;
    uint64_t first, end;   // addresses, page aligned
    const struct dataspace *memory;
    uint8_t *window;       // where memory's first byte is visible to core
};

static bool is_load(const struct elf *elf, unsigned i, struct elf_segment *segment)
{
    return elf_segment(elf, i, segment) == ELF_OK && segment->type == ELF_SEGMENT_LOAD && segment->memory_size;
}

static MUST_CHECK enum status image_measure(struct image *image)
{
    image->first = UINT64_MAX;
    image->end = 0;
    for (unsigned i = 0; i < image->elf.count; i++) {
        struct elf_segment s;
        enum elf_status status = elf_segment(&image->elf, i, &s);

        if (status != ELF_OK)
            return STATUS_INVALID;
        if (!is_load(&image->elf, i, &s))
            continue;
        if (s.virtual < IMAGE_BASE || !range_fits(s.virtual, s.memory_size, SPACE_BASE))
            return STATUS_INVALID;
        image->first = MIN(image->first, ALIGN_DOWN(s.virtual, PAGE_SIZE));
        image->end = MAX(image->end, ALIGN_UP(s.virtual + s.memory_size, PAGE_SIZE));
    }
    return image->end && image->end - image->first <= IMAGE_MAX ? STATUS_OK : STATUS_INVALID;
}

static unsigned segment_perms(uint32_t flags)
{
    return ABI_PERM_MEM_R | (flags & ELF_FLAG_WRITE ? ABI_PERM_MEM_W : 0) | (flags & ELF_FLAG_EXECUTE ? ABI_PERM_MEM_X : 0);
}

static MUST_CHECK enum status image_place(struct core *core, struct image *image, struct pd *pd)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; i < image->elf.count && status == STATUS_OK; i++) {
        struct elf_segment s;
        uint64_t start, end;

        if (!is_load(&image->elf, i, &s))
            continue;
        /* Who gave the file may have changed it since it was measured: what counts is this reading. */
        if (s.virtual < image->first || s.file_size > s.memory_size ||
            !range_fits(s.virtual - image->first, s.memory_size, image->end - image->first))
            return STATUS_INVALID;
        start = ALIGN_DOWN(s.virtual, PAGE_SIZE);
        end = ALIGN_UP(s.virtual + s.memory_size, PAGE_SIZE);
        memcpy(image->window + (s.virtual - image->first), image->elf.data + s.offset, s.file_size);
        status = dataspace_attach(core, image->memory, pd, start, start - image->first, end - start, segment_perms(s.flags));
    }
    return status;
}

static MUST_CHECK enum status image_load(struct core *core, struct pd *pd, const struct dataspace *file, uint64_t *entry)
{
    struct image image;
    uint32_t index;
    void *data, *window;
    enum status status = window_map(file, WINDOW_IMAGE, &data);

    if (status != STATUS_OK)
        return status;
    status = STATUS_INVALID;
    if (elf_open(&image.elf, data, file->bytes) == ELF_OK && image.elf.is_64 && image.elf.machine == ELF_MACHINE_X86_64 &&
        image.elf.type == ELF_TYPE_EXEC)
        status = image_measure(&image);
    if (status == STATUS_OK)
        status = dataspace_ram(core, pd, image.end - image.first, PAGE_SIZE, UINT64_MAX, &index);
    if (status == STATUS_OK) {
        image.memory = &core->dataspace[index];
        status = window_map(image.memory, WINDOW_WORK, &window);
        if (status == STATUS_OK) {
            image.window = window;
            status = image_place(core, &image, pd);
            window_unmap(image.memory, WINDOW_WORK);
        }
    }
    *entry = image.elf.entry;
    window_unmap(file, WINDOW_IMAGE);
    return status;
}

static void info_fill(const struct core *core, const struct pd *pd, uint32_t cpu, struct component_info *info)
{
    info->magic = COMPONENT_MAGIC;
    info->version = COMPONENT_VERSION;
    info->features = core->info->features;
    info->cpu_count = core->info->cpu_count;
    info->cpu = cpu;
    info->cpu_mask = pd->cpu_mask;
    info->xstate_size = core->info->xstate_size;
    info->authority = pd->authority;
    info->xcr0 = core->info->xcr0;
    info->tsc_khz = core->info->tsc_khz;
    info->boot_tsc = core->boot_tsc;
    info->priority = pd->priority;
    memcpy(info->label, pd->label, sizeof info->label);
}

static MUST_CHECK enum status info_place(struct core *core, struct pd *pd, uint32_t cpu)
{
    uint32_t index;
    void *page;
    enum status status = dataspace_ram(core, pd, PAGE_SIZE, PAGE_SIZE, UINT64_MAX, &index);

    if (status == STATUS_OK)
        status = window_map(&core->dataspace[index], WINDOW_WORK, &page);
    if (status != STATUS_OK)
        return status;
    info_fill(core, pd, cpu, page);
    window_unmap(&core->dataspace[index], WINDOW_WORK);
    return dataspace_attach(core, &core->dataspace[index], pd, ABI_INFO_ADDRESS, 0, PAGE_SIZE, ABI_PERM_MEM_R);
}

enum status pd_start(struct core *core, struct pd *pd, uint32_t cpu, const struct dataspace *file)
{
    uint32_t self = pd_slot(core, pd, PD_SLOT_PD), thread = pd_slot(core, pd, PD_SLOT_EC), sc;
    uint64_t entry, count = 1;
    enum status status;

    if (pd->fault.state != CHILD_CREATED)
        return STATUS_OCCUPIED;
    if (cpu >= core->info->cpu_count || !(pd->cpu_mask >> cpu & 1))
        return STATUS_DENIED;
    status = image_load(core, pd, file, &entry);
    if (status == STATUS_OK)
        status = info_place(core, pd, cpu);
    if (status == STATUS_OK)
        status = status_of(hc_create_thread(thread, self, ABI_ROOT_UTCB, cpu, 0, entry, SEL_EVENT + cpu * SEL_EVENT_STRIDE, 0));
    if (status == STATUS_OK)
        status = status_of(hc_delegate(SEL_OBJ, pd_slot(core, pd, PD_SLOT_OBJ), thread, SEL_EC, &count,
                                       ABI_PERM_EC_CTRL | ABI_PERM_EC_BIND_PT | ABI_PERM_EC_BIND_SC));
    if (status == STATUS_OK)
        status = pd_thread_start(core, pd, SEL_EC, pd->priority, 10000, &sc);
    if (status == STATUS_OK)
        pd->fault.state = CHILD_RUNNING;
    return status;
}
