/* SPDX-License-Identifier: MIT */
/*
 * Directed: system instructions. What the vCPU gets to do (exits), what is #GP(0) or #UD above CPL
 * 0, and what the others do to the state.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/engine.h"

#define DATA 0x3000u

enum above { ANYONE, GP, UD }; // at CPL 3

struct exit_case {
    const char *name, *code;
    unsigned reason;
    uint64_t q0;
    enum above above;
};

static const struct exit_case exits[] = {
    {"cpuid", "0f a2", EXIT_CPUID, 0, ANYONE},
    {"hlt", "f4", EXIT_HLT, 0, GP},
    {"rdmsr", "0f 32", EXIT_MSR, 0, GP},
    {"wrmsr", "0f 30", EXIT_MSR, 1, GP},
    {"rdtsc", "0f 31", EXIT_TSC, 0, ANYONE},
    {"rdtscp", "0f 01 f9", EXIT_TSC, 1, ANYONE},
    {"rdpmc", "0f 33", EXIT_PMC, 0, GP},
    {"invd", "0f 08", EXIT_CACHE, 0, GP},
    {"wbinvd", "0f 09", EXIT_CACHE, 1, GP},
    {"wbnoinvd", "f3 0f 09", EXIT_CACHE, 1, GP},
    {"monitor", "0f 01 c8", EXIT_MWAIT, 0, UD},
    {"mwait", "0f 01 c9", EXIT_MWAIT, 1, UD},
    {"vmcall", "0f 01 c1", EXIT_HYPERCALL, 0, ANYONE},
    {"vmmcall", "0f 01 d9", EXIT_HYPERCALL, 0, ANYONE},
    {"xsetbv", "0f 01 d1", EXIT_XSETBV, 0, GP},
    {"vmrun", "0f 01 d8", EXIT_SVM, 0, ANYONE},
    {"vmload", "0f 01 da", EXIT_SVM, 0, ANYONE},
    {"vmsave", "0f 01 db", EXIT_SVM, 0, ANYONE},
    {"stgi", "0f 01 dc", EXIT_SVM, 0, ANYONE},
    {"clgi", "0f 01 dd", EXIT_SVM, 0, ANYONE},
    {"skinit", "0f 01 de", EXIT_SVM, 0, ANYONE},
    {"invlpga", "0f 01 df", EXIT_SVM, 0, ANYONE},
    {"in al, 40h", "e4 40", EXIT_IO, 0x40 << 16 | 1 << 4 | EXIT_IO_IN, GP},
    {"in eax, 40h", "e5 40", EXIT_IO, 0x40 << 16 | 4 << 4 | EXIT_IO_IN, GP},
    {"in al, dx", "ec", EXIT_IO, 0x1234 << 16 | 1 << 4 | EXIT_IO_IN, GP},
    {"in ax, dx", "66 ed", EXIT_IO, 0x1234 << 16 | 2 << 4 | EXIT_IO_IN, GP},
    {"out 40h, al", "e6 40", EXIT_IO, 0x40 << 16 | 1 << 4, GP},
    {"out 40h, ax", "66 e7 40", EXIT_IO, 0x40 << 16 | 2 << 4, GP},
    {"out dx, al", "ee", EXIT_IO, 0x1234 << 16 | 1 << 4, GP},
    {"out dx, eax", "ef", EXIT_IO, 0x1234 << 16 | 4 << 4, GP},
};

/* Without a state change and an exit: what is kept from user code. */
static const struct { const char *name, *code; enum above above; } kept[] = {
    {"lgdt", "0f 01 10", GP}, {"lidt", "0f 01 18", GP}, {"lldt", "0f 00 d0", GP},
    {"ltr", "0f 00 d8", GP}, {"lmsw", "0f 01 f0", GP}, {"clts", "0f 06", GP},
    {"invlpg", "0f 01 38", GP}, {"mov cr0, rax", "0f 22 c0", GP}, {"mov rax, cr0", "0f 20 c0", GP},
    {"mov dr0, rax", "0f 23 c0", GP}, {"mov rax, dr0", "0f 21 c0", GP}, {"sysexit", "0f 35", GP},
    {"swapgs", "0f 01 f8", GP}, {"cli", "fa", GP}, {"sti", "fb", GP}, {"insb", "6c", GP},
    {"outsd", "6f", GP}, {"sgdt with UMIP", "0f 01 00", GP}, {"sidt with UMIP", "0f 01 08", GP},
    {"sldt with UMIP", "0f 00 c0", GP}, {"str with UMIP", "0f 00 c8", GP},
    {"smsw with UMIP", "0f 01 e0", GP}, {"clac", "0f 01 ca", UD}, {"stac", "0f 01 cb", UD},
};

