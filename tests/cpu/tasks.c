/* SPDX-License-Identifier: MIT */
/* Hardware task switches (vmm/cpu/task.h), directed: SDM volume 3, chapter 8. */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/deliver.h"

#include <string.h>

#define IDT     0x9000u
#define TSS_OLD 0xa000u
#define TSS_NEW 0xb000u
#define LDT     0xc000u
#define HANDLER 0x30000u
#define INNER   0x24000u

/* Selectors behind the guest's own. */
#define OLD  0x40u
#define NEW  0x48u
#define GATE 0x50u
#define LOCAL 0x58u

#define EVENT(type, vector) (CPU_EVENT_VALID | (type) | (vector))
#define EVENT_CODE(vector, code) \
    (EVENT(CPU_EVENT_EXCEPTION, vector) | CPU_EVENT_ERROR | (uint64_t)(code) << 32)

static struct guest g;
static const char call_new[] = "9a 00 00 00 00 48 00", jmp_new[] = "ea 00 00 00 00 48 00",
                  call_gate[] = "9a 00 00 00 00 50 00", iret[] = "cf";

static void put_entry(unsigned selector, unsigned attr, uint32_t base, uint32_t limit)
{
    guest_write(&g, GUEST_GDT + selector, 8,
                (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
                    (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(base >> 24) << 56);
}

static unsigned type_of(unsigned selector)
{
    return guest_read(&g, GUEST_GDT + selector + 5, 1) & 0x1f;
}

static void put_gate(unsigned attr, unsigned selector)
{
    guest_write(&g, GUEST_GDT + GATE, 8, (uint64_t)selector << 16 | (uint64_t)attr << 40);
}

static uint64_t old32(unsigned at) { return guest_read(&g, TSS_OLD + at, 4); }

/* A task of 32 bits at CPL 0, or 3, that waits at HANDLER. */
static void put_task(uint32_t at, unsigned cpl)
{
    guest_write(&g, at + 0x20, 4, HANDLER);
    guest_write(&g, at + 0x24, 4, 0x2);
    for (unsigned i = 0; i < 8; i++)
        guest_write(&g, at + 0x28 + 4 * i, 4, 0xa0000000 + i);
    guest_write(&g, at + 0x38, 4, INNER);
    for (unsigned i = 0; i < 6; i++)
        guest_write(&g, at + 0x48 + 4 * i, 4, cpl ? 0x23 : 0x10);
    guest_write(&g, at + 0x4c, 4, cpl ? 0x1b : 0x08);
}

static void put_task_16(uint32_t at)
{
    guest_write(&g, at + 0x0e, 2, 0x1234);
    guest_write(&g, at + 0x10, 2, 0x2);
    for (unsigned i = 0; i < 8; i++)
        guest_write(&g, at + 0x12 + 2 * i, 2, 0xb000 + i);
    for (unsigned i = 0; i < 4; i++)
        guest_write(&g, at + 0x22 + 2 * i, 2, i == 1 ? 0x08 : 0x10);
}

static void begin(unsigned cpl)
{
    guest_reset(&g, GUEST_PROTECTED32, cpl);
    g.state->gdtr.limit = 0x7f;
    g.state->idtr = (struct cpu_segment){.base = IDT, .limit = 0x7ff};
    put_entry(OLD, 0x8b, TSS_OLD, 0x67);
    put_entry(NEW, 0xe9, TSS_NEW, 0x67);
    put_entry(LOCAL, 0x82, LDT, 0x17);
    put_gate(0xe5, NEW);
    put_task(TSS_NEW, 0);
    g.state->tr = (struct cpu_segment){.sel = OLD, .attr = 0x8b, .limit = 0x67, .base = TSS_OLD};
    for (unsigned i = 0; i < 8; i++)
        g.state->gpr[i] = 0x1000 + i;
    g.state->dr7 = 0x7ff;
    g.state->rflags = RFLAGS_1 | RFLAGS_CF;
}

/* Is the guest in the new task, with all that is its? */
static bool in_new(void)
{
    const struct cpu_state *s = g.state;

    for (unsigned i = 0; i < 8; i++)
        if (i != CPU_RSP && s->gpr[i] != 0xa0000000 + i)
            return false;
    return s->rip == HANDLER && s->cs.sel == 0x08 && s->ss.sel == 0x10 && s->gs.sel == 0x10 &&
           (s->cs.attr & 0x9b) == 0x9b && s->cs.limit == 0xffffffff && s->tr.sel == NEW &&
           s->tr.base == TSS_NEW && (s->tr.attr & 0xf) == 0xb && (s->cr0 & CR0_TS);
}

static bool is_saved(void)
{
    for (unsigned i = 0; i < 8; i++)
        if (old32(0x28 + 4 * i) != (i == CPU_RSP ? GUEST_STACK : 0x1000 + i))
            return false;
    return old32(0x20) == GUEST_CODE + 7 && old32(0x24) == 3 && old32(0x48) == 0x10 &&
           old32(0x4c) == 0x08 && old32(0x50) == 0x10 && old32(0x5c) == 0x10 && old32(0x1c) == 0 &&
           old32(0x60) == 0;
}

static void test_jump_and_call(void)
{
    begin(0);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && in_new() && is_saved(), "JMP to a TSS");
    ok(type_of(OLD) == 9 && type_of(NEW) == 0xb && !(g.state->rflags & RFLAGS_NT) &&
           guest_read(&g, TSS_NEW, 2) == 0,
       "JMP: the old one is free, the new one busy, no link, no NT");
    ok(g.state->dr7 == (0x7ff & ~0x155u), "DR7's local breakpoints are off");
    begin(0);
    ok(guest_done(&g, guest_step(&g, call_new)) && in_new() && is_saved(), "CALL of a TSS");
    ok(type_of(OLD) == 0xb && type_of(NEW) == 0xb && (g.state->rflags & RFLAGS_NT) &&
           guest_read(&g, TSS_NEW, 2) == OLD,
       "CALL: both busy, link and NT");
    guest_write(&g, HANDLER, 1, 0xcf);
    ok(guest_done(&g, interp_step(&g.interp)) && g.state->rip == GUEST_CODE + 7 &&
           g.state->gpr[CPU_RDI] == 0x1007 && g.state->rsp == GUEST_STACK &&
           g.state->tr.sel == OLD && g.state->rflags == 3,
       "IRET goes back");
    ok(type_of(OLD) == 0xb && type_of(NEW) == 9 && guest_read(&g, TSS_NEW + 0x24, 4) == 2 &&
           guest_read(&g, TSS_NEW + 0x20, 4) == HANDLER + 1,
       "IRET: the old one is free, and its image without NT");
    begin(3);
    ok(guest_done(&g, guest_step(&g, call_gate)) && in_new(), "CALL of a task gate from CPL 3");
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    ok(guest_done(&g, guest_step(&g, jmp_new)) && in_new(), "the old task's TF does not trap");
}

static void check(const char *code, unsigned vector, unsigned error, const char *what)
{
    struct cpu_state before = *g.state;
    uint8_t tss[0x68];
    enum interp_status status;

    memcpy(tss, g.ram + TSS_OLD, sizeof(tss));
    status = guest_step(&g, code);
    ok(guest_faulted(&g, status, vector, (int)error) && !memcmp(tss, g.ram + TSS_OLD, sizeof(tss)) &&
           g.state->tr.sel == OLD && g.state->cs.sel == before.cs.sel &&
           g.state->rsp == before.rsp && g.state->rflags == before.rflags && type_of(OLD) == 0xb,
       "%s", what);
}

/* Table 8-1, in the old task. */
static void test_checks(void)
{
    begin(3);
    put_entry(NEW, 0x89, TSS_NEW, 0x67);
    check(call_new, EXCEPTION_GP, NEW, "the TSS's DPL");
    ok(guest_done(&g, guest_step(&g, call_gate)), "which a task gate does not ask for");
    begin(3);
    put_gate(0x85, NEW);
    check(call_gate, EXCEPTION_GP, GATE, "the gate's DPL");
    begin(0);
    put_gate(0x65, NEW);
    check(call_gate, EXCEPTION_NP, GATE, "a gate that is not present");
    put_gate(0xe5, 0);
    check(call_gate, EXCEPTION_GP, 0, "a null TSS in the gate");
    put_gate(0xe5, NEW + 4);
    check(call_gate, EXCEPTION_GP, NEW + 4, "a TSS in the LDT");
    put_gate(0xe5, 0x1000);
    check(call_gate, EXCEPTION_GP, 0x1000, "a TSS outside of the GDT");
    put_gate(0xe5, 0x10);
    check(call_gate, EXCEPTION_GP, 0x10, "a data segment");
    put_gate(0xe5, LOCAL);
    check(call_gate, EXCEPTION_GP, LOCAL, "an LDT");
    put_entry(NEW, 0xeb, TSS_NEW, 0x67);
    check(call_new, EXCEPTION_GP, NEW, "a busy TSS");
    check("9a 00 00 00 00 40 00", EXCEPTION_GP, OLD, "one's own TSS");
    put_entry(NEW, 0x69, TSS_NEW, 0x67);
    check(call_new, EXCEPTION_NP, NEW, "a TSS that is not present");
    put_entry(NEW, 0xe9, TSS_NEW, 0x66);
    check(call_new, EXCEPTION_TS, NEW, "a TSS that is too short");
    put_entry(NEW, 0xe1, TSS_NEW, 0x2a);
    check(call_new, EXCEPTION_TS, NEW, "one of 16 bits that is too short");
    g.state->rflags |= RFLAGS_NT;
    guest_write(&g, TSS_OLD, 2, 0);
    check(iret, EXCEPTION_TS, 0, "IRET: a null link");
    guest_write(&g, TSS_OLD, 2, NEW + 4);
    check(iret, EXCEPTION_TS, NEW + 4, "a link into the LDT");
    guest_write(&g, TSS_OLD, 2, 0x1000);
    check(iret, EXCEPTION_TS, 0x1000, "a link outside of the GDT");
    put_entry(NEW, 0xe9, TSS_NEW, 0x67);
    guest_write(&g, TSS_OLD, 2, NEW);
    check(iret, EXCEPTION_TS, NEW, "a link to a TSS that is not busy");
    put_entry(NEW, 0x6b, TSS_NEW, 0x67);
    check(iret, EXCEPTION_NP, NEW, "a link to one that is not present");
}

static void paging_without(uint32_t page, unsigned rights)
{
    begin(0);
    guest_paging(&g, PAGING_32);
    guest_map(&g, page, page, rights, false);
    guest_write(&g, TSS_NEW + 0x1c, 4, g.state->cr3);
}

static void test_pages(void)
{
    paging_without(TSS_NEW, 0);
    check(jmp_new, EXCEPTION_PF, 0, "a new TSS that is not mapped");
    ok(g.state->cr2 == TSS_NEW, "CR2");
    paging_without(TSS_NEW, 1);
    check(call_new, EXCEPTION_PF, PF_PRESENT | PF_WRITE, "CALL, and the link cannot be written");
    ok(guest_done(&g, guest_step(&g, jmp_new)), "JMP writes none");
    paging_without(TSS_OLD, 1);
    check(jmp_new, EXCEPTION_PF, PF_PRESENT | PF_WRITE, "an old TSS that cannot be written");
    paging_without(GUEST_GDT, 1);
    check(jmp_new, EXCEPTION_PF, PF_PRESENT | PF_WRITE, "a GDT that cannot be written");
}

static void test_address_space(void)
{
    enum interp_status s;
    uint64_t first;

    begin(0);
    guest_paging(&g, PAGING_32);
    first = g.state->cr3;
    guest_map(&g, 0x200000, 0x40000, 7, false);
    ok(guest_done(&g, guest_step(&g, "a1 00 00 20 00")) && g.state->gpr[CPU_RAX] == 0, "a page");
    guest_paging(&g, PAGING_32);
    guest_map(&g, 0x200000, 0x41000, 7, false);
    guest_write(&g, 0x41000, 4, 0x5678);
    guest_write(&g, TSS_NEW + 0x1c, 4, g.state->cr3);
    g.state->cr3 = first;
    s = guest_step(&g, call_new);
    ok(guest_done(&g, s) && g.state->cr3 != first && in_new() && old32(0x1c) == 0,
       "CR3 comes from the new TSS, and is not saved in the old one");
    ok(guest_done(&g, guest_step(&g, "a1 00 00 20 00")) && g.state->gpr[CPU_RAX] == 0x5678,
       "the same page in the new address space");
    begin(0);
    guest_write(&g, TSS_NEW + 0x1c, 4, 0x123000);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && g.state->cr3 == 0, "without paging CR3 stays");
}

