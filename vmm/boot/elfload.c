/* SPDX-License-Identifier: MIT */
/* ELF segments into guest RAM. */
#include "vmm/boot/elfload.h"

#include "lib/align.h"

enum vmm_status elfload_open(struct boot *boot, const char *what, struct elf *elf)
{
    enum elf_status status = elf_open(elf, boot->request->image, boot->request->size);

    if (status != ELF_OK)
        return boot_fail(boot, VMM_BAD_IMAGE, "%s: an ELF image expected: %s", what,
                         elf_status_text(status));
    if (elf->machine != ELF_MACHINE_386 && elf->machine != ELF_MACHINE_X86_64)
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "%s: machine 3 (386) or 62 (x86-64) expected, the image is for %u", what,
                         elf->machine);
    return VMM_OK;
}

static bool next_load(const struct elf *elf, unsigned *index, struct elf_segment *s)
{
    while (*index < elf->count)
        if (elf_segment(elf, (*index)++, s) == ELF_OK && s->type == ELF_SEGMENT_LOAD &&
            s->memory_size != 0)
            return true;
    return false;
}

/* Every segment is checked before anything is written; gives the span of physical addresses. */
static enum vmm_status measure(struct boot *boot, const struct elf *elf, uint64_t *low,
                               uint64_t *high)
{
    struct elf_segment s;

    *low = UINT64_MAX;
    *high = 0;
    for (unsigned i = 0; i < elf->count; i++) {
        enum elf_status status = elf_segment(elf, i, &s);

        if (status != ELF_OK)
            return boot_fail(boot, VMM_BAD_IMAGE, "ELF segment %u: %s", i, elf_status_text(status));
        if (s.type != ELF_SEGMENT_LOAD || s.memory_size == 0)
            continue;
        if (!range_fits(s.physical, s.memory_size, MEMORY_HIGH))
            return boot_fail(boot, VMM_BAD_IMAGE,
                             "ELF segment %u: below 4 GiB expected, 0x%lx bytes at 0x%lx came", i,
                             s.memory_size, s.physical);
        *low = MIN(*low, s.physical);
        *high = MAX(*high, s.physical + s.memory_size);
    }
    if (*high == 0)
        return boot_fail(boot, VMM_BAD_IMAGE, "the ELF image has no segment to load");
    return VMM_OK;
}

static enum vmm_status move(struct boot *boot, const struct elfload_window *w, uint64_t size,
                            uint64_t *base)
{
    bool found = w->highest ? place_highest(&boot->place, size, w->align, w->min, w->max, base)
                            : place_lowest(&boot->place, size, w->align, w->min, w->max, base);

    if (!found)
        return boot_fail(boot, VMM_NO_MEMORY,
                         "no 0x%lx bytes of free RAM from 0x%lx to 0x%lx for the kernel", size,
                         w->min, w->max);
    return VMM_OK;
}

static enum vmm_status take(struct boot *boot, const struct elf *elf)
{
    struct elf_segment s;
    unsigned i = 0;

    while (next_load(elf, &i, &s)) {
        enum vmm_status status = place_take(&boot->place, s.physical, s.memory_size);

        if (status != VMM_OK)
            return boot_fail(boot, status, "ELF segment %u: 0x%lx bytes at 0x%lx %s", i - 1,
                             s.memory_size, s.physical,
                             status == VMM_OVERLAP ? "overlap another" : "are not in usable RAM");
    }
    return VMM_OK;
}

enum vmm_status elfload(struct boot *boot, const struct elf *elf,
                        const struct elfload_window *window, struct elfload_result *result)
{
    uint64_t low, high, delta = 0;
    struct elf_segment s;
    unsigned i = 0;
    enum vmm_status status = measure(boot, elf, &low, &high);

    if (status != VMM_OK)
        return status;
    result->base = low;
    status = window != NULL ? move(boot, window, high - low, &result->base) : take(boot, elf);
    if (status != VMM_OK)
        return status;
    delta = result->base - low;
    result->entry = elf->entry + delta;
    while (next_load(elf, &i, &s)) {
        uint64_t at = s.physical + delta;

        if (!memory_write(boot->memory, at, elf->data + s.offset, s.file_size) ||
            !memory_fill(boot->memory, at + s.file_size, 0, s.memory_size - s.file_size))
            return boot_fail(boot, VMM_BAD_RANGE, "ELF segment %u: 0x%lx is not RAM", i - 1, at);
        if (elf->entry >= s.virtual && elf->entry - s.virtual < s.memory_size)
            result->entry = elf->entry - s.virtual + at;
    }
    if (result->entry >= MEMORY_HIGH)
        return boot_fail(boot, VMM_BAD_IMAGE, "an entry below 4 GiB expected, 0x%lx came",
                         result->entry);
    return VMM_OK;
}