static struct guest g;

static void begin(enum guest_mode mode, unsigned cpl)
{
    guest_reset(&g, mode, cpl);
    g.state->cr4 |= CR4_OSXSAVE | CR4_UMIP | CR4_SMAP | CR4_FSGSBASE;
    g.state->gpr[CPU_RAX] = DATA;
    g.state->gpr[CPU_RDX] = 0x1234;
}

static bool refused(const char *code, enum above above)
{
    enum interp_status status = guest_step(&g, code);

    return guest_faulted(&g, status, above == GP ? EXCEPTION_GP : EXCEPTION_UD,
                         above == GP ? 0 : -1);
}

static void test_exits(void)
{
    for (unsigned i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        const struct exit_case *e = &exits[i];

        begin(GUEST_LONG, 0);
        ok(guest_step(&g, e->code) == INTERP_EXIT && g.state->reason == e->reason &&
               (g.state->q0 & ~(uint64_t)EXIT_IO_ADDRESS) == e->q0 && g.state->rip == GUEST_CODE,
           "%s: the vCPU's", e->name);
        begin(GUEST_LONG, 3);
        if (e->above == ANYONE)
            ok(guest_step(&g, e->code) == INTERP_EXIT, "%s in user code", e->name);
        else
            ok(refused(e->code, e->above), "%s in user code: refused", e->name);
    }
}

/* Where the engine can wait for writes. */
static void test_monitor(void)
{
    static const char *const code[] = {"0f 01 c8", "0f 01 c9"};

    begin(GUEST_LONG, 0);
    g.state->cr4 &= ~CR4_SMAP;
    g.interp.monitors = true;
    g.state->gpr[CPU_RAX] = DATA + 0x23;
    g.state->gpr[CPU_RCX] = 0x100000000;
    ok(guest_done(&g, guest_step(&g, code[0])) && g.interp.monitored == DATA + 0x23, "monitor is done, and tells its address");
    g.state->gpr[CPU_RAX] = 0x0000800000000000;
    ok(refused(code[0], GP), "not of an address that is not canonical");
    g.state->gpr[CPU_RAX] = 0x40000000;
    ok(guest_faulted(&g, guest_step(&g, code[0]), EXCEPTION_PF, 0), "nor of a page that is not there");
    g.state->fs.base = DATA;
    g.state->gpr[CPU_RAX] = 0xabcdef00000010;
    ok(guest_done(&g, guest_step(&g, "67 64 0f 01 c8")) && g.interp.monitored == DATA + 0x10, "by 32 bits of RAX, and FS");
    ok(guest_step(&g, code[1]) == INTERP_EXIT && g.state->reason == EXIT_MWAIT && g.state->q0 == 1, "mwait is the vCPU's");
    for (unsigned i = 0; i < 2; i++) {
        begin(GUEST_LONG, 0);
        g.interp.monitors = true;
        g.state->gpr[CPU_RAX] = DATA;
        g.state->gpr[CPU_RCX] = 1;
        ok(refused(code[i], GP), "no hints in ECX");
        begin(GUEST_LONG, 3);
        g.interp.monitors = true;
        ok(refused(code[i], UD), "not for user code");
    }
}

static void test_kept(void)
{
    for (unsigned i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        begin(GUEST_LONG, 3);
        ok(refused(kept[i].code, kept[i].above), "%s in user code: refused", kept[i].name);
    }
    begin(GUEST_LONG, 3);
    g.state->cr4 |= CR4_TSD;
    ok(refused("0f 31", GP) && refused("0f 01 f9", GP), "rdtsc, rdtscp with TSD");
    g.state->cr4 |= CR4_PCE;
    ok(guest_step(&g, "0f 33") == INTERP_EXIT, "rdpmc with PCE");
    begin(GUEST_LONG, 0);
    g.state->cr4 &= ~CR4_OSXSAVE;
    ok(refused("0f 01 d1", UD), "xsetbv without OSXSAVE");
}