/* Faults of the new task: it is the one that they are met in. */
static void late(unsigned vector, unsigned error, const char *what)
{
    enum interp_status status = guest_step(&g, jmp_new);

    if (status == INTERP_FAULT && g.interp.fault.vector == vector &&
        g.interp.fault.code == error && g.interp.fault.has_code && g.state->rip == HANDLER &&
        g.state->rsp == INNER && g.state->tr.sel == NEW && type_of(OLD) == 9 && type_of(NEW) == 0xb &&
        (g.state->cr0 & CR0_TS)) {
        ok(true, "%s", what);
        return;
    }
    tap_note("status %u, vector %u, code %x, at %lx", status, g.interp.fault.vector,
             g.interp.fault.code, g.state->rip);
    ok(false, "%s", what);
}

static void begin_with(unsigned at, unsigned selector)
{
    begin(0);
    guest_write(&g, TSS_NEW + at, 4, selector);
}

static void test_late(void)
{
    begin_with(0x60, 0x1000);
    late(EXCEPTION_TS, 0x1000, "an LDT outside of the GDT");
    begin_with(0x60, 0x10);
    late(EXCEPTION_TS, 0x10, "no LDT");
    begin_with(0x60, LOCAL);
    put_entry(LOCAL, 0x02, LDT, 0x17);
    late(EXCEPTION_TS, LOCAL, "an LDT that is not present");
    begin_with(0x4c, 0);
    late(EXCEPTION_TS, 0, "a null CS");
    begin_with(0x4c, 0x10);
    late(EXCEPTION_TS, 0x10, "data as CS");
    begin_with(0x4c, 0x0b);
    for (unsigned i = 0; i < 6; i++) // the order of checks is the processor's: nothing else is wrong
        if (i != 1)
            guest_write(&g, TSS_NEW + 0x48 + 4 * i, 4, 0x23);
    late(EXCEPTION_TS, 0x08, "CS: DPL is not RPL");
    begin_with(0x4c, 0x60);
    put_entry(0x60, 0x1b, 0, 0xfffff);
    late(EXCEPTION_NP, 0x60, "a CS that is not present");
    begin_with(0x4c, 0x60);
    put_entry(0x60, 0xff, 0, 0xfffff);
    late(EXCEPTION_TS, 0x60, "a conforming CS of an outer level");
    begin_with(0x50, 0);
    late(EXCEPTION_TS, 0, "a null SS");
    begin_with(0x50, 0x1000);
    late(EXCEPTION_TS, 0x1000, "an SS outside of the GDT");
    begin_with(0x50, 0x23);
    late(EXCEPTION_TS, 0x20, "an SS of another level");
    begin_with(0x50, 0x30);
    late(EXCEPTION_SS, 0x30, "an SS that is not present");
    begin_with(0x54, 0x1000);
    late(EXCEPTION_TS, 0x1000, "a DS outside of the GDT");
    begin_with(0x58, 0x30);
    late(EXCEPTION_NP, 0x30, "an FS that is not present");
    begin_with(0x48, 0x60);
    put_entry(0x60, 0x99, 0, 0xfffff);
    late(EXCEPTION_TS, 0x60, "an ES that cannot be read");
    begin_with(0x5c, 0x13);
    late(EXCEPTION_TS, 0x10, "a GS whose RPL is beyond its DPL");
    begin(0);
    put_entry(0x60, 0x9b, 0, 0xff);
    guest_write(&g, TSS_NEW + 0x4c, 4, 0x60);
    late(EXCEPTION_GP, 0, "EIP beyond CS");
}

