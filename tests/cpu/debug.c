/* SPDX-License-Identifier: MIT */
/* Debug exceptions and alignment checks, directed (SDM volume 3, 17.2, 17.3 and 6.15). */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/debug.h"

#define DATA    0x15000u
#define IDT     0x16000u
#define HANDLER 0x11000u
#define BS   0x4000u
#define BD   0x2000u

/* DR7 for breakpoint n: R/W and LEN fields. */
#define ON(n, rw, len) (2ull << 2 * (n) | (uint64_t)((rw) | (len) << 2) << (16 + 4 * (n)))

static struct guest g;

static void begin(unsigned cpl)
{
    guest_reset(&g, GUEST_PROTECTED32, cpl);
    g.interp.held = false;
    g.interp.pending = 0;
    g.state->dr6 = 0;
}

static bool trapped(enum interp_status status, uint64_t rip, uint64_t dr6)
{
    if (status == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_DB && !g.interp.fault.has_code &&
        g.state->rip == rip && g.state->dr6 == dr6)
        return true;
    tap_note("status %u, vector %u at %lx, dr6 %lx", status, g.interp.fault.vector, g.state->rip,
             g.state->dr6);
    return false;
}

static void test_instructions(void)
{
    begin(0);
    g.state->dr[1] = GUEST_CODE;
    g.state->dr7 = ON(1, 0, 0);
    ok(trapped(guest_step(&g, "40"), GUEST_CODE, 2) && g.state->gpr[0] == 0,
       "a breakpoint on the instruction: a fault before it");
    g.state->rflags |= RFLAGS_RF;
    ok(guest_done(&g, guest_step(&g, "40")) && g.state->gpr[0] == 1 &&
           !(g.state->rflags & RFLAGS_RF),
       "RF passes it once");
    g.state->dr7 &= ~0xffull;
    ok(guest_done(&g, guest_step(&g, "40")), "one that is off is none");
    begin(0);
    g.state->dr[0] = GUEST_CODE + 1;
    g.state->dr7 = ON(0, 0, 0);
    ok(guest_done(&g, guest_step(&g, "66 40")), "nor one inside of it");
    begin(0);
    g.state->dr[0] = GUEST_CODE + 2;
    g.state->dr7 = ON(0, 0, 0);
    g.state->gpr[0] = 0x10;
    ok(guest_done(&g, guest_step(&g, "8e d0 40")) && guest_done(&g, interp_step(&g.interp)),
       "none behind MOV SS");
    begin(0);
    g.state->dr[0] = GUEST_CODE + 1;
    g.state->dr7 = ON(0, 0, 0);
    ok(guest_done(&g, guest_step(&g, "fb 40")) &&
           trapped(interp_step(&g.interp), GUEST_CODE + 1, 1),
       "but behind STI");
    begin(0);
    g.state->dr[0] = GUEST_CODE + 0x100;
    g.state->dr7 = ON(0, 0, 0);
    g.state->rsp -= 12;
    guest_write(&g, g.state->rsp, 4, GUEST_CODE + 0x100);
    guest_write(&g, g.state->rsp + 4, 4, 0x08);
    guest_write(&g, g.state->rsp + 8, 4, RFLAGS_RF | 2);
    g.ram[GUEST_CODE + 0x100] = 0x40;
    ok(guest_done(&g, guest_step(&g, "cf")) && (g.state->rflags & RFLAGS_RF) &&
           guest_done(&g, interp_step(&g.interp)) && !(g.state->rflags & RFLAGS_RF),
       "IRET with RF goes on behind a breakpoint");
}

