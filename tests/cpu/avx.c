/* SPDX-License-Identifier: MIT */
/*
 * AVX, directed: what is looked at before execution, alignment, upper halves, unmasked exceptions,
 * masked moves and gathers over pages that are not there.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/xstate.h"

#include <string.h>

#define DATA 0x30000u
#define EDGE 0x31000u

static struct guest g;

static bool fault(enum interp_status status, unsigned vector, int code)
{
    return guest_faulted(&g, status, vector, code);
}

static bool done(enum interp_status status)
{
    return guest_done(&g, status);
}

static void start(enum guest_mode mode)
{
    guest_reset(&g, mode, 0);
    memset(g.state->xsave, 0, sizeof g.state->xsave);
    x87_set_word(g.state->xsave, XSAVE_FCW, FCW_INIT);
    x87_set_word(g.state->xsave, XSAVE_MXCSR, MXCSR_INIT);
    g.state->xsave[XSAVE_BV] = 7;
    for (unsigned i = 0; i < 256; i++)
        g.state->xsave[XSAVE_XMM + i] = g.state->xsave[XSAVE_YMMH + i] = (uint8_t)(i + 1);
    g.state->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    g.state->xcr0 = 7;
    g.state->gpr[CPU_RBX] = DATA;
}

/* With nothing at EDGE. */
static void start_paged(void)
{
    start(GUEST_LONG);
    guest_map(&g, EDGE, EDGE, 0, false);
}

static uint8_t *low(unsigned reg)
{
    return g.state->xsave + XSAVE_XMM + 16 * reg;
}

static uint8_t *high(unsigned reg)
{
    return g.state->xsave + XSAVE_YMMH + 16 * reg;
}

static bool zero(const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

static void test_gates(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "c5 ec 58 cb")), "vaddps");
    g.state->cr0 |= CR0_EM;
    ok(done(guest_step(&g, "c5 ec 58 cb")), "CR0.EM says nothing to it");
    g.state->cr0 |= CR0_TS;
    ok(fault(guest_step(&g, "c5 ec 58 cb"), EXCEPTION_NM, -1), "TS: #NM");
    g.state->xcr0 = 3;
    ok(fault(guest_step(&g, "c5 ec 58 cb"), EXCEPTION_UD, -1), "XCR0 without AVX: #UD before #NM");
    g.state->xcr0 = 7;
    g.state->cr4 &= ~CR4_OSXSAVE;
    ok(fault(guest_step(&g, "c5 ec 58 cb"), EXCEPTION_UD, -1), "no OSXSAVE: #UD before #NM");
    ok(done(guest_step(&g, "c4 e2 68 f2 cb")), "andn needs none of it");
    start(GUEST_LONG);
    ok(fault(guest_step(&g, "f0 c5 ec 58 cb"), EXCEPTION_UD, -1), "LOCK: #UD");
    ok(fault(guest_step(&g, "66 c5 ec 58 cb"), EXCEPTION_UD, -1), "66 before VEX: #UD");
    ok(fault(guest_step(&g, "f3 c5 ec 58 cb"), EXCEPTION_UD, -1), "F3 before VEX: #UD");
    ok(fault(guest_step(&g, "48 c5 ec 58 cb"), EXCEPTION_UD, -1), "REX before VEX: #UD");
    ok(fault(guest_step(&g, "c5 e8 51 cb"), EXCEPTION_UD, -1), "vsqrtps with a register in vvvv");
    ok(guest_step(&g, "c4 e2 e9 46 cb") == INTERP_UNSUPPORTED, "vpsravd with W is no instruction");
    g.interp.host &= ~HOST_AVX2;
    ok(fault(guest_step(&g, "c5 ed fc cb"), EXCEPTION_UD, -1), "vpaddb of 32 bytes needs AVX2");
    ok(done(guest_step(&g, "c5 e9 fc cb")), "of 16 AVX alone");
    g.interp.host = host_features();
    start(GUEST_REAL);
    ok(fault(guest_step(&g, "c5 e8 58 cb"), EXCEPTION_UD, -1), "real mode: #UD");
    ok(fault(guest_step(&g, "c4 e2 68 f2 cb"), EXCEPTION_UD, -1), "andn too");
}

static void test_memory(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "c5 ec 58 4b 01")), "vaddps from anywhere");
    ok(done(guest_step(&g, "c5 fc 10 4b 01")), "vmovups from anywhere");
    ok(fault(guest_step(&g, "c5 fc 28 4b 10"), EXCEPTION_GP, 0), "vmovaps of 32 bytes by 16: #GP");
    ok(done(guest_step(&g, "c5 f8 28 4b 10")), "of 16 not");
    ok(fault(guest_step(&g, "c5 fd e7 4b 10"), EXCEPTION_GP, 0), "vmovntdq of 32 bytes by 16: #GP");
    start_paged();
    g.state->gpr[CPU_RBX] = EDGE - 16;
    ok(fault(guest_step(&g, "c5 ec 58 0b"), EXCEPTION_PF, 0) && g.state->cr2 == EDGE,
       "the second page's fault has its address");
    ok(fault(guest_step(&g, "c4 e3 7d 19 4b 01 01"), EXCEPTION_PF, 2), "a store of half a register");
    ok(done(guest_step(&g, "c4 e3 7d 19 0b 01")) && !memcmp(g.ram + EDGE - 16, high(1), 16),
       "vextractf128 [rbx], ymm1, 1");
}