static void test_levels(void)
{
    begin(0);
    put_task(TSS_NEW, 3);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && g.state->cs.sel == 0x1b &&
           (g.state->ss.attr & 0x60) == 0x60,
       "a task at CPL 3");
    begin(0);
    guest_write(&g, TSS_NEW + 0x60, 4, LOCAL);
    guest_write(&g, TSS_NEW + 0x54, 4, 0x0c);
    guest_write(&g, LDT + 8, 8, 0x00cf93123456ffffull);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && g.state->ldtr.base == LDT &&
           g.state->ldtr.limit == 0x17 && g.state->ds.base == 0x123456,
       "its LDT, and a segment of it");
    begin(0);
    guest_write(&g, TSS_NEW + 0x24, 4, RFLAGS_VM | 2);
    guest_write(&g, TSS_NEW + 0x4c, 4, 0x2000);
    guest_write(&g, TSS_NEW + 0x20, 4, 0x123);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && g.state->cs.base == 0x20000 &&
           g.state->cs.limit == 0xffff && g.state->cs.attr == 0xf3 && g.state->rip == 0x123 &&
           (g.state->rflags & RFLAGS_VM) && g.state->ss.base == 0x100,
       "a virtual-8086 task");
    begin(0);
    guest_write(&g, TSS_NEW + 0x24, 4, RFLAGS_RF | RFLAGS_IOPL | 2);
    ok(guest_done(&g, guest_step(&g, jmp_new)) && g.state->rflags == (RFLAGS_RF | RFLAGS_IOPL | 2),
       "RF and IOPL are the TSS's");
    begin(0);
    guest_write(&g, TSS_NEW + 0x64, 2, 1);
    ok(guest_step(&g, jmp_new) == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_DB &&
           !g.interp.fault.has_code && in_new() && g.state->dr6 == 0x8000,
       "the T bit: #DB in the new task, with BT");
}

