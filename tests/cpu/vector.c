/* SPDX-License-Identifier: MIT */
/* x87, MMX and SSE, directed: gates, faults, exceptions, pointers, and the saved state's forms. */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/xstate.h"

#include <string.h>

#define DATA 0x30000u
#define GONE 0x400000u // not mapped

static struct guest g;

static bool fault(enum interp_status status, unsigned vector, int code)
{
    return guest_faulted(&g, status, vector, code);
}

static bool done(enum interp_status status)
{
    return guest_done(&g, status);
}

/* As after reset, with the features on; RBX points at the data. */
static void start(enum guest_mode mode)
{
    uint8_t *x;

    guest_reset(&g, mode, 0);
    x = g.state->xsave;
    memset(x, 0, sizeof g.state->xsave);
    x87_set_word(x, XSAVE_FCW, FCW_INIT);
    x87_set_word(x, XSAVE_MXCSR, MXCSR_INIT);
    x[XSAVE_BV] = 3;
    g.state->cr0 |= CR0_MP | CR0_NE;
    g.state->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    g.state->xcr0 = 7;
    g.state->gpr[CPU_RBX] = DATA;
}

static uint16_t word(unsigned at)
{
    return x87_word(g.state->xsave, at);
}

static void set_float(unsigned xmm, float a, float b)
{
    float values[4] = {a, b, a, b};

    memcpy(g.state->xsave + XSAVE_XMM + 16 * xmm, values, 16);
}

static void test_gates(void)
{
    start(GUEST_LONG);
    g.state->cr0 |= CR0_TS;
    ok(fault(guest_step(&g, "0f 58 c1"), EXCEPTION_NM, -1), "addps with TS is #NM");
    ok(fault(guest_step(&g, "0f fc c1"), EXCEPTION_NM, -1), "paddb of MMX with TS is #NM");
    ok(fault(guest_step(&g, "d8 c1"), EXCEPTION_NM, -1), "fadd with TS is #NM");
    ok(fault(guest_step(&g, "df e0"), EXCEPTION_NM, -1), "fnstsw with TS is #NM");
    ok(fault(guest_step(&g, "9b"), EXCEPTION_NM, -1), "fwait with TS and MP is #NM");
    ok(fault(guest_step(&g, "0f ae 03"), EXCEPTION_NM, -1), "fxsave with TS is #NM");
    ok(fault(guest_step(&g, "0f ae 23"), EXCEPTION_NM, -1), "xsave with TS is #NM");
    g.state->cr0 &= ~CR0_MP;
    ok(done(guest_step(&g, "9b")), "fwait with TS alone is not");
    start(GUEST_LONG);
    g.state->cr0 |= CR0_EM;
    ok(fault(guest_step(&g, "0f 58 c1"), EXCEPTION_UD, -1), "addps with EM is #UD");
    ok(fault(guest_step(&g, "0f fc c1"), EXCEPTION_UD, -1), "paddb of MMX with EM is #UD");
    ok(fault(guest_step(&g, "d8 c1"), EXCEPTION_NM, -1), "fadd with EM is #NM");
    ok(fault(guest_step(&g, "0f ae 03"), EXCEPTION_NM, -1), "fxsave with EM is #NM");
    ok(done(guest_step(&g, "9b")), "fwait with EM is executed");
    start(GUEST_LONG);
    g.state->cr4 &= ~(CR4_OSFXSR | CR4_OSXSAVE);
    ok(fault(guest_step(&g, "66 0f fc c1"), EXCEPTION_UD, -1), "paddb of SSE2 without OSFXSR");
    ok(done(guest_step(&g, "0f fc c1")), "paddb of MMX needs no OSFXSR");
    ok(fault(guest_step(&g, "0f ae 23"), EXCEPTION_UD, -1), "xsave without OSXSAVE is #UD");
    start(GUEST_LONG);
    g.interp.host &= ~HOST_SSE4_1;
    ok(fault(guest_step(&g, "66 0f 38 40 c1"), EXCEPTION_UD, -1),
       "pmulld is #UD where the host has no SSE4.1");
    ok(done(guest_step(&g, "66 0f 38 00 c1")), "pshufb is not");
    g.interp.host |= HOST_SSE4_1;
}

