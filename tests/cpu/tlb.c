/* SPDX-License-Identifier: MIT */
/* The interpreter with a TLB: what stays until the guest flushes, and what must not (vmm/cpu/tlb.h). */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <string.h>

#define WHERE 0x700000u

static struct guest g;
static struct tlb tlb;

static void begin(unsigned cpl)
{
    guest_reset(&g, GUEST_LONG, cpl);
    memset(&tlb, 0, sizeof tlb);
    interp_give_tlb(&g.interp, &tlb);
    guest_map(&g, WHERE, 0x30000, 0x7, false);
    guest_write(&g, 0x30000, 4, 0x11);
    guest_write(&g, 0x40000, 4, 0x22);
    g.state->gpr[CPU_RBX] = WHERE;
}

static bool loads(uint32_t value)
{
    return guest_step(&g, "8b 03") == INTERP_DONE && g.state->gpr[CPU_RAX] == value; // mov eax, [rbx]
}

static void test_flushes(void)
{
    begin(0);
    ok(loads(0x11), "a page is read");
    guest_map(&g, WHERE, 0x40000, 0x7, false);
    ok(loads(0x11), "its translation stays when the table changes");
    ok(guest_step(&g, "0f 01 3b") == INTERP_DONE && loads(0x22), "until INVLPG");
    guest_map(&g, WHERE, 0x30000, 0x7, false);
    ok(loads(0x22) && guest_step(&g, "0f 20 d8") == INTERP_DONE &&
           guest_step(&g, "0f 22 d8") == INTERP_DONE && loads(0x11),
       "until CR3 is loaded, with the same value too");
    guest_map(&g, WHERE, 0x40000, 0x7, false);
    ok(loads(0x11) && guest_step(&g, "0f 20 e0") == INTERP_DONE &&
           guest_step(&g, "0f 22 e0") == INTERP_DONE && loads(0x22),
       "until CR4 is loaded");
    guest_map(&g, WHERE, 0x30000, 0x7, false);
    g.state->efer ^= EFER_NXE;
    ok(loads(0x11), "until EFER changes, whoever did it");
    guest_write(&g, guest_entry(&g, WHERE, 0), 8, 0);
    ok(loads(0x11) && guest_step(&g, "0f 01 3b") == INTERP_DONE &&
           guest_step(&g, "8b 03") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_PF,
       "a page that went away faults after the flush");
}

static void test_kinds(void)
{
    uint64_t entry;

    begin(0);
    entry = guest_entry(&g, WHERE, 0);
    ok(loads(0x11) && !(guest_read(&g, entry, 8) & 0x40), "a read leaves the page clean");
    ok(guest_step(&g, "89 03") == INTERP_DONE && (guest_read(&g, entry, 8) & 0x40),
       "the first write sets the dirty bit, though the page has been read");
    guest_map(&g, WHERE + 0x1000, 0x30000, 0x3, false);
    g.state->gpr[CPU_RBX] = WHERE + 0x1000;
    ok(guest_step(&g, "8b 03") == INTERP_DONE, "a supervisor reads its page");
    g.state->ss.attr |= 0x60;
    g.state->cs.attr |= 0x60;
    guest_map(&g, GUEST_CODE, GUEST_CODE, 0x7, false);
    ok(guest_step(&g, "8b 03") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_PF &&
           (g.interp.fault.code & (PF_USER | PF_PRESENT)) == (PF_USER | PF_PRESENT),
       "which does not let user code do so");
    begin(0);
    g.state->cr4 |= CR4_SMAP;
    g.state->rflags |= RFLAGS_AC;
    ok(loads(0x11), "with AC a supervisor reads a user's page");
    g.state->rflags &= ~RFLAGS_AC;
    ok(guest_step(&g, "8b 03") == INTERP_FAULT, "and without it not, though it has just done so");
}

int main(void)
{
    guest_init(&g);
    test_flushes();
    test_kinds();
    guest_free(&g);
    return tap_done();
}