static void test_16_bits(void)
{
    begin(0);
    put_entry(NEW, 0xe1, TSS_NEW, 0x2b);
    memset(g.ram + TSS_NEW, 0, 0x68);
    put_task_16(TSS_NEW);
    ok(guest_done(&g, guest_step(&g, call_new)) && g.state->rip == 0x1234 &&
           g.state->gpr[CPU_RCX] == 0xffffb001 && g.state->fs.sel == 0 && g.state->gs.sel == 0 &&
           g.state->ds.sel == 0x10 && g.state->tr.attr == 0xe3 &&
           guest_read(&g, TSS_NEW, 2) == OLD && is_saved(),
       "from 32 to 16 bits");
    guest_write(&g, 0x1234, 1, 0xcf);
    ok(guest_done(&g, interp_step(&g.interp)) && g.state->rip == GUEST_CODE + 7 &&
           g.state->gpr[CPU_RCX] == 0x1001 && type_of(NEW) == 1 &&
           guest_read(&g, TSS_NEW + 0x0e, 2) == 0x1235 && guest_read(&g, TSS_NEW + 0x14, 2) == 0xb001,
       "and back, with words saved");
}

static void task_vector(unsigned vector, unsigned selector)
{
    guest_write(&g, IDT + 8 * vector, 8, (uint64_t)selector << 16 | 0x85ull << 40);
}