static void test_data(void)
{
    static const char read[] = "a1 00 50 01 00", write[] = "a3 00 50 01 00";

    begin(0);
    g.state->dr[2] = DATA + 1;
    g.state->dr7 = ON(2, 3, 0);
    ok(trapped(guest_step(&g, read), GUEST_CODE + 5, 4), "a read: a trap behind it");
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 4), "a write");
    g.state->dr7 = ON(2, 1, 0);
    g.state->dr6 = 0;
    ok(guest_done(&g, guest_step(&g, read)), "a read, where writes are watched");
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 4), "and a write");
    ok(trapped(guest_step(&g, "ff 05 00 50 01 00"), GUEST_CODE + 6, 4), "INC");
    begin(0);
    g.state->dr[3] = DATA + 4;
    g.state->dr7 = ON(3, 3, 3);
    ok(guest_done(&g, guest_step(&g, write)), "next to it");
    g.state->dr[3] = DATA + 3; // aligned down to its length
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 8), "four bytes begin at a multiple of four");
    begin(0);
    g.state->dr[0] = g.state->dr[1] = DATA;
    g.state->dr7 = ON(0, 3, 3) | ON(1, 1, 0);
    g.state->rflags |= RFLAGS_TF;
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 3 | BS), "two of them and a single step");
    g.state->dr7 = ON(0, 3, 3);
    g.state->dr6 = 0xe;
    g.state->rflags &= ~RFLAGS_TF;
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 1), "B0 to B3 tell of the last one alone");
    g.state->dr6 |= BS | BD;
    ok(trapped(guest_step(&g, write), GUEST_CODE + 5, 1 | BS | BD), "the others stay");
    begin(0);
    g.state->dr[0] = DATA + 4;
    g.state->dr7 = ON(0, 1, 3);
    g.state->gpr[CPU_RCX] = 3;
    g.state->gpr[CPU_RDI] = DATA;
    ok(guest_step(&g, "f3 ab") == INTERP_AGAIN && trapped(interp_step(&g.interp), GUEST_CODE, 1) &&
           g.state->gpr[CPU_RCX] == 1,
       "REP STOS: behind the repetition that meets it");
    begin(0);
    guest_write(&g, DATA, 2, 0x10);
    g.state->dr[0] = DATA;
    g.state->dr7 = ON(0, 3, 1);
    ok(guest_done(&g, guest_step(&g, "8e 15 00 50 01 00 40")) &&
           trapped(interp_step(&g.interp), GUEST_CODE + 7, 1),
       "MOV SS from it: behind the next instruction");
    begin(0);
    guest_write(&g, DATA, 2, 0x10);
    g.state->idtr.base = IDT;
    g.state->idtr.limit = 0xff;
    guest_write(&g, IDT + 8, 8, 0x00018e0000080000 | (HANDLER & 0xffff));
    guest_write(&g, HANDLER, 1, 0x90);
    g.state->dr[0] = DATA;
    g.state->dr7 = ON(0, 3, 1);
    ok(guest_done(&g, guest_step(&g, "8e 15 00 50 01 00 f1")) &&
           guest_done(&g, interp_step(&g.interp)) && g.state->rip == HANDLER &&
           g.state->dr6 == 1 && guest_done(&g, interp_step(&g.interp)),
       "and with INT1 there, in the one debug exception");
    begin(0);
    guest_paging(&g, PAGING_32);
    g.state->dr[0] = 0x200000;
    g.state->dr7 = ON(0, 3, 3);
    ok(guest_faulted(&g, guest_step(&g, "a1 00 00 20 00"), EXCEPTION_PF, 0) && g.state->dr6 == 0,
       "an access that faults meets none");
}

static void test_ports(void)
{
    begin(0);
    g.state->cr4 |= CR4_DE;
    g.state->dr[0] = 0x81;
    g.state->dr7 = ON(0, 2, 0);
    g.state->gpr[CPU_RDX] = 0x80;
    g.state->gpr[CPU_RDI] = DATA;
    ok(trapped(guest_step(&g, "66 6d"), GUEST_CODE + 2, 1), "INS of a port that is watched");
    g.state->cr4 = 0;
    g.state->dr6 = 0;
    ok(guest_done(&g, guest_step(&g, "66 6d")), "not without CR4.DE");
}

static void test_single_step(void)
{
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    ok(trapped(guest_step(&g, "40"), GUEST_CODE + 1, BS), "TF: a trap behind the instruction");
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    ok(trapped(guest_step(&g, "fb"), GUEST_CODE + 1, BS), "behind STI");
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    g.state->gpr[0] = 0x10;
    ok(guest_done(&g, guest_step(&g, "8e d0 40")) &&
           trapped(interp_step(&g.interp), GUEST_CODE + 3, BS),
       "not behind MOV SS");
    begin(0);
    g.state->rsp -= 4;
    guest_write(&g, g.state->rsp, 4, RFLAGS_TF | 2);
    ok(guest_done(&g, guest_step(&g, "9d 40")) &&
           trapped(interp_step(&g.interp), GUEST_CODE + 2, BS),
       "POPF sets TF: behind the next instruction");
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    g.state->rsp -= 4;
    guest_write(&g, g.state->rsp, 4, 2);
    ok(trapped(guest_step(&g, "9d"), GUEST_CODE + 1, BS), "POPF clears it: behind POPF");
    begin(0);
    g.state->rflags |= RFLAGS_TF;
    g.state->gpr[CPU_RCX] = 2;
    g.state->gpr[CPU_RDI] = DATA;
    ok(trapped(guest_step(&g, "f3 ab"), GUEST_CODE, BS) && g.state->gpr[CPU_RCX] == 1 &&
           trapped(interp_step(&g.interp), GUEST_CODE + 2, BS),
       "behind each repetition");
}