static void test_alignment(void)
{
    start(GUEST_LONG);
    g.state->gpr[CPU_RBX] = DATA + 8;
    ok(fault(guest_step(&g, "0f 58 0b"), EXCEPTION_GP, 0), "addps from a misaligned address");
    ok(fault(guest_step(&g, "66 0f ef 0b"), EXCEPTION_GP, 0), "pxor too");
    ok(done(guest_step(&g, "f3 0f 58 0b")), "addss may be anywhere");
    ok(done(guest_step(&g, "0f 5a 0b")), "cvtps2pd, which reads 8 bytes, too");
    ok(done(guest_step(&g, "66 0f 3a 63 0b 0c")), "and pcmpistri");
    ok(fault(guest_step(&g, "48 0f ae 03"), EXCEPTION_GP, 0), "fxsave needs 16 bytes");
    g.state->gpr[CPU_RBX] = DATA + 16;
    ok(fault(guest_step(&g, "48 0f ae 23"), EXCEPTION_GP, 0), "xsave needs 64");
    g.state->gpr[CPU_RBX] = 0x800000000008;
    ok(fault(guest_step(&g, "0f 58 0b"), EXCEPTION_GP, 0), "a non-canonical address");
}

static void test_simd_exceptions(void)
{
    uint8_t before[16];

    start(GUEST_LONG);
    set_float(0, 1, 2);
    set_float(1, 0, 1);
    memcpy(before, g.state->xsave + XSAVE_XMM, 16);
    ok(done(guest_step(&g, "0f ae 1b")) && guest_read(&g, DATA, 4) == MXCSR_INIT, "stmxcsr");
    guest_write(&g, DATA, 4, MXCSR_INIT & ~0x200u);
    ok(done(guest_step(&g, "0f ae 13")), "ldmxcsr unmasks division by zero");
    ok(fault(guest_step(&g, "0f 5e c1"), EXCEPTION_XM, -1) && (word(XSAVE_MXCSR) & 0x3f) == 4 &&
           !memcmp(before, g.state->xsave + XSAVE_XMM, 16),
       "divps by zero is #XM, its flag is set and the register is as it was");
    g.state->cr4 &= ~CR4_OSXMMEXCPT;
    ok(fault(guest_step(&g, "0f 5e c1"), EXCEPTION_UD, -1), "#UD without OSXMMEXCPT");
    ok(done(guest_step(&g, "0f 58 c1")), "an exception from before is none of now");
    guest_write(&g, DATA, 4, 0x11f80);
    ok(fault(guest_step(&g, "0f ae 13"), EXCEPTION_GP, 0), "ldmxcsr of a reserved bit is #GP");
    start(GUEST_LONG);
    set_float(0, 1e-38f, 1);
    set_float(1, 0.25f, 1);
    x87_set_word(g.state->xsave, XSAVE_MXCSR, MXCSR_INIT & ~0x800u);
    set_float(2, 0x1p-126f, 1);
    memcpy(g.state->xsave + XSAVE_XMM, g.state->xsave + XSAVE_XMM + 32, 16);
    ok(fault(guest_step(&g, "0f 59 c1"), EXCEPTION_XM, -1) && (word(XSAVE_MXCSR) & 0x3f) == 0x10,
       "an exact denormal result is an unmasked underflow");
    x87_set_word(g.state->xsave, XSAVE_MXCSR, MXCSR_INIT);
    ok(done(guest_step(&g, "0f 59 c1")) && (word(XSAVE_MXCSR) & 0x3f) == 0,
       "and no masked one");
}