static void test_events(void)
{
    begin(3);
    task_vector(13, NEW);
    g.state->rip = GUEST_CODE;
    ok(interp_deliver(&g.interp, EVENT_CODE(13, 0x5678)) == INTERP_DONE && in_new() &&
           g.state->rsp == INNER - 4 && guest_read(&g, INNER - 4, 4) == 0x5678 &&
           old32(0x20) == GUEST_CODE && old32(0x24) == (3 | RFLAGS_RF) && old32(0x4c) == 0x1b &&
           (g.state->rflags & RFLAGS_NT) && guest_read(&g, TSS_NEW, 2) == OLD,
       "an exception by a task gate: its code on the new stack, RF in the old image");
    begin(0);
    task_vector(8, NEW);
    ok(interp_deliver(&g.interp, EVENT_CODE(8, 0)) == INTERP_DONE && in_new() &&
           g.state->rsp == INNER - 4,
       "a double fault");
    begin(0);
    task_vector(2, NEW);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_NMI, 2)) == INTERP_DONE && in_new() &&
           g.state->nmi_blocked && g.state->rsp == INNER,
       "an NMI, which blocks the next one");
    guest_write(&g, HANDLER, 1, 0xcf);
    ok(guest_done(&g, interp_step(&g.interp)) && !g.state->nmi_blocked, "until IRET");
    begin(0);
    task_vector(2, NEW);
    guest_write(&g, TSS_NEW + 0x64, 2, 1);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_NMI, 2)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_DB && in_new() && g.state->nmi_blocked &&
           g.state->dr6 == 0x8000,
       "and whose task has the T bit");
    begin(0);
    task_vector(0x30, NEW);
    put_entry(NEW, 0xeb, TSS_NEW, 0x67);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_GP && g.interp.fault.code == NEW + 1 &&
           g.state->tr.sel == OLD,
       "a busy TSS: #GP with EXT");
    begin(0);
    task_vector(0x30, NEW);
    guest_write(&g, TSS_NEW + 0x54, 4, 0x1000);
    ok(interp_deliver(&g.interp, EVENT(CPU_EVENT_INTR, 0x30)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_TS && g.interp.fault.code == 0x1001 &&
           g.state->tr.sel == NEW && g.state->rip == HANDLER,
       "a wrong DS: #TS with EXT, in the new task");
    begin(0);
    task_vector(14, NEW);
    guest_write(&g, TSS_NEW + 0x38, 4, 2);
    put_entry(0x60, 0x93, 0, 0xf);
    guest_write(&g, TSS_NEW + 0x50, 4, 0x60);
    ok(interp_deliver(&g.interp, EVENT_CODE(14, 2)) == INTERP_FAULT &&
           g.interp.fault.vector == EXCEPTION_SS && g.state->tr.sel == NEW && g.state->rsp == 2,
       "no room for the code: #SS in the new task");
    begin(3);
    task_vector(0x30, NEW);
    check("cd 30", EXCEPTION_GP, 0x30 * 8 + 2, "INT n: the gate's DPL");
    guest_write(&g, IDT + 8 * 0x30 + 5, 1, 0xe5);
    ok(guest_done(&g, guest_step(&g, "cd 30")) && in_new() && old32(0x20) == GUEST_CODE + 2,
       "INT n by a task gate");
    begin(0);
    guest_write(&g, IDT + 8 * 0x30 + 5, 1, 0x65);
    check("cd 30", EXCEPTION_NP, 0x30 * 8 + 2, "a gate that is not present");
}

