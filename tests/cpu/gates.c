/* SPDX-License-Identifier: MIT */
/* Call gates (vmm/cpu/gate.h) and the virtual-8086 mode extensions, directed. */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#define TSS     0xa000u
#define HANDLER 0x30000u
#define INNER   0x24000u
#define GATE    0x40u // behind the guest's own descriptors

static struct guest g;
static const char call_32[] = "9a 00 00 00 00 40 00", jmp_32[] = "ea 00 00 00 00 40 00";

/* attr: P, DPL and type */
static void put_gate(unsigned attr, unsigned selector, uint64_t offset, unsigned parameters)
{
    guest_write(&g, GUEST_GDT + GATE, 8,
                (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)parameters << 32 |
                    (uint64_t)attr << 40 | (offset >> 16 & 0xffff) << 48);
    guest_write(&g, GUEST_GDT + GATE + 8, 8, offset >> 32);
}

static void begin(enum guest_mode mode, unsigned cpl)
{
    guest_reset(&g, mode, cpl);
    g.state->gdtr.limit = GATE + 15;
    g.state->tr = (struct cpu_segment){.sel = 0x50, .attr = 0x8b, .limit = 0x67, .base = TSS};
    guest_write(&g, TSS + 4, 4, INNER);
    guest_write(&g, TSS + 8, 2, 0x10);
}

static uint64_t stacked(unsigned n, unsigned size)
{
    return guest_read(&g, g.state->rsp + n * size, size);
}

static void test_same_level(void)
{
    enum interp_status s;

    begin(GUEST_PROTECTED32, 0);
    put_gate(0x8c, 0x08, HANDLER, 3);
    s = guest_step(&g, call_32);
    ok(guest_done(&g, s) && g.state->rip == HANDLER && g.state->rsp == GUEST_STACK - 8 &&
           stacked(0, 4) == GUEST_CODE + 7 && stacked(1, 4) == 8,
       "CALL to the same level: CS and EIP on the same stack, no parameters");
    begin(GUEST_PROTECTED32, 0);
    put_gate(0x84, 0x08, 0xffff1234, 0);
    s = guest_step(&g, call_32);
    ok(guest_done(&g, s) && g.state->rip == 0x1234 && g.state->rsp == GUEST_STACK - 4 &&
           stacked(0, 2) == 7 && stacked(1, 2) == 8,
       "a 16-bit gate pushes words, and the upper half of its offset is not looked at");
    begin(GUEST_PROTECTED32, 0);
    put_gate(0x8c, 0x08, HANDLER, 0);
    s = guest_step(&g, jmp_32);
    ok(guest_done(&g, s) && g.state->rip == HANDLER && g.state->rsp == GUEST_STACK,
       "JMP pushes nothing");
}

static void test_inner_level(void)
{
    enum interp_status s;

    begin(GUEST_PROTECTED32, 3);
    put_gate(0xec, 0x08, HANDLER, 2);
    guest_write(&g, GUEST_STACK, 4, 0x11111111);
    guest_write(&g, GUEST_STACK + 4, 4, 0x22222222);
    s = guest_step(&g, call_32);
    ok(guest_done(&g, s) && g.state->rip == HANDLER && g.state->cs.sel == 8 &&
           g.state->ss.sel == 0x10 && g.state->rsp == INNER - 24,
       "CALL to an inner level takes the TSS's stack");
    ok(stacked(0, 4) == GUEST_CODE + 7 && stacked(1, 4) == 0x1b && stacked(2, 4) == 0x11111111 &&
           stacked(3, 4) == 0x22222222 && stacked(4, 4) == GUEST_STACK && stacked(5, 4) == 0x23,
       "EIP, CS, the parameters in their order, ESP and SS");
    begin(GUEST_PROTECTED32, 3);
    put_gate(0xec, 0x08, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, jmp_32), EXCEPTION_GP, 0x08),
       "JMP does not change the level: #GP of the code segment");
    put_gate(0x8c, 0x08, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_GP, GATE), "the gate's DPL");
    put_gate(0x6c, 0x08, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_NP, GATE), "a gate not present");
    put_gate(0xec, 0x10, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_GP, 0x10), "no code segment");
    put_gate(0xec, 0x03, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_GP, 0), "a null code segment");
    put_gate(0xe6, 0x08, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_GP, GATE), "an interrupt gate");
    put_gate(0xec, 0x08, HANDLER, 0);
    guest_write(&g, TSS + 8, 2, 0);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_TS, 0), "a null stack in the TSS");
    guest_write(&g, TSS + 8, 2, 0x1000);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_TS, 0x1000),
       "a stack outside of the table is #TS");
    guest_write(&g, TSS + 8, 2, 0x30);
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_SS, 0x30), "a stack not present");
    g.state->tr.limit = 8;
    ok(guest_faulted(&g, guest_step(&g, call_32), EXCEPTION_TS, 0x50), "a TSS too short");
}

static void test_half_way(void)
{
    enum interp_status s;

    begin(GUEST_PROTECTED32, 3);
    guest_paging(&g, PAGING_32);
    guest_write(&g, TSS + 4, 4, 0x200000); // not mapped
    put_gate(0xec, 0x08, HANDLER, 0);
    s = guest_step(&g, call_32);
    ok(guest_faulted(&g, s, EXCEPTION_PF, PF_WRITE) && g.state->rsp == GUEST_STACK &&
           g.state->ss.sel == 0x23 && g.state->cs.sel == 0x1b,
       "an inner stack that is not there: a supervisor's #PF, nothing changed");
}