static void test_x87_exceptions(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "d9 e8")) && word(XSAVE_FSW) >> 11 == 7 &&
           g.state->xsave[XSAVE_FTW] == 0x80,
       "fld1");
    ok(done(guest_step(&g, "d9 ee")) && done(guest_step(&g, "de f9")) &&
           (word(XSAVE_FSW) & (FSW_FLAGS | FSW_ES)) == 4,
       "1 / 0 with the exception masked");
    start(GUEST_LONG);
    guest_write(&g, DATA, 2, FCW_INIT & ~4u);
    ok(done(guest_step(&g, "d9 2b")) && done(guest_step(&g, "d9 e8")) &&
           done(guest_step(&g, "d9 ee")) && done(guest_step(&g, "d8 f9")) &&
           (word(XSAVE_FSW) & (FSW_ES | FSW_BUSY | 4)) == (FSW_ES | FSW_BUSY | 4),
       "unmasked, it is in the status word");
    ok(fault(guest_step(&g, "d9 e8"), EXCEPTION_MF, -1), "the next instruction is #MF");
    ok(fault(guest_step(&g, "9b"), EXCEPTION_MF, -1), "so are fwait");
    ok(fault(guest_step(&g, "0f fc c1"), EXCEPTION_MF, -1), "an MMX instruction");
    ok(fault(guest_step(&g, "0f 77"), EXCEPTION_MF, -1), "emms");
    ok(fault(guest_step(&g, "d9 2b"), EXCEPTION_MF, -1), "and fldcw");
    ok(done(guest_step(&g, "df e0")) && (g.state->gpr[CPU_RAX] & 0x8084) == 0x8084,
       "fnstsw does not wait");
    ok(done(guest_step(&g, "0f ae 03")), "nor fxsave");
    ok(done(guest_step(&g, "db e2")) && !(word(XSAVE_FSW) & 0x80ff) &&
           done(guest_step(&g, "d9 e8")),
       "nor fnclex, and then all is well");
    start(GUEST_LONG);
    guest_write(&g, DATA, 8, 0x4415af1d78b58c40); // 1e20
    guest_write(&g, DATA + 8, 2, FCW_INIT & ~1u);
    guest_write(&g, DATA + 16, 4, 0x12345678);
    ok(done(guest_step(&g, "dd 03")) && done(guest_step(&g, "d9 6b 08")) &&
           done(guest_step(&g, "db 5b 10")) && guest_read(&g, DATA + 16, 4) == 0x12345678 &&
           (word(XSAVE_FSW) & FSW_ES) && g.state->xsave[XSAVE_FTW] == 0x80,
       "fistp that is invalid and unmasked stores nothing and pops nothing");
}

static void test_x87_memory(void)
{
    start(GUEST_LONG);
    guest_map(&g, DATA, DATA, 1, false);
    ok(done(guest_step(&g, "d9 e8")), "fld1");
    ok(fault(guest_step(&g, "dd 1b"), EXCEPTION_PF, PF_WRITE | PF_PRESENT) &&
           g.state->xsave[XSAVE_FTW] == 0x80 && g.state->cr2 == DATA,
       "fstp to a read-only page faults and does not pop");
    g.state->gpr[CPU_RBX] = GONE;
    ok(fault(guest_step(&g, "dd 03"), EXCEPTION_PF, 0) && g.state->xsave[XSAVE_FTW] == 0x80,
       "fld from an absent page faults and does not push");
    ok(fault(guest_step(&g, "66 0f fe 03"), EXCEPTION_PF, 0) && g.state->cr2 == GONE,
       "paddd from an absent page");
    guest_map(&g, GONE, GONE - 0x1000, 3, false);
    g.state->gpr[CPU_RBX] = GONE + 0xff0;
    ok(fault(guest_step(&g, "48 0f ae 0b"), EXCEPTION_PF, 0) && g.state->cr2 == GONE + 0x1000,
       "fxrstor over the end of a page");
    g.state->gpr[CPU_RDI] = GONE + 0xff8;
    memset(g.state->xsave + XSAVE_XMM, 0xff, 8);
    memset(g.state->xsave + XSAVE_XMM + 8, 0, 8);
    ok(done(guest_step(&g, "66 0f f7 c0")) && guest_read(&g, GONE - 8, 8) == ~0ull,
       "maskmovdqu touches only the bytes of its mask");
    g.state->xsave[XSAVE_XMM + 8] = 0x80;
    ok(fault(guest_step(&g, "66 0f f7 c0"), EXCEPTION_PF, PF_WRITE), "and faults on those");
}