static void test_tables(void)
{
    begin(GUEST_LONG, 0);
    g.state->cr4 &= ~CR4_SMAP;
    g.state->gdtr.limit = 0x1ff;
    g.state->gdtr.base = 0xffff800000001000;
    ok(guest_done(&g, guest_step(&g, "0f 01 00")) && guest_read(&g, DATA, 2) == 0x1ff &&
           guest_read(&g, DATA + 2, 8) == 0xffff800000001000,
       "sgdt");
    guest_write(&g, DATA, 2, 0x123);
    guest_write(&g, DATA + 2, 8, 0x7000);
    ok(guest_done(&g, guest_step(&g, "0f 01 18")) && g.state->idtr.limit == 0x123 &&
           g.state->idtr.base == 0x7000,
       "lidt");
    ok(guest_done(&g, guest_step(&g, "0f 01 48 10")) && guest_read(&g, DATA + 16, 2) == 0x123 &&
           guest_read(&g, DATA + 18, 8) == 0x7000,
       "sidt");
    ok(guest_done(&g, guest_step(&g, "0f 01 10")) && g.state->gdtr.limit == 0x123 &&
           g.state->gdtr.base == 0x7000,
       "lgdt");
    guest_write(&g, DATA + 2, 8, 0x8000000000000000);
    ok(refused("0f 01 10", GP), "lgdt of a base that is not canonical");
    begin(GUEST_PROTECTED32, 0);
    guest_write(&g, DATA, 2, 0x77);
    guest_write(&g, DATA + 2, 4, 0xabcdef01);
    ok(guest_done(&g, guest_step(&g, "66 0f 01 10")) && g.state->gdtr.base == 0xcdef01,
       "lgdt with a 16-bit operand: 24 bits of the base");
    g.state->ldtr.sel = 0x48;
    g.state->tr.sel = 0x50;
    ok(guest_done(&g, guest_step(&g, "0f 00 c1")) && g.state->gpr[CPU_RCX] == 0x48, "sldt");
    ok(guest_done(&g, guest_step(&g, "0f 00 c9")) && g.state->gpr[CPU_RCX] == 0x50, "str");
    g.state->gpr[CPU_RCX] = 0;
    ok(guest_done(&g, guest_step(&g, "0f 00 d1")) && g.state->ldtr.sel == 0,
       "lldt of a null selector");
}

static void test_control(void)
{
    begin(GUEST_PROTECTED32, 0);
    g.state->cr0 |= CR0_TS;
    ok(guest_done(&g, guest_step(&g, "0f 01 e1")) &&
           (uint16_t)g.state->gpr[CPU_RCX] == (uint16_t)g.state->cr0,
       "smsw");
    ok(guest_done(&g, guest_step(&g, "0f 06")) && !(g.state->cr0 & CR0_TS), "clts");
    g.state->gpr[CPU_RCX] = 0xa;
    ok(guest_done(&g, guest_step(&g, "0f 01 f1")) && (g.state->cr0 & 0xf) == 0xb,
       "lmsw sets TS and MP, and leaves PE set");
    g.state->gpr[CPU_RCX] = 0x1234;
    ok(guest_done(&g, guest_step(&g, "0f 23 d1")) && g.state->dr[2] == 0x1234, "mov dr2, ecx");
    ok(guest_done(&g, guest_step(&g, "0f 21 d3")) && g.state->gpr[CPU_RBX] == 0x1234,
       "mov ebx, dr2");
    g.state->cr4 |= CR4_DE;
    ok(refused("0f 21 e3", UD), "mov from dr4 with DE");
    ok(guest_done(&g, guest_step(&g, "0f 01 38")), "invlpg");
    g.state->rflags |= RFLAGS_IF;
    ok(guest_done(&g, guest_step(&g, "fa")) && !(g.state->rflags & RFLAGS_IF), "cli");
    ok(guest_done(&g, guest_step(&g, "0f 01 cb")) && (g.state->rflags & RFLAGS_AC), "stac");
    ok(guest_done(&g, guest_step(&g, "0f 01 ca")) && !(g.state->rflags & RFLAGS_AC), "clac");
    g.state->cr4 &= ~CR4_SMAP;
    ok(guest_done(&g, guest_step(&g, "0f 01 cb")) && (g.state->rflags & RFLAGS_AC),
       "stac without CR4.SMAP");
}

