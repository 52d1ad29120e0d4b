/* SPDX-License-Identifier: MIT */
/*
 * Loading a guest kernel directly, without firmware: the format is found out from the image.
 *
 *   bzImage       Linux boot protocol 2.02 and later, 64-bit entry where the kernel has one, else
 * 32-bit Multiboot 2   ELF or address tag, version 2.0 of the specification Multiboot 1   ELF or
 * address fields ("a.out kludge"), version 0.6.96 PVH           ELF with the Xen note 18
 * (PHYS32_ENTRY), start info version 1
 *
 * If an ELF image offers several, they are tried in the order above. The images are files from
 * somewhere: every number in them is hostile. They stay the caller's; a machine that resets calls
 * boot_load() again, over memory as it then is. The firmware's tables (vmm/acpi/firmware.h) are
 * written first and given by address.
 */
#ifndef VMM_BOOT_BOOT_H
#define VMM_BOOT_BOOT_H

#include "vmm/boot/entry.h"
#include "vmm/boot/place.h"
#include "vmm/memory.h"
#include "vmm/status.h"

#define BOOT_WHY 160u
#define BOOT_MAP 16u

struct boot_module {
    const uint8_t *data;
    size_t         size;
    const char    *name;         // what Multiboot 1 puts before its command line; may be NULL
    const char    *command_line; // may be NULL
};

struct boot_request {
    const uint8_t *image;
    size_t         size;
    const char    *name;         // what Multiboot 1 puts before the command line; may be NULL
    const char    *command_line; // may be NULL
    const struct boot_module *modules; // Linux takes at most one: its initial RAM disk
    size_t         module_count;
    uint64_t       rsdp;         // guest-physical; 0: none
};

/* A load in progress; the formats' loaders get this. */
struct boot {
    struct memory             *memory;
    const struct boot_request *request;
    struct place               place;
    struct memory_e820_entry   map[BOOT_MAP];
    size_t                     map_count;
    struct boot_entry          entry;
    char                       why[BOOT_WHY]; // on failure: what was expected and what came
};

/* On success boot->entry is what entry_apply() takes. `boot` is scratch space of the caller's. */
enum vmm_status boot_load(struct boot *boot, struct memory *memory,
                          const struct boot_request *request) VMM_MUST_CHECK;

/* For the loaders: note why, return the status. */
__attribute__((format(printf, 3, 4)))
enum vmm_status boot_fail(struct boot *boot, enum vmm_status status, const char *format, ...);
/* Find room in [min, max) from below, write there. False if there is none. */
bool boot_put(struct boot *boot, const void *data, size_t size, uint64_t align, uint64_t min,
              uint64_t max, uint64_t *at) VMM_MUST_CHECK;
/* The command line, or "" for NULL. */
const char *boot_text(const char *text);

#endif