/* Instruction and data pointers are the guest's, in each form of the environment. */
static void test_pointers(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "dd 03")) && done(guest_step(&g, "d9 73 40")) &&
           guest_read(&g, DATA + 0x4c, 4) == GUEST_CODE && guest_read(&g, DATA + 0x54, 4) == DATA &&
           guest_read(&g, DATA + 0x52, 2) == 0x503,
       "fld and fnstenv in 64-bit code");
    ok(guest_read(&g, DATA + 0x40, 4) == 0xffff037f && guest_read(&g, DATA + 0x48, 4) == 0xffff7fff,
       "its control word and tags");
    ok(done(guest_step(&g, "48 0f ae 03")) && guest_read(&g, DATA + 8, 8) == GUEST_CODE &&
           guest_read(&g, DATA + 16, 8) == DATA,
       "fxsave64 has them too");
    start(GUEST_PROTECTED32);
    ok(done(guest_step(&g, "d9 03")) && done(guest_step(&g, "d9 73 40")) &&
           guest_read(&g, DATA + 0x4c, 4) == GUEST_CODE && guest_read(&g, DATA + 0x50, 2) == 8 &&
           guest_read(&g, DATA + 0x54, 4) == DATA && guest_read(&g, DATA + 0x58, 2) == 0x10,
       "selectors in protected mode");
    ok(done(guest_step(&g, "66 d9 73 40")) &&
           guest_read(&g, DATA + 0x46, 2) == (uint16_t)GUEST_CODE &&
           guest_read(&g, DATA + 0x48, 2) == 8 && guest_read(&g, DATA + 0x4c, 2) == 0x10,
       "and in the form of 14 bytes");
    start(GUEST_REAL);
    g.state->gpr[CPU_RBX] = 0x3000;
    ok(done(guest_step(&g, "d9 07")) && done(guest_step(&g, "d9 77 40")) &&
           guest_read(&g, 0x3046, 2) == (GUEST_CODE & 0xffff) &&
           guest_read(&g, 0x3048, 2) == ((GUEST_CODE >> 16) << 12 | 0x107) &&
           guest_read(&g, 0x304a, 2) == 0x3000,
       "linear addresses in real mode");
}

/* FSAVE and FRSTOR, FSTENV and FLDENV give back what was. */
static void test_round_trips(void)
{
    uint8_t before[512];

    for (unsigned i = 0; i < 2; i++) {
        start(GUEST_LONG);
        done(guest_step(&g, "d9 eb"));
        done(guest_step(&g, "d9 e8"));
        done(guest_step(&g, "d9 ee"));
        memcpy(before, g.state->xsave, 512);
        ok(done(guest_step(&g, i ? "66 dd 33" : "dd 33")) && word(XSAVE_FSW) == 0 &&
               g.state->xsave[XSAVE_FTW] == 0 && done(guest_step(&g, i ? "66 dd 23" : "dd 23")) &&
               !memcmp(before, g.state->xsave, 6) &&
               !memcmp(before + XSAVE_ST, g.state->xsave + XSAVE_ST, 128),
           "fnsave initializes and frstor brings back");
        ok(done(guest_step(&g, i ? "66 d9 33" : "d9 33")) && done(guest_step(&g, "db e3")) &&
               done(guest_step(&g, i ? "66 d9 23" : "d9 23")) &&
               !memcmp(before, g.state->xsave, 6) &&
               !memcmp(before + XSAVE_ST, g.state->xsave + XSAVE_ST, 128),
           "fnstenv, fninit, fldenv: registers stay where they are");
    }
}

