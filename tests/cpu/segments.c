/* SPDX-License-Identifier: MIT */
/*
 * Directed: segment registers, far pointers, what descriptors say, string I/O, and the few other
 * instructions that user code of the processor cannot be given.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <string.h>

#define DATA 0x3000u

static struct guest g;

static void begin(enum guest_mode mode, unsigned cpl)
{
    guest_reset(&g, mode, cpl);
    g.state->gpr[CPU_RAX] = DATA;
}

static bool fault(const char *code, unsigned vector, int error)
{
    enum interp_status status = guest_step(&g, code);

    return guest_faulted(&g, status, vector, error);
}

/* A 16-bit data segment at 4000h: selector 38h. */
static bool is_small(const struct cpu_segment *s)
{
    return s->sel == 0x38 && s->base == 0x4000 && s->limit == 0xfff;
}

static void test_stack(void)
{
    static const struct { const char *name, *push, *pop; unsigned at; } segments[] = {
        {"es", "06", "07", offsetof(struct cpu_state, es)},
        {"ss", "16", "17", offsetof(struct cpu_state, ss)},
        {"ds", "1e", "1f", offsetof(struct cpu_state, ds)},
        {"fs", "0f a0", "0f a1", offsetof(struct cpu_state, fs)},
        {"gs", "0f a8", "0f a9", offsetof(struct cpu_state, gs)},
    };

    for (unsigned i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        struct cpu_segment *s;

        begin(GUEST_PROTECTED32, 0);
        s = (struct cpu_segment *)(void *)((uint8_t *)g.state + segments[i].at);
        s->sel = 0x10;
        guest_write(&g, GUEST_STACK - 4, 4, 0xffffffff);
        ok(guest_done(&g, guest_step(&g, segments[i].push)) && g.state->rsp == GUEST_STACK - 4 &&
               guest_read(&g, GUEST_STACK - 4, 2) == 0x10,
           "push %s", segments[i].name);
        guest_write(&g, GUEST_STACK - 4, 4, 0x38);
        ok(guest_done(&g, guest_step(&g, segments[i].pop)) && g.state->rsp == GUEST_STACK &&
               is_small(s) && g.state->shadow == !strcmp(segments[i].name, "ss"),
           "pop %s", segments[i].name);
        begin(GUEST_PROTECTED32, 0);
        guest_write(&g, GUEST_STACK, 4, 0x30);
        ok(fault(segments[i].pop, strcmp(segments[i].name, "ss") ? EXCEPTION_NP : EXCEPTION_SS,
                 0x30) && g.state->rsp == GUEST_STACK,
           "pop %s: not present", segments[i].name);
    }
    begin(GUEST_PROTECTED32, 0);
    ok(guest_done(&g, guest_step(&g, "0e")) &&
           guest_read(&g, GUEST_STACK - 4, 2) == g.state->cs.sel,
       "push cs");
    begin(GUEST_LONG, 0);
    ok(fault("06", EXCEPTION_UD, -1) && fault("1f", EXCEPTION_UD, -1),
       "none of these in 64-bit code");
    g.state->fs.sel = 0x10;
    ok(guest_done(&g, guest_step(&g, "0f a0")) && g.state->rsp == GUEST_STACK - 8, "push fs there");
}

