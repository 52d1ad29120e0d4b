/* SPDX-License-Identifier: MIT */
/* Faults, modes and system instructions of the interpreter, directed. */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <string.h>

static struct guest g;

static bool fault(enum interp_status status, unsigned vector, int code)
{
    return guest_faulted(&g, status, vector, code);
}

static bool done(enum interp_status status)
{
    return guest_done(&g, status);
}

static void test_decoding(void)
{
    guest_reset(&g, GUEST_LONG, 0);
    ok(fault(guest_step(&g, "0f 0b"), EXCEPTION_UD, -1), "ud2");
    ok(fault(guest_step(&g, "06"), EXCEPTION_UD, -1), "push es in 64-bit code");
    ok(fault(guest_step(&g, "f0 89 03"), EXCEPTION_UD, -1), "lock mov");
    ok(fault(guest_step(&g, "f0 01 d8"), EXCEPTION_UD, -1), "lock add with a register destination");
    ok(done(guest_step(&g, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90")) &&
       g.state->rip == GUEST_CODE + 15, "an instruction of 15 bytes");
    ok(fault(guest_step(&g, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"), EXCEPTION_GP, 0),
       "one of 16 bytes is #GP(0)");
    ok(fault(guest_step(&g, "8e c8"), EXCEPTION_UD, -1), "mov cs, ax");
    ok(fault(guest_step(&g, "0f 20 c8"), EXCEPTION_UD, -1), "mov rax, cr1");
}

static void test_fetch(void)
{
    guest_reset(&g, GUEST_LONG, 0);
    guest_map(&g, 0x700000, 0x40000, 3, false);
    memset(g.ram + 0x40ff0, 0x90, 16);
    g.ram[0x40ffe] = 0x8b; // mov eax, [rbx + ...]: goes on in the next page
    g.ram[0x40fff] = 0x83;
    g.state->rip = 0x700ffe;
    ok(interp_step(&g.interp) == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_PF &&
           g.interp.fault.code == PF_FETCH && g.state->cr2 == 0x701000,
       "an instruction that goes on in an absent page faults there");
    guest_map(&g, 0x701000, 0x50000, 3, false);
    guest_write(&g, 0x50000, 4, 0x10);
    g.state->gpr[CPU_RBX] = 0x3000;
    guest_write(&g, 0x3010, 4, 77);
    ok(done(interp_step(&g.interp)) && g.state->gpr[CPU_RAX] == 77 && g.state->rip == 0x701004,
       "and is executed when it is there");
    g.state->rip = 0x700ffd;
    g.ram[0x40ffd] = 0x90;
    ok(done(interp_step(&g.interp)) && g.state->rip == 0x700ffe,
       "a short one at the end of a page does not touch the next");
    guest_map(&g, 0x7ffffffff000, 0x40000, 3, false);
    g.state->rip = 0x7fffffffffff;
    g.ram[0x40fff] = 0x90;
    ok(done(interp_step(&g.interp)) && g.state->rip == 0x800000000000, "the last byte before the hole");
    ok(interp_step(&g.interp) == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_GP &&
           g.interp.fault.code == 0 && g.state->rip == 0x800000000000,
       "code in it is #GP(0)");
    g.state->rip = 0x7fffffffffff;
    g.ram[0x40fff] = 0x8b;
    ok(interp_step(&g.interp) == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_GP,
       "so is an instruction that reaches into it");
    guest_map(&g, 0x700000, 0x40000, 3 | 1ull << 63, false);
    g.state->rip = 0x700ff0;
    ok(interp_step(&g.interp) == INTERP_FAULT && g.interp.fault.code == (PF_FETCH | PF_PRESENT),
       "no-execute");
    guest_reset(&g, GUEST_PROTECTED32, 0);
    g.state->cs.limit = GUEST_CODE + 1;
    ok(fault(guest_step(&g, "8b 45 04"), EXCEPTION_GP, 0),
       "an instruction beyond the code segment's limit");
    ok(done(guest_step(&g, "8b c0")), "one that just fits");
    g.ram[0xfee] = 0;
    guest_reset(&g, GUEST_LONG, 0);
    ok(done(guest_step(&g, "b8 01 00 00 00")) && g.state->gpr[CPU_RAX] == 1 &&
           done(guest_step(&g, "b8 02 00 00 00")) && g.state->gpr[CPU_RAX] == 2,
       "changed code is seen at once");
}

static void test_memory(void)
{
    guest_reset(&g, GUEST_LONG, 3);
    g.state->gpr[CPU_RBX] = 0x3000;
    guest_map(&g, 0x3000, 0x3000, 5, false);
    ok(fault(guest_step(&g, "01 03"), EXCEPTION_PF, 7) && g.state->cr2 == 0x3000,
       "user write to a read-only page");
    ok(done(guest_step(&g, "39 03")), "reading it is fine");
    guest_map(&g, 0x3000, 0x3000, 3, false);
    ok(fault(guest_step(&g, "8b 03"), EXCEPTION_PF, 5), "user read of a supervisor page");
    g.state->gpr[CPU_RBX] = 0x800000000000;
    ok(fault(guest_step(&g, "8b 03"), EXCEPTION_GP, 0), "a non-canonical address is #GP(0)");
    g.state->gpr[CPU_RBP] = 0x800000000000;
    ok(fault(guest_step(&g, "8b 45 00"), EXCEPTION_SS, 0), "and #SS(0) by way of RBP");
    g.state->gpr[CPU_RBX] = 0x4001;
    g.state->cr0 |= CR0_AM;
    g.state->rflags |= RFLAGS_AC;
    ok(fault(guest_step(&g, "8b 03"), EXCEPTION_AC, 0), "alignment check at CPL 3");
    ok(done(guest_step(&g, "8a 03")), "not for bytes");
    g.state->rflags &= ~RFLAGS_AC;
    ok(done(guest_step(&g, "8b 03")), "nor with RFLAGS.AC clear");
    guest_map(&g, 0x5000, 0x5000, 5, false);
    guest_map(&g, 0x4000, 0x4000, 7, false);
    guest_write(&g, 0x4ffc, 4, 0x11111111);
    g.state->gpr[CPU_RBX] = 0x4ffe;
    g.state->gpr[CPU_RAX] = 0x22222222;
    ok(fault(guest_step(&g, "89 03"), EXCEPTION_PF, 7) && g.state->cr2 == 0x5000 &&
           guest_read(&g, 0x4ffc, 4) == 0x11111111,
       "a write over two pages checks both before it writes");
    guest_map(&g, 0x5000, 0x6000, 7, false);
    ok(done(guest_step(&g, "89 03")) && guest_read(&g, 0x4ffe, 2) == 0x2222 &&
           guest_read(&g, 0x6000, 2) == 0x2222,
       "over two pages that are apart");
    g.state->rsp = 0x6004;
    guest_map(&g, 0x6000, 0x7000, 5, false);
    guest_map(&g, 0x5000, 0x6000, 5, false);
    ok(fault(guest_step(&g, "50"), EXCEPTION_PF, 7) && g.state->rsp == 0x6004,
       "a push that faults moves no stack pointer");
    g.state->gpr[CPU_RAX] = 5;
    g.state->gpr[CPU_RCX] = 0;
    ok(fault(guest_step(&g, "f7 f1"), EXCEPTION_DE, -1) && g.state->gpr[CPU_RAX] == 5,
       "division by zero");
}

static void test_segments(void)
{
    guest_reset(&g, GUEST_PROTECTED32, 0);
    g.state->gpr[CPU_RAX] = 0x38;
    ok(done(guest_step(&g, "8e c0")) && g.state->es.base == 0x4000 && g.state->es.limit == 0xfff &&
           (guest_read(&g, GUEST_GDT + 7 * 8 + 5, 1) & 1),
       "mov es, ax loads a descriptor and marks it");
    g.state->gpr[CPU_RBX] = 0xffd;
    ok(fault(guest_step(&g, "26 8b 03"), EXCEPTION_GP, 0), "beyond a limit");
    g.state->gpr[CPU_RBX] = 0xffc;
    guest_write(&g, 0x4ffc, 4, 9);
    ok(done(guest_step(&g, "26 8b 03")) && g.state->gpr[CPU_RAX] == 9, "up to it");
    g.state->gpr[CPU_RAX] = 0x28 + 0x18;
    ok(fault(guest_step(&g, "8e c0"), EXCEPTION_GP, 0x40), "beyond the GDT's limit: #GP(selector)");
    g.state->gpr[CPU_RAX] = 0x30;
    ok(fault(guest_step(&g, "8e c0"), EXCEPTION_NP, 0x30), "not present: #NP(selector)");
    ok(fault(guest_step(&g, "8e d0"), EXCEPTION_SS, 0x30), "in SS: #SS(selector)");
    g.state->gpr[CPU_RAX] = 0;
    ok(fault(guest_step(&g, "8e d0"), EXCEPTION_GP, 0), "null in SS");
    ok(done(guest_step(&g, "8e c0")) && fault(guest_step(&g, "26 8b 03"), EXCEPTION_GP, 0),
       "null in ES: the access faults");
    g.state->gpr[CPU_RAX] = 0x10;
    ok(done(guest_step(&g, "8e d0")) && g.state->shadow == 1,
       "mov ss holds interrupts off for one instruction");
    ok(done(guest_step(&g, "90")) && g.state->shadow == 0, "and no longer");
    g.state->ds.attr = 0xc97; // expand down
    g.state->ds.limit = 0xfff;
    g.state->gpr[CPU_RBX] = 0xfff;
    ok(fault(guest_step(&g, "8b 03"), EXCEPTION_GP, 0), "expand-down: below the limit");
    g.state->gpr[CPU_RBX] = 0x1000;
    ok(done(guest_step(&g, "8b 03")), "above it");
    g.state->ds.attr = 0xc91;
    g.state->ds.limit = 0xffffffff;
    ok(fault(guest_step(&g, "89 03"), EXCEPTION_GP, 0), "a write to a read-only segment");
    ok(fault(guest_step(&g, "2e 89 03"), EXCEPTION_GP, 0), "a write to a code segment");
    guest_write(&g, 0x1000, 2, 0xfff3);
    g.state->gpr[CPU_RDX] = 2;
    ok(done(guest_step(&g, "63 13")) && !(g.state->rflags & RFLAGS_ZF), "arpl that changes nothing does not write");
    guest_write(&g, 0x1000, 2, 0xfff1);
    ok(fault(guest_step(&g, "63 13"), EXCEPTION_GP, 0), "else it does");
    guest_reset(&g, GUEST_PROTECTED32, 3);
    g.state->gpr[CPU_RAX] = 0x10;
    ok(fault(guest_step(&g, "8e d8"), EXCEPTION_GP, 0x10), "a segment of more privilege");
    ok(fault(guest_step(&g, "fa"), EXCEPTION_GP, 0), "cli above IOPL");
    ok(fault(guest_step(&g, "f4"), EXCEPTION_GP, 0), "hlt at CPL 3");
    ok(fault(guest_step(&g, "0f 22 d8"), EXCEPTION_GP, 0), "mov cr3 at CPL 3");
}

static void test_far(void)
{
    guest_reset(&g, GUEST_PROTECTED32, 0);
    ok(done(guest_step(&g, "ea 78 56 34 12 08 00")) && g.state->rip == 0x12345678 &&
           g.state->cs.sel == 8,
       "jmp far");
    ok(done(guest_step(&g, "9a 78 56 34 12 08 00")) && g.state->rsp == GUEST_STACK - 8 &&
       guest_read(&g, GUEST_STACK - 8, 8) == (8ull << 32 | (GUEST_CODE + 7)), "call far");
    ok(done(guest_step(&g, "cb")) && g.state->rip == GUEST_CODE + 7 && g.state->rsp == GUEST_STACK,
       "retf");
    ok(fault(guest_step(&g, "ea 00 00 00 00 10 00"), EXCEPTION_GP, 0x10),
       "jmp far to a data segment");
    guest_write(&g, GUEST_STACK - 20, 4, 0x4444);
    guest_write(&g, GUEST_STACK - 16, 4, 0x1b);
    guest_write(&g, GUEST_STACK - 12, 4, 0x202);
    guest_write(&g, GUEST_STACK - 8, 4, 0x9000);
    guest_write(&g, GUEST_STACK - 4, 4, 0x23);
    g.state->rsp = GUEST_STACK - 20;
    ok(done(guest_step(&g, "cf")) && g.state->rip == 0x4444 && g.state->cs.sel == 0x1b &&
           g.state->ss.sel == 0x23 && g.state->rsp == 0x9000 && (g.state->rflags & RFLAGS_IF) &&
           g.state->ds.sel == 0,
       "iret to CPL 3 drops data segments of CPL 0");
    guest_reset(&g, GUEST_LONG, 0);
    guest_write(&g, GUEST_STACK - 40, 8, 0x4444);
    guest_write(&g, GUEST_STACK - 32, 8, 0x28);
    guest_write(&g, GUEST_STACK - 24, 8, 0x2);
    guest_write(&g, GUEST_STACK - 16, 8, 0x9000);
    guest_write(&g, GUEST_STACK - 8, 8, 0);
    g.state->rsp = GUEST_STACK - 40;
    ok(done(guest_step(&g, "48 cf")) && g.state->rip == 0x4444 && g.state->rsp == 0x9000 &&
           g.state->ss.sel == 0,
       "iretq to the same privilege loads the stack, null SS too");
    ok((g.state->ss.attr & CPU_SEG_DPL) == 0 && !(g.state->ss.attr & CPU_SEG_P),
       "which is a null one of CPL 0");
}

static void test_real(void)
{
    guest_reset(&g, GUEST_REAL, 0);
    g.state->gpr[CPU_RAX] = 0x1234;
    ok(done(guest_step(&g, "8e c0")) && g.state->es.base == 0x12340, "real mode: mov es, ax");
    g.state->gpr[CPU_RDI] = 0x10;
    ok(done(guest_step(&g, "26 89 05")) && guest_read(&g, 0x12350, 2) == 0x1234, "es:[di]");
    g.state->gpr[CPU_RBX] = 0xffff;
    ok(fault(guest_step(&g, "8b 07"), EXCEPTION_GP, -1), "beyond 64 KiB: #GP without a code");
    guest_write(&g, 0x10 * 4, 4, 0x20000100);
    g.state->rflags |= RFLAGS_IF;
    ok(done(guest_step(&g, "cd 10")) && g.state->cs.sel == 0x2000 && g.state->rip == 0x100 &&
           !(g.state->rflags & RFLAGS_IF) && guest_read(&g, 0x7ffa, 2) == 2 &&
           guest_read(&g, 0x7ffc, 2) == GUEST_CODE >> 4,
       "int 10h");
    memcpy(g.ram + 0x20100, "\xcf", 1);
    ok(done(interp_step(&g.interp)) && g.state->rip == 2 && g.state->cs.base == GUEST_CODE &&
           (g.state->rflags & RFLAGS_IF),
       "iret");
    ok(done(guest_step(&g, "0f 20 c0")) && done(guest_step(&g, "0c 01")) &&
           done(guest_step(&g, "0f 22 c0")) && (g.state->cr0 & CR0_PE) && (g.state->dirty & CPU_CR),
       "CR0.PE");
    ok(done(guest_step(&g, "66 ea 00 00 01 00 08 00")) && g.state->cs.sel == 8 &&
           (g.state->cs.attr & CPU_SEG_DB),
       "a jump to 32-bit code");
}

static void put_gate(unsigned vector, unsigned selector, uint64_t offset, unsigned attr,
                     unsigned ist)
{
    bool wide = g.state->efer & EFER_LMA;
    uint64_t at = 0x9000 + vector * (wide ? 16 : 8);

    guest_write(&g, at, 8, (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)ist << 32 |
                (uint64_t)attr << 40 | (offset >> 16 & 0xffff) << 48);
    if (wide)
        guest_write(&g, at + 8, 8, offset >> 32);
    g.state->idtr.base = 0x9000;
    g.state->idtr.limit = 0xfff;
    g.state->tr.base = 0xb000;
    g.state->tr.limit = 0x67;
    g.state->tr.attr = 0x8b;
}

static void test_gates(void)
{
    guest_reset(&g, GUEST_PROTECTED32, 0);
    g.state->rflags |= RFLAGS_IF;
    put_gate(0x80, 8, 0x12345678, 0x8e, 0);
    ok(done(guest_step(&g, "cd 80")) && g.state->rip == 0x12345678 &&
           !(g.state->rflags & RFLAGS_IF) && g.state->rsp == GUEST_STACK - 12 &&
           guest_read(&g, GUEST_STACK - 12, 4) == GUEST_CODE + 2 &&
           guest_read(&g, GUEST_STACK - 4, 4) == (RFLAGS_IF | RFLAGS_1),
       "int 80h by a 32-bit interrupt gate");
    guest_reset(&g, GUEST_PROTECTED32, 3);
    put_gate(0x80, 8, 0x12345678, 0x8f, 0);
    ok(fault(guest_step(&g, "cd 80"), EXCEPTION_GP, 0x402), "a gate of DPL 0 at CPL 3");
    put_gate(0x80, 8, 0x12345678, 0x6f, 0);
    ok(fault(guest_step(&g, "cd 80"), EXCEPTION_NP, 0x402), "a gate that is not present");
    put_gate(0x80, 8, 0x12345678, 0xef, 0);
    ok(fault(guest_step(&g, "cd 80"), EXCEPTION_TS, 0), "no stack in the TSS");
    guest_write(&g, 0xb004, 4, 0x30000);
    guest_write(&g, 0xb008, 2, 0x10);
    ok(done(guest_step(&g, "cd 80")) && g.state->rsp == 0x30000 - 20 && g.state->ss.sel == 0x10 &&
           g.state->cs.sel == 8 && guest_read(&g, 0x30000 - 8, 4) == GUEST_STACK &&
           guest_read(&g, 0x30000 - 4, 4) == 0x23,
       "to an inner level: the TSS's stack, the outer one on it");
    guest_write(&g, GUEST_CODE + 0x100, 1, 0xcf);
    g.state->rip = GUEST_CODE + 0x100;
    ok(done(interp_step(&g.interp)) && g.state->rip == GUEST_CODE + 2 && g.state->cs.sel == 0x1b &&
           g.state->rsp == GUEST_STACK,
       "and back by iret");
    guest_reset(&g, GUEST_LONG, 3);
    put_gate(3, 0x28, 0xffff800000001000, 0xee, 0);
    guest_write(&g, 0xb004, 8, 0x30008);
    ok(done(guest_step(&g, "cc")) && g.state->rip == 0xffff800000001000 &&
           g.state->rsp == 0x30000 - 40 && g.state->ss.sel == 0 &&
           guest_read(&g, 0x30000 - 8, 8) == 0x23 &&
           guest_read(&g, 0x30000 - 40, 8) == GUEST_CODE + 1,
       "int3 in long mode: an aligned stack, null SS");
    guest_reset(&g, GUEST_LONG, 0);
    put_gate(3, 0x28, 0xffff800000001000, 0x8e, 2);
    guest_write(&g, 0xb000 + 36 + 8, 8, 0x40000);
    ok(done(guest_step(&g, "cc")) && g.state->rsp == 0x40000 - 40 &&
           guest_read(&g, 0x40000 - 16, 8) == GUEST_STACK && g.state->ss.sel == 0x10,
       "a stack of the IST, at the same level");
    guest_map(&g, 0x3f000, 0x3f000, 1, false);
    ok(fault(guest_step(&g, "cc"), EXCEPTION_PF, 3) && g.state->cs.sel == 0x28,
       "a push that faults leaves all as it was");
}

static void test_adjust(void)
{
    guest_reset(&g, GUEST_PROTECTED32, 0);
    g.state->gpr[CPU_RAX] = 0x79;
    ok(done(guest_step(&g, "04 35")) && done(guest_step(&g, "27")) &&
           (uint8_t)g.state->gpr[CPU_RAX] == 0x14 && (g.state->rflags & RFLAGS_CF),
       "79 + 35 daa = 14, carry");
    g.state->gpr[CPU_RAX] = 0x35;
    ok(done(guest_step(&g, "2c 47")) && done(guest_step(&g, "2f")) &&
           (uint8_t)g.state->gpr[CPU_RAX] == 0x88 && (g.state->rflags & RFLAGS_CF),
       "35 - 47 das = 88, borrow");
    g.state->gpr[CPU_RAX] = 0x0205;
    ok(done(guest_step(&g, "d5 0a")) && (uint16_t)g.state->gpr[CPU_RAX] == 25, "aad");
    ok(done(guest_step(&g, "d4 0a")) && (uint16_t)g.state->gpr[CPU_RAX] == 0x0205, "aam");
    ok(fault(guest_step(&g, "d4 00"), EXCEPTION_DE, -1), "aam 0");
    for (unsigned i = 0; i < 8; i++)
        g.state->gpr[i] = i * 0x11111111;
    g.state->rsp = GUEST_STACK;
    ok(done(guest_step(&g, "60")) && g.state->rsp == GUEST_STACK - 32 &&
           guest_read(&g, GUEST_STACK - 32, 4) == 0x77777777 &&
           guest_read(&g, GUEST_STACK - 20, 4) == GUEST_STACK,
       "pusha");
    memset(g.state->gpr, 0, 64);
    ok(done(guest_step(&g, "61")) && g.state->rsp == GUEST_STACK &&
           g.state->gpr[CPU_RDI] == 0x77777777,
       "popa");
}

static void test_system(void)
{
    guest_reset(&g, GUEST_LONG, 0);
    ok(guest_step(&g, "0f a2") == INTERP_EXIT && g.state->reason == 5 && g.state->insn_len == 2 &&
           g.state->rip == GUEST_CODE,
       "cpuid");
    ok(guest_step(&g, "0f 30") == INTERP_EXIT && g.state->reason == 4 && g.state->q0 == 1, "wrmsr");
    ok(guest_step(&g, "f4") == INTERP_EXIT && g.state->reason == 6, "hlt");
    ok(fault(guest_step(&g, "0f 22 e0"), EXCEPTION_GP, 0), "mov cr4, 0 in long mode");
    g.state->rflags &= ~RFLAGS_IF;
    ok(done(guest_step(&g, "fb")) && g.state->shadow == 1 && (g.state->rflags & RFLAGS_IF),
       "sti holds interrupts off for one instruction");
    g.state->gs.base = 1;
    g.state->kernel_gs_base = 2;
    ok(done(guest_step(&g, "0f 01 f8")) && g.state->gs.base == 2 && g.state->kernel_gs_base == 1,
       "swapgs");
    g.state->efer |= EFER_SCE;
    g.state->star = 0x0013000800000000;
    g.state->lstar = 0xffff800000001234;
    g.state->sfmask = RFLAGS_IF;
    ok(done(guest_step(&g, "0f 05")) && g.state->rip == g.state->lstar &&
           g.state->gpr[CPU_RCX] == GUEST_CODE + 2 && g.state->cs.sel == 8 &&
           g.state->ss.sel == 0x10 && !(g.state->rflags & RFLAGS_IF),
       "syscall");
    ok(done(guest_step(&g, "48 0f 07")) && g.state->rip == GUEST_CODE + 2 &&
           g.state->cs.sel == 0x23 && g.state->ss.sel == 0x1b && (g.state->ss.attr & CPU_SEG_DPL),
       "sysret");
    guest_reset(&g, GUEST_PROTECTED32, 3);
    g.state->efer |= EFER_SCE;
    g.state->star = 0x0013000800001234;
    ok(fault(guest_step(&g, "0f 05"), EXCEPTION_UD, -1), "syscall outside of 64-bit code, as Intel has it");
    g.interp.amd = true;
    ok(done(guest_step(&g, "0f 05")) && g.state->rip == 0x1234 && g.state->cs.sel == 8, "as AMD has it");
    g.interp.amd = false;
    guest_reset(&g, GUEST_LONG, 0);
    g.state->gdtr.limit = 0xff;
    g.state->gpr[CPU_RAX] = 0x60;
    guest_write(&g, GUEST_GDT + 0x60, 8, 0x0000890000000067);
    guest_write(&g, GUEST_GDT + 0x68, 8, 0x00008000);
    ok(fault(guest_step(&g, "0f 00 d8"), EXCEPTION_GP, 0x60), "ltr: a base that is not canonical");
    guest_write(&g, GUEST_GDT + 0x68, 8, 0xffff8000);
    ok(done(guest_step(&g, "0f 00 d8")) && g.state->tr.base == 0xffff800000000000, "one that is");
    guest_write(&g, GUEST_GDT + 0x60, 8, 0x0000820000000067);
    guest_write(&g, GUEST_GDT + 0x68, 8, 0x7fff8000);
    ok(fault(guest_step(&g, "0f 00 d0"), EXCEPTION_GP, 0x60), "lldt: the same");
    guest_reset(&g, GUEST_LONG, 0);
    g.state->rflags |= RFLAGS_TF;
    ok(guest_step(&g, "90") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_DB &&
           g.state->rip == GUEST_CODE + 1 && (g.state->dr6 & 0x4000),
       "a single-step trap comes after the instruction");
    ok(done(guest_step(&g, "8e d0")) && g.state->shadow == 1, "not after mov ss");
}

int main(void)
{
    guest_init(&g);
    test_decoding();
    test_fetch();
    test_memory();
    test_segments();
    test_far();
    test_real();
    test_gates();
    test_adjust();
    test_system();
    guest_free(&g);
    return tap_done();
}