static void test_bases(void)
{
    begin(GUEST_LONG, 3);
    g.state->gpr[CPU_RAX] = 0x123456789abc;
    ok(guest_done(&g, guest_step(&g, "f3 48 0f ae d0")) && g.state->fs.base == 0x123456789abc,
       "wrfsbase");
    ok(guest_done(&g, guest_step(&g, "f3 0f ae d8")) && g.state->gs.base == 0x56789abc,
       "wrgsbase of 32 bits");
    ok(guest_done(&g, guest_step(&g, "f3 0f ae c1")) && g.state->gpr[CPU_RCX] == 0x56789abc,
       "rdfsbase of 32 bits");
    g.state->gs.base = 0xffff800000000000;
    ok(guest_done(&g, guest_step(&g, "f3 48 0f ae c9")) &&
           g.state->gpr[CPU_RCX] == 0xffff800000000000,
       "rdgsbase");
    g.state->gpr[CPU_RAX] = 0x800000000000;
    ok(refused("f3 48 0f ae d0", GP), "wrfsbase of an address that is not canonical");
    g.state->cr4 &= ~CR4_FSGSBASE;
    ok(refused("f3 48 0f ae c1", UD) && refused("f3 48 0f ae c9", UD) &&
           refused("f3 48 0f ae d1", UD) && refused("f3 48 0f ae d9", UD),
       "without FSGSBASE");
}

/* What INVLPG flushes: segment and address size count as for any operand, limits do not. */
static void test_invlpg(void)
{
    begin(GUEST_LONG, 0);
    g.state->gpr[CPU_RBX] = 0xffff900000001000;
    g.state->gs.base = 0x10000;
    g.state->ds.base = 0x777000;
    ok(guest_done(&g, guest_step(&g, "0f 01 7b 10")) && g.interp.invalidated == 0xffff900000001010,
       "invlpg in 64-bit code: a base of DS does not count");
    ok(guest_done(&g, guest_step(&g, "65 0f 01 3b")) && g.interp.invalidated == 0xffff900000011000,
       "that of GS does");
    ok(guest_done(&g, guest_step(&g, "67 0f 01 3b")) && g.interp.invalidated == 0x1000, "32-bit address");
    begin(GUEST_PROTECTED32, 0);
    g.state->gpr[CPU_RBX] = 0x12345678;
    g.state->gpr[CPU_RSI] = 0xf000;
    g.state->gpr[CPU_RBP] = 0x4000;
    g.state->ds.base = 0xf0000000;
    g.state->ss.base = 0x2000;
    ok(guest_done(&g, guest_step(&g, "0f 01 3b")) && g.interp.invalidated == 0x02345678,
       "in 32-bit code by the base of DS, below 4 GiB");
    ok(guest_done(&g, guest_step(&g, "67 0f 01 38")) && g.interp.invalidated == 0xf0004678, "16-bit address");
    ok(guest_done(&g, guest_step(&g, "0f 01 7d 00")) && g.interp.invalidated == 0x6000, "by SS with EBP");
}

static void test_fast_calls(void)
{
    begin(GUEST_LONG, 3);
    g.state->rflags |= RFLAGS_IF;
    ok(refused("0f 34", GP), "sysenter without a code segment");
    g.state->sysenter_cs = 8;
    g.state->sysenter_eip = 0xffff800000001000;
    g.state->sysenter_esp = 0xffff800000002000;
    ok(guest_done(&g, guest_step(&g, "0f 34")) && g.state->rip == 0xffff800000001000 &&
           g.state->rsp == 0xffff800000002000 && g.state->cs.sel == 8 && g.state->ss.sel == 0x10 &&
           !(g.state->ss.attr & CPU_SEG_DPL) && !(g.state->rflags & RFLAGS_IF),
       "sysenter");
    g.state->gpr[CPU_RDX] = 0x1111111122222222;
    g.state->gpr[CPU_RCX] = 0x3333333344444444;
    g.state->gpr[CPU_RDX] &= 0x7fffffffffff;
    ok(guest_done(&g, guest_step(&g, "0f 35")) && g.state->rip == 0x22222222 &&
           g.state->rsp == 0x44444444 && g.state->cs.sel == 0x1b && g.state->ss.sel == 0x23 &&
           !(g.state->cs.attr & CPU_SEG_L),
       "sysexit to 32-bit code");
    begin(GUEST_LONG, 0);
    g.state->sysenter_cs = 8;
    g.state->gpr[CPU_RDX] = 0x111122222222;
    g.state->gpr[CPU_RCX] = 0x333344444444;
    ok(guest_done(&g, guest_step(&g, "48 0f 35")) && g.state->rip == 0x111122222222 &&
           g.state->rsp == 0x333344444444 && g.state->cs.sel == 0x2b && g.state->ss.sel == 0x33 &&
           (g.state->cs.attr & CPU_SEG_L),
       "sysexit to 64-bit code");
}

int main(void)
{
    guest_init(&g);
    test_exits();
    test_monitor();
    test_kept();
    test_tables();
    test_control();
    test_bases();
    test_invlpg();
    test_fast_calls();
    guest_free(&g);
    return tap_done();
}