static void test_pointers(void)
{
    static const struct { const char *name, *code; unsigned at; } loads[] = {
        {"les", "c4 08", offsetof(struct cpu_state, es)},
        {"lds", "c5 08", offsetof(struct cpu_state, ds)},
        {"lss", "0f b2 08", offsetof(struct cpu_state, ss)},
        {"lfs", "0f b4 08", offsetof(struct cpu_state, fs)},
        {"lgs", "0f b5 08", offsetof(struct cpu_state, gs)},
    };

    for (unsigned i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        begin(GUEST_PROTECTED32, 0);
        guest_write(&g, DATA, 4, 0x12345678);
        guest_write(&g, DATA + 4, 2, 0x38);
        ok(guest_done(&g, guest_step(&g, loads[i].code)) && g.state->gpr[CPU_RCX] == 0x12345678 &&
               is_small((struct cpu_segment *)(void *)((uint8_t *)g.state + loads[i].at)),
           "%s", loads[i].name);
        begin(GUEST_PROTECTED32, 0);
        guest_write(&g, DATA + 4, 2, 0x100);
        g.state->gpr[CPU_RCX] = 7;
        ok(fault(loads[i].code, EXCEPTION_GP, 0x100) && g.state->gpr[CPU_RCX] == 7,
           "%s beyond the table", loads[i].name);
    }
    begin(GUEST_PROTECTED32, 0);
    g.state->ds.sel = 0x10;
    g.state->gpr[CPU_RCX] = ~0ull;
    ok(guest_done(&g, guest_step(&g, "8c d9")) && (uint32_t)g.state->gpr[CPU_RCX] == 0x10,
       "mov ecx, ds");
    guest_write(&g, DATA, 4, 0xffffffff);
    ok(guest_done(&g, guest_step(&g, "8c 18")) && guest_read(&g, DATA, 4) == 0xffff0010,
       "mov [eax], ds: two bytes");
    guest_write(&g, DATA, 4, GUEST_CODE + 0x40);
    guest_write(&g, DATA + 4, 2, 8);
    ok(guest_done(&g, guest_step(&g, "ff 28")) && g.state->rip == GUEST_CODE + 0x40 &&
           g.state->cs.sel == 8,
       "jmp far [eax]");
    guest_write(&g, DATA + 4, 2, 0x10);
    ok(fault("ff 28", EXCEPTION_GP, 0x10), "to a data segment");
    begin(GUEST_PROTECTED32, 0);
    guest_write(&g, GUEST_STACK, 4, GUEST_CODE + 0x80);
    guest_write(&g, GUEST_STACK + 4, 4, 8);
    ok(guest_done(&g, guest_step(&g, "ca 10 00")) && g.state->rip == GUEST_CODE + 0x80 &&
           g.state->rsp == GUEST_STACK + 24,
       "retf 16");
}

/* ECX is the selector; EDX what LAR and LSL give. */
static void test_looks(void)
{
    begin(GUEST_PROTECTED32, 0);
    g.state->gpr[CPU_RCX] = 0x18;
    ok(guest_done(&g, guest_step(&g, "0f 02 d1")) && (g.state->rflags & RFLAGS_ZF) &&
           (g.state->gpr[CPU_RDX] & 0xf0ff00) == 0xc0fb00,
       "lar of code of CPL 3");
    ok(guest_done(&g, guest_step(&g, "0f 03 d1")) && (g.state->rflags & RFLAGS_ZF) &&
           g.state->gpr[CPU_RDX] == 0xffffffff,
       "lsl with granularity");
    ok(guest_done(&g, guest_step(&g, "0f 00 e1")) && (g.state->rflags & RFLAGS_ZF),
       "verr: readable");
    ok(guest_done(&g, guest_step(&g, "0f 00 e9")) && !(g.state->rflags & RFLAGS_ZF),
       "verw: not to be written");
    g.state->gpr[CPU_RCX] = 0x38;
    ok(guest_done(&g, guest_step(&g, "0f 00 e9")) && (g.state->rflags & RFLAGS_ZF), "verw of data");
    ok(guest_done(&g, guest_step(&g, "0f 03 d1")) && g.state->gpr[CPU_RDX] == 0xfff,
       "lsl without granularity");
    g.state->gpr[CPU_RDX] = 5;
    g.state->gpr[CPU_RCX] = 0x400;
    ok(guest_done(&g, guest_step(&g, "0f 02 d1")) && !(g.state->rflags & RFLAGS_ZF) &&
           g.state->gpr[CPU_RDX] == 5,
       "lar beyond the table");
    begin(GUEST_PROTECTED32, 3);
    g.state->gpr[CPU_RCX] = 0x10;
    ok(guest_done(&g, guest_step(&g, "0f 00 e1")) && !(g.state->rflags & RFLAGS_ZF),
       "verr of the supervisor's data in user code");
    begin(GUEST_REAL, 0);
    ok(fault("0f 02 d1", EXCEPTION_UD, -1) && fault("0f 00 e1", EXCEPTION_UD, -1),
       "real mode has none");
}

