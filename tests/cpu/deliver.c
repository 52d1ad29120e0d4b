/* SPDX-License-Identifier: MIT */
/* Events on their way to the guest's handler, directed (vmm/cpu/deliver.h). */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/deliver.h"

#define IDT     0x9000u
#define TSS     0xa000u
#define HANDLER 0x30000u
#define INNER   0x24000u

#define EVENT(type, vector)       (CPU_EVENT_VALID | (type) | (vector))
#define EVENT_CODE(vector, code) \
    (EVENT(CPU_EVENT_EXCEPTION, vector) | CPU_EVENT_ERROR | (uint64_t)(code) << 32)

static struct guest g;

static void gate64(unsigned vector, unsigned attr, unsigned ist)
{
    guest_write(&g, IDT + 16 * vector, 8,
                (HANDLER & 0xffff) | 0x28ull << 16 | (uint64_t)ist << 32 | (uint64_t)attr << 40 |
                    (uint64_t)(HANDLER >> 16) << 48);
    guest_write(&g, IDT + 16 * vector + 8, 8, 0);
}

static void begin_long(unsigned cpl)
{
    guest_reset(&g, GUEST_LONG, cpl);
    g.state->idtr = (struct cpu_segment){.base = IDT, .limit = 0xfff};
    g.state->tr = (struct cpu_segment){.sel = 0x40, .attr = 0x8b, .limit = 0x67, .base = TSS};
    guest_write(&g, TSS + 4, 8, INNER);           // RSP0
    guest_write(&g, TSS + 36 + 8, 8, INNER - 512); // IST2
    g.state->rip = GUEST_CODE;
    g.state->rsp = GUEST_STACK - 8;
    g.state->rflags = 0x202;
}

static uint64_t frame(unsigned n)
{
    return guest_read(&g, g.state->rsp + 8 * n, 8);
}

static void test_long(void)
{
    begin_long(0);
    gate64(0x30, 0x8e, 0);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_DONE &&
           g.state->rip == HANDLER && !(g.state->rflags & 0x200),
       "an interrupt through an interrupt gate");
    ok(g.state->rsp == ((GUEST_STACK - 8) & ~15u) - 40 && frame(0) == GUEST_CODE &&
           frame(2) == 0x202 && frame(3) == GUEST_STACK - 8,
       "its frame is aligned and holds no RF");
    begin_long(3);
    gate64(14, 0x8e, 0);
    ok(interp_deliver(&g.interp, EVENT_CODE(14, 6)) == INTERP_DONE && frame(0) == 6 &&
           frame(1) == GUEST_CODE && frame(3) == (0x202 | 0x10000) &&
           g.state->rsp == INNER - 48 && (g.state->ss.sel & 3) == 0,
       "an exception from CPL 3: error code, RF in the frame, the TSS's stack");
    ok(!(g.state->rflags & 0x10000), "RF is clear in the handler");
    begin_long(0);
    gate64(2, 0x8e, 2);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_NMI, 2)) == INTERP_DONE &&
           g.state->rsp == INNER - 512 - 40 && g.state->nmi_blocked == 1,
       "an NMI takes its IST stack and blocks the next one");
    begin_long(3);
    gate64(0x30, 0x8e, 0); // DPL 0 is of no matter to an interrupt
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_DONE,
       "an interrupt does not look at the gate's DPL");
}

static bool unchanged(uint64_t rsp, uint64_t rflags)
{
    return g.state->rip == GUEST_CODE && g.state->rsp == rsp && g.state->rflags == rflags;
}

static void test_faults(void)
{
    begin_long(0);
    gate64(0x30, 0x0e, 0);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_NP && g.interp.fault.code == 0x30 * 8 + 3 &&
           unchanged(GUEST_STACK - 8, 0x202),
       "a gate that is not present: #NP with EXT, nothing changed");
    g.state->idtr.limit = 0x2ff;
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_GP && g.interp.fault.code == 0x30 * 8 + 3,
       "beyond the table: #GP with EXT");
    begin_long(3);
    gate64(0x30, 0x8e, 0);
    guest_write(&g, TSS + 4, 8, 0x700000); // not mapped
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_PF && !(g.interp.fault.code & PF_USER) &&
           (g.interp.fault.code & PF_WRITE) && unchanged(GUEST_STACK - 8, 0x202) &&
           (g.state->ss.attr >> 5 & 3) == 3,
       "a stack that is not there: a supervisor's #PF, nothing changed");
}

static void test_real(void)
{
    guest_reset(&g, GUEST_REAL, 0);
    g.state->idtr = (struct cpu_segment){.limit = 0x3ff};
    guest_write(&g, 8 * 4, 4, 0x20001234);
    g.state->rip = 5;
    g.state->rsp = 0x100;
    g.state->rflags = 0x202;
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 8)) == INTERP_DONE &&
           g.state->rip == 0x1234 && g.state->cs.sel == 0x2000 && g.state->rsp == 0xfa &&
           !(g.state->rflags & 0x200),
       "real mode: the vector table");
    g.state->rip = 5;
    g.state->rsp = 0x100;
    ok(interp_deliver(&g.interp, EVENT_CODE(8, 0)) == INTERP_DONE && g.state->rsp == 0xfa,
       "real mode pushes no error code");
}

int main(void)
{
    guest_init(&g);
    test_long();
    test_faults();
    test_real();
    guest_free(&g);
    return tap_done();
}