static void test_fxsave(void)
{
    start(GUEST_LONG);
    memset(g.ram + DATA, 0x5a, 1024);
    memset(g.state->xsave + XSAVE_XMM, 0x11, 256);
    ok(done(guest_step(&g, "48 0f ae 03")) && guest_read(&g, DATA + 160, 8) == 0x1111111111111111 &&
           guest_read(&g, DATA + 408, 8) == 0x1111111111111111 &&
           guest_read(&g, DATA + 464, 8) == 0x5a5a5a5a5a5a5a5a &&
           guest_read(&g, DATA + 28, 4) == MXCSR_VALID,
       "fxsave leaves what belongs to software");
    guest_write(&g, DATA + XSAVE_MXCSR, 4, 0x10000);
    ok(fault(guest_step(&g, "48 0f ae 0b"), EXCEPTION_GP, 0), "fxrstor of a reserved MXCSR bit");
    guest_write(&g, DATA + XSAVE_MXCSR, 4, 0x1fa0);
    guest_write(&g, DATA + 408, 8, 77);
    ok(done(guest_step(&g, "48 0f ae 0b")) && word(XSAVE_MXCSR) == 0x1fa0 &&
           g.state->xsave[408] == 77,
       "fxrstor");
    start(GUEST_PROTECTED32);
    memset(g.ram + DATA, 0x5a, 1024);
    memset(g.state->xsave + XSAVE_XMM, 0x11, 256);
    ok(done(guest_step(&g, "0f ae 03")) && guest_read(&g, DATA + 280, 8) == 0x1111111111111111 &&
           guest_read(&g, DATA + 288, 8) == 0x5a5a5a5a5a5a5a5a &&
           done(guest_step(&g, "0f ae 0b")) && g.state->xsave[288] == 0x11,
       "eight registers outside 64-bit code");
}

static void test_xsave(void)
{
    static const char *const restore = "48 0f ae 2b";

    start(GUEST_LONG);
    memset(g.ram + DATA, 0x5a, 1024);
    guest_write(&g, DATA + 512, 8, 0xf0);
    memset(g.state->xsave + XSAVE_XMM, 0x22, 256);
    g.state->xsave[XSAVE_ST] = 1;
    g.state->gpr[CPU_RAX] = ~0ull;
    g.state->gpr[CPU_RDX] = ~0ull;
    ok(done(guest_step(&g, "48 0f ae 23")) && guest_read(&g, DATA + 512, 8) == 0xf3 &&
           guest_read(&g, DATA + XSAVE_YMMH, 8) == 0 &&
           guest_read(&g, DATA + 520, 8) == 0x5a5a5a5a5a5a5a5a,
       "xsave: components of XCR0, XSTATE_BV's bits of them, an initial AVX");
    ok(fault(guest_step(&g, restore), EXCEPTION_GP, 0), "xrstor of a header that is not valid");
    memset(g.ram + DATA + 512, 0, 64);
    guest_write(&g, DATA + 512, 8, 8);
    ok(fault(guest_step(&g, restore), EXCEPTION_GP, 0), "a component that XCR0 has not");
    guest_write(&g, DATA + 512, 8, 0);
    guest_write(&g, DATA + 528, 8, 1);
    ok(fault(guest_step(&g, restore), EXCEPTION_GP, 0), "reserved bytes of the header");
    guest_write(&g, DATA + 528, 8, 0);
    g.state->gpr[CPU_RAX] = 2;
    ok(done(guest_step(&g, restore)) && !(g.state->xsave[XSAVE_BV] & 2) &&
           (g.state->xsave[XSAVE_BV] & 1),
       "xrstor gives initial state to what is asked for and not there");
    g.state->gpr[CPU_RAX] = 7;
    ok(done(guest_step(&g, "0f c7 23")) && guest_read(&g, DATA + 512, 8) == 1 &&
           guest_read(&g, DATA + 520, 8) == (7 | 1ull << 63) && guest_read(&g, DATA + 528, 8) == 0,
       "xsavec's header");
    x87_set_word(g.state->xsave, XSAVE_MXCSR, 0x1f81);
    ok(done(guest_step(&g, "0f c7 23")) && guest_read(&g, DATA + 512, 8) == 3,
       "another MXCSR than the initial one makes SSE a component in use");
    g.state->xsave[XSAVE_ST] = 0;
    ok(done(guest_step(&g, "0f c7 23")) && guest_read(&g, DATA + 512, 8) == 2,
       "an x87 FPU as FNINIT leaves it is in its initial state");
    guest_write(&g, DATA + 512, 8, 6);
    guest_write(&g, DATA + XSAVE_MXCSR, 4, 0x1fa0);
    ok(done(guest_step(&g, restore)) && g.state->xsave[XSAVE_BV] == 6 &&
           word(XSAVE_MXCSR) == 0x1fa0,
       "xrstor of the compacted form");
    guest_write(&g, DATA + 512, 8, 7);
    guest_write(&g, DATA + 520, 8, 3 | 1ull << 63);
    ok(fault(guest_step(&g, restore), EXCEPTION_GP, 0), "XSTATE_BV beyond XCOMP_BV");
    g.state->gpr[CPU_RCX] = 1;
    ok(done(guest_step(&g, "0f 01 d0")) && g.state->gpr[CPU_RAX] == 2,
       "xgetbv of what is in use: not AVX's upper halves, all 0");
    g.state->xsave[XSAVE_YMMH + 255] = 1;
    ok(done(guest_step(&g, "0f 01 d0")) && g.state->gpr[CPU_RAX] == 6, "and with a bit set");
}

