/* SPDX-License-Identifier: MIT */
/* Flat segments, identity page tables, and the registers of a kernel's first instruction. */
#include "vmm/boot/entry.h"

#include "lib/string.h"

#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u
#define SELECTOR_TASK 0x20u

#define GDT_ENTRIES   8u // a 64-bit TSS descriptor takes two
#define TABLE_ENTRIES 512u
#define TABLE_SIZE    4096ull
#define DIRECTORIES   4u // each maps 1 GiB with 2 MiB pages

#define PTE_TABLE 0x003ull // present, writable
#define PTE_LARGE 0x083ull

/* Loaders come from real mode: a kernel may go back there with its own vectors, without LIDT. */
#define REAL_IVT_LIMIT 0x3ffu

#define CR0_PE   0x1u
#define CR0_ET   0x10u
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u

#define ATTR_CODE   (0xbu | CPU_SEG_S | CPU_SEG_P | CPU_SEG_G) // execute, read, accessed
#define ATTR_DATA   (0x3u | CPU_SEG_S | CPU_SEG_P | CPU_SEG_G | CPU_SEG_DB)
#define ATTR_TASK   (0xbu | CPU_SEG_P) // busy TSS
#define ATTR_LDT    (0x2u | CPU_SEG_P)

static uint16_t code_attr(const struct boot_entry *entry)
{
    return (uint16_t)(ATTR_CODE | (entry->mode == ENTRY_LONG ? CPU_SEG_L : CPU_SEG_DB));
}

/* A flat descriptor from packed attributes: bits 7:0 go to 47:40, bits 11:8 to 55:52. */
static uint64_t flat_descriptor(uint16_t attr)
{
    return 0x000f00000000ffffull | (uint64_t)(attr & 0xff) << 40 | (uint64_t)(attr >> 8) << 52;
}

static bool write_gdt(struct boot_entry *entry, struct memory *memory, struct place *place)
{
    uint64_t gdt[GDT_ENTRIES] = { 0 };

    gdt[SELECTOR_CODE / 8] = flat_descriptor(code_attr(entry));
    gdt[SELECTOR_DATA / 8] = flat_descriptor(ATTR_DATA);
    gdt[SELECTOR_TASK / 8] = 0x67ull | (uint64_t)ATTR_TASK << 40;
    return place_lowest(place, sizeof(gdt), 16, 0, MEMORY_LEGACY, &entry->gdt) &&
           memory_write(memory, entry->gdt, gdt, sizeof(gdt));
}

static bool write_table(struct memory *memory, uint64_t at, uint64_t first, uint64_t step,
                        unsigned count)
{
    uint64_t table[TABLE_ENTRIES] = { 0 };

    for (unsigned i = 0; i < count; i++)
        table[i] = first + i * step;
    return memory_write(memory, at, table, sizeof(table));
}

static bool write_pages(struct boot_entry *entry, struct memory *memory, struct place *place)
{
    uint64_t top, pointers, directory;

    if (!place_lowest(place, (2 + DIRECTORIES) * TABLE_SIZE, TABLE_SIZE, 0, MEMORY_LEGACY, &top))
        return false;
    pointers = top + TABLE_SIZE;
    directory = pointers + TABLE_SIZE;
    entry->cr3 = top;
    if (!write_table(memory, top, pointers | PTE_TABLE, 0, 1) ||
        !write_table(memory, pointers, directory | PTE_TABLE, TABLE_SIZE, DIRECTORIES))
        return false;
    for (uint64_t i = 0; i < DIRECTORIES; i++)
        if (!write_table(memory, directory + i * TABLE_SIZE, i << 30 | PTE_LARGE, 1ull << 21,
                         TABLE_ENTRIES))
            return false;
    return true;
}

bool entry_tables(struct boot_entry *entry, struct memory *memory, struct place *place)
{
    return write_gdt(entry, memory, place) &&
           (entry->mode != ENTRY_LONG || write_pages(entry, memory, place));
}

void entry_apply(const struct boot_entry *entry, struct cpu_state *state)
{
    const struct cpu_segment code = { SELECTOR_CODE, code_attr(entry), 0xffffffff, 0 };
    const struct cpu_segment data = { SELECTOR_DATA, ATTR_DATA, 0xffffffff, 0 };
    const uint32_t groups = CPU_CSSS | CPU_DSES | CPU_FSGS | CPU_TRLDTR | CPU_TABLES | CPU_CR |
                            CPU_EFER;
    bool paging = entry->mode == ENTRY_LONG;

    memset(state->gpr, 0, sizeof(state->gpr));
    state->gpr[CPU_RAX] = entry->rax;
    state->gpr[CPU_RBX] = entry->rbx;
    state->gpr[CPU_RSI] = entry->rsi;
    state->rip = entry->rip;
    state->rsp = 0;
    state->rflags = 2;
    state->event = 0;
    state->shadow = 0;
    state->cs = code;
    state->ss = state->ds = state->es = state->fs = state->gs = data;
    state->tr = (struct cpu_segment){ SELECTOR_TASK, ATTR_TASK, 0x67, 0 };
    state->ldtr = (struct cpu_segment){ 0, ATTR_LDT, 0, 0 };
    state->gdtr = (struct cpu_segment){ 0, 0, GDT_ENTRIES * 8 - 1, entry->gdt };
    state->idtr = (struct cpu_segment){ 0, 0, REAL_IVT_LIMIT, 0 };
    state->cr0 = CR0_PE | CR0_ET | (paging ? CR0_PG : 0);
    state->cr2 = 0;
    state->cr3 = paging ? entry->cr3 : 0;
    state->cr4 = paging ? CR4_PAE : 0;
    state->efer = paging ? EFER_LME | EFER_LMA : 0;
    state->valid |= groups;
    state->dirty |= groups;
}