static void test_long(void)
{
    guest_reset(&g, GUEST_LONG, 0);
    g.state->rflags |= RFLAGS_NT;
    ok(guest_faulted(&g, guest_step(&g, "48 cf"), EXCEPTION_GP, 0), "64 bits: IRET with NT is #GP");
    guest_reset(&g, GUEST_LONG, 0);
    g.state->gdtr.limit = 0x7f;
    put_entry(NEW, 0xe9, TSS_NEW, 0x67);
    guest_write(&g, 0x15004, 2, NEW);
    ok(guest_faulted(&g, guest_step(&g, "ff 2c 25 00 50 01 00"), EXCEPTION_GP, NEW),
       "and a far JMP to a TSS");
    guest_reset(&g, GUEST_LONG, 0);
    g.state->idtr = (struct cpu_segment){.base = IDT, .limit = 0xfff};
    guest_write(&g, IDT + 16 * 0x30, 8, (uint64_t)NEW << 16 | 0x85ull << 40);
    ok(guest_faulted(&g, guest_step(&g, "cd 30"), EXCEPTION_GP, 0x30 * 8 + 2), "and a task gate");
}

int main(void)
{
    guest_init(&g);
    test_jump_and_call();
    test_checks();
    test_pages();
    test_address_space();
    test_late();
    test_levels();
    test_16_bits();
    test_events();
    test_long();
    guest_free(&g);
    return tap_done();
}