static void test_invpcid(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "66 0f 38 82 03")), "invpcid");
    g.state->gpr[CPU_RAX] = 4;
    ok(fault(guest_step(&g, "66 0f 38 82 03"), EXCEPTION_GP, 0), "of a type that is not");
    g.state->gpr[CPU_RAX] = 1;
    guest_write(&g, DATA, 8, 1);
    ok(fault(guest_step(&g, "66 0f 38 82 03"), EXCEPTION_GP, 0), "of a PCID without CR4.PCIDE");
    g.state->ss.attr |= CPU_SEG_DPL;
    ok(fault(guest_step(&g, "66 0f 38 82 03"), EXCEPTION_GP, 0), "of a user");
}

static void test_random(void)
{
    uint64_t numbers[2] = {0};

    start(GUEST_LONG);
    for (unsigned i = 0; i < 2; i++) {
        g.state->rflags = RFLAGS_1 | RFLAGS_OF | RFLAGS_ZF;
        g.state->gpr[CPU_RAX] = 0;
        if (!(host_features() & HOST_RDRAND)) {
            ok(fault(guest_step(&g, "48 0f c7 f0"), EXCEPTION_UD, -1), "rdrand without a source");
            continue;
        }
        ok(done(guest_step(&g, "48 0f c7 f0")) &&
               (g.state->rflags & RFLAGS_STATUS) ==
                   (g.state->gpr[CPU_RAX] ? RFLAGS_CF : 0),
           "rdrand says whether it gave a number");
        numbers[i] = g.state->gpr[CPU_RAX];
    }
    ok(numbers[0] != numbers[1] || !numbers[0], "two of them are not the same");
    g.interp.host &= ~(HOST_RDRAND | HOST_RDSEED);
    ok(fault(guest_step(&g, "0f c7 f8"), EXCEPTION_UD, -1), "rdseed without a source is #UD");
    g.interp.host = host_features();
}

int main(void)
{
    guest_init(&g);
    test_gates();
    test_alignment();
    test_simd_exceptions();
    test_x87_exceptions();
    test_x87_memory();
    test_pointers();
    test_round_trips();
    test_fxsave();
    test_xsave();
    test_invpcid();
    test_random();
    guest_free(&g);
    return tap_done();
}
