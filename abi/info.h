/* SPDX-License-Identifier: MIT */
/*
 * The information page: what the kernel tells the root PD, mapped read-only at ABI_INFO_ADDRESS; RDI holds its address at the root thread's start.
 * The root thread's UTCB is at ABI_ROOT_UTCB; its stack pointer starts at 0: the program brings its own stack.
 */
#ifndef ABI_INFO_H
#define ABI_INFO_H

#include <stddef.h>
#include <stdint.h>

#define ABI_INFO_MAGIC   0x4f464e4954465247ull // "GRFTINFO"
#define ABI_INFO_ADDRESS 0x00007fffffffd000ull
#define ABI_ROOT_UTCB    0x00007fffffffb000ull

#define ABI_FEATURE_SVM          0x1u
#define ABI_FEATURE_VTX          0x2u
#define ABI_FEATURE_IOMMU        0x4u
#define ABI_FEATURE_ASSERT       0x8u  // assertion build
#define ABI_FEATURE_TSC_DEADLINE 0x10u

enum abi_memory {
    ABI_MEMORY_FREE     = 1, // RAM for the root PD to give out
    ABI_MEMORY_MODULE   = 2, // a boot module; aux = address of its string in memory, NUL-terminated (inside a STRINGS range), string_size its length
    ABI_MEMORY_STRINGS  = 3, // where module strings lie
    ABI_MEMORY_ACPI     = 4, // ACPI tables (reclaimable or NVS): may be mapped read-only
    ABI_MEMORY_RESERVED = 5, // what the firmware reserved; device memory may be anywhere that is not listed
    ABI_MEMORY_KERNEL   = 6, // never to be had
    ABI_MEMORY_ROOT     = 7  // the root program's own image
};

struct abi_memory_range {
    uint64_t base; // bytes; FREE ranges are page aligned and in ascending order
    uint64_t size;
    uint32_t type;
    uint32_t string_size;
    uint64_t aux;
};
_Static_assert(sizeof(struct abi_memory_range) == 32, "layout");

struct abi_info {
    uint64_t magic;
    uint32_t version;     // ABI_VERSION
    uint32_t size;        // of this structure with all ranges
    uint32_t features;
    uint32_t cpu_count;   // CPUs 0 to cpu_count - 1 are usable
    uint32_t boot_cpu;
    uint32_t xstate_size; // bytes of the XSAVE image, standard format
    uint64_t xcr0;        // extended state components in use
    uint64_t tsc_khz;
    uint64_t rsdp;        // physical address of ACPI's RSDP, 0 if none
    uint32_t pin_count;   // interrupt pins
    uint32_t msi_count;
    uint64_t pool_frames; // kernel memory in all
    uint64_t root_quota;  // frames the root PD got
    uint32_t apic_id[64];
    uint32_t range_count;
    uint32_t pad;
    struct abi_memory_range range[110];
};
_Static_assert(sizeof(struct abi_info) <= 4096, "one page");

#endif
