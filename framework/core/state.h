/* SPDX-License-Identifier: MIT */
/*
 * What core knows: PDs, dataspaces, scheduling contexts, interrupts, free memory, the log. One instance, made by main.c, changed
 * under its lock only.
 *
 * Core's own object space, by fixed places, so that a capability translated by the kernel names its object directly:
 *     CORE_ENTRY + cpu                 entry EC
 *     CORE_PD_SLOTS + 256 i            PD i: PD, spaces, first thread, portals
 *     CORE_DATASPACE + i               the capability of dataspace i
 *     CORE_SC + i                      scheduling context i
 */
#ifndef FRAMEWORK_CORE_STATE_H
#define FRAMEWORK_CORE_STATE_H

#include "framework/base/console.h"
#include "framework/core.h"
#include "framework/range.h"
#include "framework/sync.h"

#include "abi/info.h"
#include "abi/utcb.h"
#include "lib/bitmap.h"

#define PD_MAX        256u
#define PD_DEPTH_MAX  16u // generations: core ends them recursively, on a stack of 16 KiB
#define DATASPACE_MAX 8192u
#define SC_MAX        4096u
#define ATTACHMENT_MAX 1024u
#define RANGE_MAX     (2 * DATASPACE_MAX + 2 * ATTACHMENT_MAX + 256u)
#define IRQ_MAX       512u

#define CORE_LOCK      0x800u
#define CORE_TEMPORARY 0x801u // emptied again by whoever uses it
#define CORE_IDLE      0x802u
#define CORE_LOG_SM    0x803u // the log reader's signal
#define CORE_ENTRY     0x840u
#define CORE_KEEPER    0x880u
#define CORE_KEEPER_SC 0x8c0u
#define CORE_KEEPER_SM 0x900u
#define CORE_KEEPER_PT 0x940u
#define CORE_PD_SLOTS  0x1000u
#define CORE_DATASPACE 0x20000u
#define CORE_SC        0x30000u

/* In the block of a PD. */
#define PD_SLOT_PD     0u
#define PD_SLOT_OBJ    1u
#define PD_SLOT_HST    2u
#define PD_SLOT_PIO    3u
#define PD_SLOT_EC     4u
#define PD_SLOT_NOTIFY 5u
#define PD_SLOT_PORTAL 64u
#define PD_SLOT_FAULT  128u
#define PD_SLOTS       256u

/* Core's addresses for looking at physical memory, for each CPU, one use at a time each. */
#define WINDOW_SIZE   (1ull << 30)
#define WINDOW_STRIDE (1ull << 32)
#define WINDOW_IMAGE 0x200000000000ull
#define WINDOW_WORK  0x210000000000ull
#define WINDOW_LOG   0x220000000000ull

#define LOG_LINE 240u

struct pd {
    bool     used;
    bool     has_pio;
    bool     notify;
    uint16_t generation;
    uint16_t parent;
    uint16_t depth;               // below core
    uint32_t authority;
    uint32_t priority;
    uint64_t cpu_mask;
    uint64_t ram_used, ram_limit; // pages
    uint64_t objects_used, objects_limit;
    struct core_fault fault;
    uint32_t line_length;
    char     label[LABEL_SIZE];
    char     line[LOG_LINE]; // of the log, until it is complete
};

enum dataspace_kind { DATASPACE_NONE, DATASPACE_RAM, DATASPACE_ROM, DATASPACE_DEVICE };

struct dataspace {
    uint64_t base; // physical, page aligned
    uint64_t size; // whole pages
    uint64_t bytes; // as asked for
    uint8_t  kind;
    uint8_t  cache;
    uint16_t owner; // PD
    uint32_t name;  // of a ROM: offset into core.names
};

/* Memory of another PD that a PD has mapped (attachment.h). */
struct attachment {
    uint64_t address, size;
    uint64_t page;      // physical; takes the place of the memory when that ends
    uint32_t dataspace; // index
    uint16_t pd;        // that mapped it; 0: unused
    uint16_t perms;
};

#define PORT_RANGE_MAX 128u

struct port_range {
    uint32_t first;
    uint32_t count; // 0: unused
    uint32_t owner; // PD
};

struct core {
    const struct abi_info *info;
    struct mutex     lock;
    uint64_t         boot_tsc;
    struct range_set memory;
    uint32_t         name_bytes;
    char             names[4096];
    struct pd        pd[PD_MAX];
    struct dataspace dataspace[DATASPACE_MAX];
    uint32_t         dataspace_next;
    struct attachment attachment[ATTACHMENT_MAX];
    uint16_t         sc_owner[SC_MAX]; // PD + 1
    uint16_t         irq_owner[IRQ_MAX];
    struct port_range ports[PORT_RANGE_MAX];
    struct console   console;
    bool             console_serial;   // asked for
    uint16_t         log_reader;       // PD, 0 = none
    uint32_t         log_dataspace;
    struct syslog_shared *log;
    struct range_node ranges[RANGE_MAX];
};

static inline uint32_t pd_slot(const struct core *core, const struct pd *pd, uint32_t slot)
{
    return pd == &core->pd[0] ? slot : CORE_PD_SLOTS + (uint32_t)(pd - core->pd) * PD_SLOTS + slot;
}

static inline uint16_t pd_index(const struct core *core, const struct pd *pd)
{
    return (uint16_t)(pd - core->pd);
}

#endif