static void test_upper_halves(void)
{
    start(GUEST_LONG);
    ok(done(guest_step(&g, "0f 57 c9")) && zero(low(1), 16) && !zero(high(1), 16),
       "xorps leaves the upper half");
    ok(done(guest_step(&g, "c5 f0 57 d1")) && zero(high(2), 16), "vxorps of 16 bytes clears it");
    ok(done(guest_step(&g, "c5 f8 77")) && zero(high(0), 256) && !zero(low(15), 16), "vzeroupper");
    ok(done(guest_step(&g, "c5 fc 77")) && zero(low(0), 256), "vzeroall");
    start(GUEST_PROTECTED32);
    ok(done(guest_step(&g, "c5 fc 77")) && zero(low(0), 128) && zero(high(0), 128) &&
           !zero(low(8), 16) && !zero(high(8), 16),
       "vzeroall in 32-bit code: of eight registers");
}

static void test_exceptions(void)
{
    static const float zeros[4];
    uint8_t before[16];

    start(GUEST_LONG);
    memcpy(low(2), zeros, 16);
    memcpy(low(3), zeros, 16);
    x87_set_word(g.state->xsave, XSAVE_MXCSR, MXCSR_INIT & ~0x80);
    memcpy(before, low(1), 16);
    ok(fault(guest_step(&g, "c5 e8 5e cb"), EXCEPTION_XM, -1) && !memcmp(before, low(1), 16) &&
           (g.state->xsave[XSAVE_MXCSR] & 0x3f) == 1,
       "vdivps 0 / 0, invalid unmasked: #XM, nothing else changed");
    g.state->cr4 &= ~CR4_OSXMMEXCPT;
    ok(fault(guest_step(&g, "c5 e8 5e cb"), EXCEPTION_UD, -1), "#UD without OSXMMEXCPT");
}

static void set_mask(unsigned reg, uint32_t bits)
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t value = bits >> i & 1 ? 0x80000000u : 0x7fffffffu;

        memcpy((i < 4 ? low(reg) : high(reg) - 16) + 4 * i, &value, 4);
    }
}

static void test_masked(void)
{
    start_paged();
    g.state->gpr[CPU_RBX] = EDGE - 16;
    for (unsigned i = 0; i < 16; i++)
        g.ram[EDGE - 16 + i] = (uint8_t)(0xa0 + i);
    set_mask(2, 0x0f);
    ok(done(guest_step(&g, "c4 e2 6d 2c 0b")) && !memcmp(low(1), g.ram + EDGE - 16, 16) &&
           zero(high(1), 16),
       "vmaskmovps: what is left out may not be there");
    set_mask(2, 0x11);
    ok(fault(guest_step(&g, "c4 e2 6d 2c 0b"), EXCEPTION_PF, 0) && g.state->cr2 == EDGE,
       "what is wanted has to");
    set_mask(2, 0x05);
    ok(done(guest_step(&g, "c4 e2 6d 2e 23")) && !memcmp(g.ram + EDGE - 16, low(4), 4) &&
           g.ram[EDGE - 12] == 0xa4 && !memcmp(g.ram + EDGE - 8, low(4) + 8, 4) &&
           g.ram[EDGE - 4] == 0xac,
       "a store writes what the mask has");
    set_mask(2, 0x18);
    memset(g.ram + EDGE - 16, 0, 16);
    ok(fault(guest_step(&g, "c4 e2 6d 2e 23"), EXCEPTION_PF, 2) && zero(g.ram + EDGE - 16, 16),
       "one that faults has written nothing");
}

/* vgatherdps ymm1, [rbx + ymm3], ymm2 with the third element out of memory. */
static void test_gather(void)
{
    static const uint32_t offsets[8] = {0, 4, 0x1000, 8, 0, 4, 8, 12};
    static const uint32_t there[4] = {0x11111111, 0x22222222, 0x33333333, 0x44444444};
    uint32_t value[4], mask[4];

    start_paged();
    memcpy(g.ram + DATA, there, 16);
    memcpy(low(3), offsets, 16);
    memcpy(high(3), offsets + 4, 16);
    set_mask(2, 0xfd);
    memset(low(1), 0xee, 16);
    ok(fault(guest_step(&g, "c4 e2 6d 92 0c 1b"), EXCEPTION_PF, 0) && g.state->cr2 == EDGE,
       "a gather's third element faults");
    memcpy(value, low(1), 16);
    memcpy(mask, low(2), 16);
    ok(value[0] == there[0] && value[1] == 0xeeeeeeee && value[2] == 0xeeeeeeee,
       "what came before it is there, what the mask leaves out is not");
    ok(mask[0] == 0 && mask[1] == 0x7fffffff && mask[2] == 0x80000000, "as its mask says");
    set_mask(2, 0xfb);
    ok(done(guest_step(&g, "c4 e2 6d 92 0c 1b")) && zero(low(2), 16) && zero(high(2), 16),
       "without it all is done, and the mask clear");
    memcpy(value, high(1), 16);
    ok(!memcmp(value, there, 16), "the upper half is gathered");
    ok(fault(guest_step(&g, "c4 e2 75 92 0c 1b"), EXCEPTION_UD, -1), "no register comes twice");
}

int main(void)
{
    if (!(host_features() & HOST_AVX2)) {
        tap_note("this processor has no AVX2");
        ok(true, "nothing to try");
        return tap_done();
    }
    guest_init(&g);
    test_gates();
    test_memory();
    test_upper_halves();
    test_exceptions();
    test_masked();
    test_gather();
    guest_free(&g);
    return tap_done();
}
