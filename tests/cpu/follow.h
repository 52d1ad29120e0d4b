/* SPDX-License-Identifier: MIT */
/* The host's code of one block of the recompiler, followed by Zydis from where jumps forward enter it to where it leaves. */
#ifndef TESTS_CPU_FOLLOW_H
#define TESTS_CPU_FOLLOW_H

#include "vmm/engines/recompiler/share.h"

#include <Zydis/Zydis.h>

#define FOLLOW_LINES 200u

/* A value: what a register had at some moment, and how far from it. */
struct value {
    unsigned id;
    int64_t offset;
};

/* Guest memory that a check covers, from `low` up to `high` from what it counts from. */
struct window {
    int64_t low, high;
    bool write;
};

/* What R15 is. */
enum base_kind {
    BASE_NONE,
    BASE_COPY,    // of R14
    BASE_TURNED,  // so that the number of its page is in bits 3 and up
    BASE_INDEX,   // of the entry for the address in R14
    BASE_ENTRY,   // eight times that
    BASE_ADDEND,  // + the value `of` + offset is the operand
    BASE_PAGE,    // + R14 is
    BASE_POINTER, // + displacement is
};

struct base {
    enum base_kind kind;
    struct value of;
    struct value start;  // the stack pointer when it was checked
    struct window window;
};

struct follow {
    /* Results. */
    const char *what;             // is wrong
    unsigned copied, accesses;
    unsigned lines;
    char line[FOLLOW_LINES][120]; // the host's code
    /* While it works. */
    const struct blocks *blocks;
    const struct block *block;
    bool verbose;
    bool x87;                     // has copies of x87 instructions without memory
    uint64_t helper;              // that is called next
    unsigned ids;
    struct value reg[16];
    struct base r15, stack, kept[48];
    struct value address;         // R14 before the subtraction
    bool is_offset;               // R14 is how far into the page
    bool is_view;                 // R14 is the address of the view; the check was made
    bool compared, stack_check;   // the last check: done; by the stack's page
    bool unsure;                  // the stack's page may be none: an address that is not canonical
    struct window checked;
    uint64_t copies[48];          // mnemonics of the guest's block
    unsigned copy_count;
};

/* The block translated last, of code in these pages. False, with `what`. */
bool follow_block(struct follow *f, const struct blocks *blocks, const struct block *block, const uint8_t *page, const uint8_t *page2);

#endif