static void system_calls(unsigned cpl)
{
    guest_reset(&g, GUEST_LONG, cpl);
    g.interp.held = false;
    g.interp.pending = 0;
    g.state->dr6 = 0;
    g.state->efer |= EFER_SCE;
    g.state->star = 0x0013000800000000;
    g.state->lstar = GUEST_CODE + 0x100;
    g.state->sfmask = 0;
}

static void test_system_calls(void)
{
    system_calls(3);
    g.state->sfmask = RFLAGS_TF;
    g.state->rflags |= RFLAGS_TF;
    ok(guest_done(&g, guest_step(&g, "0f 05")) && g.state->rip == GUEST_CODE + 0x100,
       "SYSCALL that masks TF: no trap in the system");
    system_calls(3);
    g.state->rflags |= RFLAGS_TF;
    ok(trapped(guest_step(&g, "0f 05"), GUEST_CODE + 0x100, BS), "one that does not");
    system_calls(0);
    g.state->gpr[CPU_RCX] = GUEST_CODE + 0x10;
    g.state->gpr[CPU_R11] = RFLAGS_TF | 2;
    ok(trapped(guest_step(&g, "48 0f 07"), GUEST_CODE + 0x10, BS),
       "SYSRET that sets TF: a trap at its target");
    system_calls(0);
    g.state->rflags |= RFLAGS_TF;
    g.state->gpr[CPU_RCX] = GUEST_CODE + 0x10;
    g.state->gpr[CPU_R11] = 2;
    ok(guest_done(&g, guest_step(&g, "48 0f 07")), "one that clears it: none");
}

static void test_general_detect(void)
{
    begin(0);
    g.state->dr7 = 0x2400;
    ok(trapped(guest_step(&g, "0f 21 c0"), GUEST_CODE, BD) && g.state->dr7 == 0x400,
       "GD: a fault of MOV DR, which clears it");
    begin(0);
    g.state->dr7 = 0x2400;
    g.state->rflags |= RFLAGS_TF;
    ok(trapped(guest_step(&g, "40"), GUEST_CODE + 1, BS) && g.state->dr7 == 0x400,
       "as any other debug exception does");
    begin(3);
    g.state->dr7 = 0x2400;
    ok(guest_faulted(&g, guest_step(&g, "0f 21 c0"), EXCEPTION_GP, 0), "the CPL goes first");
}

static void test_alignment(void)
{
    static const char read[] = "a1 01 50 01 00";

    begin(3);
    g.state->cr0 |= 1u << 18;
    g.state->rflags |= RFLAGS_AC;
    ok(guest_faulted(&g, guest_step(&g, read), EXCEPTION_AC, 0), "CR0.AM, AC and CPL 3: #AC");
    ok(guest_done(&g, guest_step(&g, "a1 00 50 01 00")), "not where it is aligned");
    ok(guest_done(&g, guest_step(&g, "a0 01 50 01 00")), "nor a byte");
    ok(guest_faulted(&g, guest_step(&g, "66 a3 01 50 01 00"), EXCEPTION_AC, 0), "a word");
    g.state->rsp -= 2;
    ok(guest_faulted(&g, guest_step(&g, "50"), EXCEPTION_AC, 0) &&
           g.state->rsp == GUEST_STACK - 2,
       "PUSH");
    ok(guest_done(&g, guest_step(&g, "40 90 90 90 90 90")), "code is not looked at");
    g.state->rflags &= ~RFLAGS_AC;
    ok(guest_done(&g, guest_step(&g, read)), "not without AC");
    g.state->rflags |= RFLAGS_AC;
    g.state->cr0 &= ~(1ull << 18);
    ok(guest_done(&g, guest_step(&g, read)), "nor without AM");
    begin(0);
    g.state->cr0 |= 1u << 18;
    g.state->rflags |= RFLAGS_AC;
    ok(guest_done(&g, guest_step(&g, read)), "nor at CPL 0");
}

int main(void)
{
    guest_init(&g);
    test_instructions();
    test_data();
    test_ports();
    test_single_step();
    test_system_calls();
    test_general_detect();
    test_alignment();
    guest_free(&g);
    return tap_done();
}