static void test_strings(void)
{
    begin(GUEST_PROTECTED32, 0);
    g.state->gpr[CPU_RDI] = g.state->gpr[CPU_RSI] = DATA;
    g.state->gpr[CPU_RDX] = 0x60;
    g.device_value = 0xa5;
    ok(guest_done(&g, guest_step(&g, "6c")) && guest_read(&g, DATA, 2) == 0xa5 &&
           g.state->gpr[CPU_RDI] == DATA + 1,
       "insb");
    guest_write(&g, DATA, 4, 0x11223344);
    ok(guest_done(&g, guest_step(&g, "6f")) && g.accesses == 1 && g.access[0].write &&
           g.access[0].size == 4 && g.access[0].value == 0x11223344 &&
           g.state->gpr[CPU_RSI] == DATA + 4,
       "outsd");
}

static void put_gate(unsigned vector, unsigned attr)
{
    guest_write(&g, 0x9000 + 8 * vector, 8,
                0x5000 | 8u << 16 | (uint64_t)attr << 40);
    g.state->idtr.base = 0x9000;
    g.state->idtr.limit = 0xff;
}

static void test_others(void)
{
    begin(GUEST_PROTECTED32, 0);
    put_gate(EXCEPTION_DB, 0x8e);
    put_gate(EXCEPTION_OF, 0x8e);
    ok(guest_done(&g, guest_step(&g, "f1")) && g.state->rip == 0x5000 &&
           guest_read(&g, g.state->rsp, 4) == GUEST_CODE + 1,
       "int1: behind itself");
    begin(GUEST_PROTECTED32, 0);
    put_gate(EXCEPTION_OF, 0x8e);
    ok(guest_done(&g, guest_step(&g, "ce")) && g.state->rip == GUEST_CODE + 1, "into without OF");
    g.state->rflags |= RFLAGS_OF;
    ok(guest_done(&g, guest_step(&g, "ce")) && g.state->rip == 0x5000, "into with OF");
    begin(GUEST_LONG, 0);
    ok(fault("ce", EXCEPTION_UD, -1), "into in 64-bit code");
    ok(fault("0f ff c0", EXCEPTION_UD, -1) && fault("0f b9 c0", EXCEPTION_UD, -1) &&
           fault("0f 0b", EXCEPTION_UD, -1),
       "ud0, ud1, ud2");
}

/* A 32-bit load of MXCSR with the VEX form; what is reserved is refused. */
static void test_mxcsr(void)
{
    begin(GUEST_LONG, 3);
    g.state->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    g.state->xcr0 = 7;
    guest_write(&g, DATA, 4, 0x1f3f);
    ok(guest_done(&g, guest_step(&g, "c5 f8 ae 10")) && g.state->xsave[24] == 0x3f &&
           g.state->xsave[25] == 0x1f,
       "vldmxcsr");
    guest_write(&g, DATA, 4, 0x80001f80);
    ok(fault("c5 f8 ae 10", EXCEPTION_GP, 0), "of a reserved bit");
}

/* Random numbers: a carry, and not the same number time and again; or #UD where there is none. */
static void test_random(const char *name, const char *code)
{
    unsigned set = 0, different = 0;
    bool missing = false;

    begin(GUEST_LONG, 3);
    for (unsigned i = 0; i < 64 && !missing; i++) {
        uint64_t before = g.state->gpr[CPU_RAX];
        enum interp_status status = guest_step(&g, code);

        missing = status == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_UD;
        set += status == INTERP_DONE && (g.state->rflags & RFLAGS_CF);
        different += g.state->gpr[CPU_RAX] != before;
    }
    if (missing)
        ok(true, "%s # SKIP this processor has none", name);
    else
        ok(set > 0 && different > set / 2, "%s: %u of 64 with a number", name, set);
}

int main(void)
{
    guest_init(&g);
    test_stack();
    test_pointers();
    test_looks();
    test_strings();
    test_others();
    test_mxcsr();
    test_random("rdrand", "0f c7 f0");
    test_random("rdrand of 16 bits", "66 0f c7 f0");
    test_random("rdseed", "0f c7 f8");
    test_random("rdseed of 16 bits", "66 0f c7 f8");
    guest_free(&g);
    return tap_done();
}