static void test_long(void)
{
    static const char call[] = "ff 1c 25 00 50 01 00"; // CALL FAR [0x15000]
    enum interp_status s;

    begin(GUEST_LONG, 3);
    guest_write(&g, TSS + 4, 8, INNER);
    guest_write(&g, 0x15004, 2, GATE + 3);
    put_gate(0xec, 0x28, 0x100000000 + HANDLER, 0);
    s = guest_step(&g, call);
    ok(guest_done(&g, s) && g.state->rip == 0x100000000 + HANDLER && g.state->rsp == INNER - 32 &&
           g.state->ss.sel == 0 && g.state->cs.sel == 0x28,
       "64 bits: an inner level, SS null");
    ok(stacked(0, 8) == GUEST_CODE + 7 && stacked(1, 8) == 0x1b && stacked(2, 8) == GUEST_STACK &&
           stacked(3, 8) == 0x23,
       "its frame");
    begin(GUEST_LONG, 3);
    guest_write(&g, 0x15004, 2, GATE + 3);
    put_gate(0xec, 0x28, 1ull << 47, 0);
    ok(guest_faulted(&g, guest_step(&g, call), EXCEPTION_GP, 0), "an offset not canonical");
    put_gate(0xec, 0x08, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call), EXCEPTION_GP, 0x08), "not 64-bit code");
    put_gate(0xe4, 0x28, HANDLER, 0);
    ok(guest_faulted(&g, guest_step(&g, call), EXCEPTION_GP, GATE), "no 16-bit gates");
    put_gate(0xec, 0x28, HANDLER, 0);
    guest_write(&g, GUEST_GDT + GATE + 12, 4, 0x0100);
    ok(guest_faulted(&g, guest_step(&g, call), EXCEPTION_GP, GATE),
       "a type in the upper half of the gate");
}

/* Virtual-8086 code with VME: INT 21h goes to the 8086 program's vector, INT 22h does not. */
static void begin_vme(unsigned iopl)
{
    begin(GUEST_PROTECTED32, 3);
    g.state->cr4 |= CR4_VME;
    g.state->rflags = 0x20002 | iopl << 12;
    g.state->cs = (struct cpu_segment){.sel = 0x1000, .attr = 0xf3, .limit = 0xffff,
                                       .base = GUEST_CODE};
    g.state->ss = g.state->ds = g.state->es = g.state->fs = g.state->gs =
        (struct cpu_segment){.sel = 0x2000, .attr = 0xf3, .limit = 0xffff, .base = GUEST_STACK};
    g.state->rsp = 0x100;
    g.state->tr.limit = 0x88;
    guest_write(&g, TSS + 0x66, 2, 0x88);
    guest_write(&g, TSS + 0x68 + 4, 1, 0x04);
    guest_write(&g, 0x21 * 4, 4, 0x30001234);
}

static void test_vme(void)
{
    uint64_t flags;

    begin_vme(0);
    g.state->rflags |= RFLAGS_VIF;
    ok(guest_done(&g, guest_step(&g, "cd 21")) && g.state->rip == 0x1234 &&
           g.state->cs.sel == 0x3000 && g.state->rsp == 0xfa &&
           !(g.state->rflags & RFLAGS_VIF) && (g.state->rflags & RFLAGS_VM),
       "VME: INT n to the 8086 program clears VIF");
    flags = guest_read(&g, GUEST_STACK + 0xfe, 2);
    ok(guest_read(&g, GUEST_STACK + 0xfa, 2) == 2 &&
           guest_read(&g, GUEST_STACK + 0xfc, 2) == 0x1000 && flags == (0x3002 | RFLAGS_IF),
       "its frame shows IOPL 3, and VIF as IF");
    begin_vme(3);
    g.state->rflags |= RFLAGS_IF;
    ok(guest_done(&g, guest_step(&g, "cd 21")) && !(g.state->rflags & RFLAGS_IF) &&
           g.state->cs.sel == 0x3000,
       "with IOPL 3 it clears IF");
    begin_vme(0);
    ok(guest_faulted(&g, guest_step(&g, "cd 22"), EXCEPTION_GP, 0), "a bit set and IOPL 0: #GP");
    g.state->tr.limit = 0x66;
    ok(guest_faulted(&g, guest_step(&g, "cd 21"), EXCEPTION_GP, 0), "a TSS without a map: #GP");
    begin_vme(0);
    guest_write(&g, GUEST_STACK + 0x100, 2, 0x55);
    guest_write(&g, GUEST_STACK + 0x102, 2, 0x3000);
    guest_write(&g, GUEST_STACK + 0x104, 2, 0x203);
    ok(guest_done(&g, guest_step(&g, "cf")) && g.state->rip == 0x55 && g.state->cs.sel == 0x3000 &&
           g.state->rflags == (0x20003 | RFLAGS_VIF),
       "VME: IRET moves IF to VIF");
    begin_vme(0);
    g.state->rflags |= RFLAGS_VIP;
    guest_write(&g, GUEST_STACK + 0x104, 2, 0x203);
    ok(guest_faulted(&g, guest_step(&g, "cf"), EXCEPTION_GP, 0), "and is #GP with VIP");
    begin_vme(0);
    ok(guest_faulted(&g, guest_step(&g, "66 cf"), EXCEPTION_GP, 0), "the 32-bit form too");
    g.state->cr4 = 0;
    ok(guest_faulted(&g, guest_step(&g, "cf"), EXCEPTION_GP, 0), "and every one without VME");
}

int main(void)
{
    guest_init(&g);
    test_same_level();
    test_inner_level();
    test_half_way();
    test_long();
    test_vme();
    guest_free(&g);
    return tap_done();
}
