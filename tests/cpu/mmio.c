/* SPDX-License-Identifier: MIT */
/*
 * Instructions on a device's memory and on ports: which accesses they make, and what they do to
 * registers.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <string.h>

#define DEVICE 0xfee00000ull // linear and guest-physical

static struct guest g;

static void start(enum guest_mode mode)
{
    guest_reset(&g, mode, 0);
    if (mode == GUEST_LONG)
        guest_map(&g, DEVICE, DEVICE, 3, false);
    g.state->gpr[CPU_RBX] = DEVICE;
    g.device_value = 0x1122334455667788;
}

static bool made(unsigned n, bool write, uint64_t gpa, unsigned size, uint64_t value)
{
    const struct guest_access *a = &g.access[n];

    if (n < g.accesses && a->write == write && a->gpa == gpa && a->size == size &&
        (!write || a->value == value))
        return true;
    for (unsigned i = 0; i < g.accesses; i++)
        tap_note("    access %u: %s %u at %lx: %lx", i, g.access[i].write ? "write" : "read",
                 g.access[i].size, g.access[i].gpa, g.access[i].value);
    return false;
}

static void test_moves(void)
{
    start(GUEST_LONG);
    g.state->gpr[CPU_RCX] = 0xaabbccdd99887766;
    ok(guest_step(&g, "89 8b 80 03 00 00") == INTERP_DONE &&
           made(0, true, DEVICE + 0x380, 4, 0x99887766) && g.accesses == 1 &&
           g.state->rip == GUEST_CODE + 6,
       "mov [rbx+380h], ecx writes 32 bits once");
    ok(guest_step(&g, "48 89 0b") == INTERP_DONE && made(0, true, DEVICE, 8, 0xaabbccdd99887766),
       "64 bits once");
    ok(guest_step(&g, "66 89 0b") == INTERP_DONE && made(0, true, DEVICE, 2, 0x7766), "16 bits");
    ok(guest_step(&g, "88 2b") == INTERP_DONE && made(0, true, DEVICE, 1, 0x77), "8 bits, CH");
    ok(guest_step(&g, "c7 43 10 78 56 34 12") == INTERP_DONE &&
           made(0, true, DEVICE + 16, 4, 0x12345678),
       "an immediate");
    ok(guest_step(&g, "8b 03") == INTERP_DONE && made(0, false, DEVICE, 4, 0) &&
       g.state->gpr[CPU_RAX] == 0x55667788, "mov eax, [rbx]");
    g.state->gpr[CPU_RAX] = ~0ull;
    ok(guest_step(&g, "0f b6 03") == INTERP_DONE && made(0, false, DEVICE, 1, 0) &&
           g.state->gpr[CPU_RAX] == 0x88,
       "movzx eax, byte [rbx]");
    ok(guest_step(&g, "48 0f be 03") == INTERP_DONE && g.state->gpr[CPU_RAX] == 0xffffffffffffff88,
       "movsx rax, byte [rbx]");
    ok(guest_step(&g, "0f c3 0b") == INTERP_DONE && made(0, true, DEVICE, 4, 0x99887766), "movnti");
    ok(guest_step(&g, "8b 43 fe") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_PF &&
           g.state->cr2 == DEVICE - 2 && g.accesses == 0,
       "an access that begins before the mapped page faults at its first byte, without an access");
    ok(guest_step(&g, "89 8b ff 0f 00 00") == INTERP_FAULT && g.state->cr2 == DEVICE + 0x1000 &&
           g.accesses == 0,
       "one that ends after it at the next page, without an access");
}

static void test_read_modify_write(void)
{
    start(GUEST_LONG);
    g.device_value = 0x0f;
    g.state->gpr[CPU_RCX] = 1;
    ok(guest_step(&g, "01 0b") == INTERP_DONE && g.accesses == 2 && made(0, false, DEVICE, 4, 0) &&
           made(1, true, DEVICE, 4, 0x10) && (g.state->rflags & RFLAGS_AF),
       "add [rbx], ecx reads, then writes");
    ok(guest_step(&g, "f0 83 0b 40") == INTERP_DONE && made(1, true, DEVICE, 4, 0x4f),
       "lock or [rbx], 40h");
    ok(guest_step(&g, "83 3b 0f") == INTERP_DONE && g.accesses == 1 &&
           (g.state->rflags & RFLAGS_ZF),
       "cmp only reads");
    ok(guest_step(&g, "f7 03 10 00 00 00") == INTERP_DONE && g.accesses == 1 &&
           (g.state->rflags & RFLAGS_ZF),
       "so does test");
    ok(guest_step(&g, "87 0b") == INTERP_DONE && made(1, true, DEVICE, 4, 1) &&
           g.state->gpr[CPU_RCX] == 0x0f,
       "xchg");
    g.state->gpr[CPU_RAX] = 7;
    ok(guest_step(&g, "f0 0f b1 13") == INTERP_DONE && made(1, true, DEVICE, 4, 0x0f) &&
           g.state->gpr[CPU_RAX] == 0x0f,
       "a failed cmpxchg writes back what it read");
    ok(guest_step(&g, "0f ab 0b") == INTERP_DONE && made(1, true, DEVICE, 4, 0x800f),
       "bts [rbx], ecx");
    g.state->rsp = GUEST_STACK;
    ok(guest_step(&g, "ff 33") == INTERP_DONE && g.accesses == 1 &&
           g.state->rsp == GUEST_STACK - 8 && guest_read(&g, GUEST_STACK - 8, 8) == 0x0f,
       "push [rbx]");
    ok(guest_step(&g, "8f 03") == INTERP_DONE && made(0, true, DEVICE, 8, 0x0f) &&
           g.state->rsp == GUEST_STACK,
       "pop [rbx]");
}

static void test_strings(void)
{
    start(GUEST_LONG);
    g.state->gpr[CPU_RDI] = DEVICE;
    g.state->gpr[CPU_RAX] = 0x11223344;
    g.state->gpr[CPU_RCX] = 3;
    ok(guest_step(&g, "f3 ab") == INTERP_DONE && g.accesses == 3 &&
           made(2, true, DEVICE + 8, 4, 0x11223344) && g.state->gpr[CPU_RCX] == 0 &&
           g.state->gpr[CPU_RDI] == DEVICE + 12,
       "rep stosd makes three writes");
    g.state->gpr[CPU_RDI] = DEVICE + 8;
    g.state->gpr[CPU_RSI] = 0x3000;
    g.state->gpr[CPU_RCX] = 2;
    g.state->rflags |= RFLAGS_DF;
    guest_write(&g, 0x3000, 8, 5);
    guest_write(&g, 0x2ff8, 8, 6);
    ok(guest_step(&g, "f3 48 a5") == INTERP_DONE && made(0, true, DEVICE + 8, 8, 5) &&
           made(1, true, DEVICE, 8, 6),
       "rep movsq backwards from RAM");
    g.state->rflags &= ~RFLAGS_DF;
    g.state->gpr[CPU_RSI] = DEVICE + 0xff8;
    g.state->gpr[CPU_RDI] = 0x3000;
    g.state->gpr[CPU_RCX] = 4;
    ok(guest_step(&g, "f3 a5") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_PF &&
           g.state->cr2 == DEVICE + 0x1000 && g.state->gpr[CPU_RCX] == 2 &&
           g.state->gpr[CPU_RSI] == DEVICE + 0x1000 && g.state->rip == GUEST_CODE,
       "a fault in the middle leaves what was done, and RIP on the instruction");
    g.state->gpr[CPU_RSI] = DEVICE;
    g.state->gpr[CPU_RDI] = 0x3000;
    g.state->gpr[CPU_RCX] = 0;
    ok(guest_step(&g, "f3 a4") == INTERP_DONE && g.accesses == 0, "no iterations, no access");
    guest_map(&g, 0x40000000, 0x3000, 3, false);
    g.state->gpr[CPU_RDI] = 0x3000;
    g.state->gpr[CPU_RCX] = 1u << 20;
    for (uint64_t page = 0x200000; page < 0x400000; page += 0x1000)
        guest_map(&g, 0x50000000 + page, 0x3000, 3, false);
    g.state->gpr[CPU_RDI] = 0x50200000;
    ok(guest_step(&g, "f3 aa") == INTERP_AGAIN && g.state->rip == GUEST_CODE &&
           g.state->gpr[CPU_RCX] == (1u << 20) - 4096,
       "a long one stops after its share");
    g.state->gpr[CPU_RDI] = DEVICE;
    g.state->gpr[CPU_RAX] = 0x88;
    g.state->gpr[CPU_RCX] = 5;
    ok(guest_step(&g, "f3 ae") == INTERP_DONE && g.accesses == 5 && (g.state->rflags & RFLAGS_ZF),
       "repe scasb");
    g.state->gpr[CPU_RCX] = 5;
    ok(guest_step(&g, "f2 ae") == INTERP_DONE && g.accesses == 1 && g.state->gpr[CPU_RCX] == 4,
       "repne scasb stops at equality");
}

static void test_vectors(void)
{
    static const uint64_t value[2] = {0x0102030405060708, 0x1112131415161718};
    uint64_t components = 3;

    start(GUEST_LONG);
    g.state->cr4 |= CR4_OSFXSR;
    memcpy(g.state->xsave + 512, &components, 8);
    memcpy(g.state->xsave + 160 + 16, value, 16);
    ok(guest_step(&g, "f3 0f 7f 0b") == INTERP_DONE && g.accesses == 2 &&
           made(0, true, DEVICE, 8, value[0]) && made(1, true, DEVICE + 8, 8, value[1]),
       "movdqu [rbx], xmm1 makes two writes of 8");
    ok(guest_step(&g, "66 0f d6 0b") == INTERP_DONE && g.accesses == 1 &&
           made(0, true, DEVICE, 8, value[0]),
       "movq");
    ok(guest_step(&g, "f3 0f 6f 13") == INTERP_DONE && g.accesses == 2 &&
           !memcmp(g.state->xsave + 160 + 32, &g.device_value, 8) && (g.state->dirty & CPU_XSTATE),
       "movdqu xmm2, [rbx]");
    ok(guest_step(&g, "66 0f 7f 4b 08") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_GP &&
           g.accesses == 0,
       "a misaligned movdqa is #GP");
    g.state->cr0 |= CR0_TS;
    ok(guest_step(&g, "f3 0f 7f 0b") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_NM,
       "CR0.TS: #NM");
    g.state->cr4 &= ~CR4_OSFXSR;
    ok(guest_step(&g, "f3 0f 7f 0b") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_UD,
       "no CR4.OSFXSR: #UD");
    ok(guest_step(&g, "c5 ec 41 cb") == INTERP_UNSUPPORTED && g.state->rip == GUEST_CODE,
       "kandw is not executed, and says so");
}

static void test_ports(void)
{
    start(GUEST_LONG);
    g.state->gpr[CPU_RDX] = 0x3f8;
    ok(guest_step(&g, "ee") == INTERP_EXIT && g.state->reason == 3 &&
           g.state->q0 == (0x3f8u << 16 | 0x10) && g.state->q1 == GUEST_CODE + 1 &&
           g.state->insn_len == 1,
       "out dx, al is an exit");
    ok(guest_step(&g, "66 e5 60") == INTERP_EXIT && g.state->q0 == (0x60u << 16 | 0x21),
       "in ax, 60h");
    guest_write(&g, 0x3000, 4, 0x64636261);
    g.state->gpr[CPU_RSI] = 0x3000;
    g.state->gpr[CPU_RCX] = 4;
    ok(guest_step(&g, "f3 6e") == INTERP_DONE && g.accesses == 4 &&
           made(3, true, 1ull << 60 | 0x3f8, 1, 0x64),
       "rep outsb");
    g.state->gpr[CPU_RDI] = 0x3000;
    g.state->gpr[CPU_RCX] = 2;
    ok(guest_step(&g, "f3 6d") == INTERP_DONE && g.accesses == 2 &&
           guest_read(&g, 0x3004, 4) == 0x55667788,
       "rep insd");
    guest_reset(&g, GUEST_LONG, 3);
    g.state->tr.attr = 0x8b;
    g.state->tr.base = 0x5000;
    g.state->tr.limit = 0x67 + 0x100;
    guest_write(&g, 0x5066, 2, 0x68);
    guest_write(&g, 0x5068 + 0x3f8 / 8, 1, 0x01);
    g.state->gpr[CPU_RDX] = 0x3f8;
    ok(guest_step(&g, "ee") == INTERP_FAULT && g.interp.fault.vector == EXCEPTION_GP,
       "the TSS's bitmap forbids a port");
    g.state->gpr[CPU_RDX] = 0x3f9;
    ok(guest_step(&g, "ee") == INTERP_EXIT, "and allows another");
    g.state->gpr[CPU_RDX] = 0x3f7;
    ok(guest_step(&g, "66 ef") == INTERP_FAULT, "a wide access needs all its ports");
    g.state->gpr[CPU_RDX] = 0xfff0;
    ok(guest_step(&g, "ee") == INTERP_FAULT, "ports beyond the TSS's limit are forbidden");
}

static void test_groups(void)
{
    start(GUEST_LONG);
    g.state->valid = 0;
    g.needed = 0;
    ok(guest_step(&g, "89 0b") == INTERP_DONE && g.needed == (CPU_CSSS | CPU_CR | CPU_EFER),
       "a move in 64-bit code asks for CSSS, CR and EFER only (%x)", g.needed);
}

int main(void)
{
    guest_init(&g);
    test_moves();
    test_read_modify_write();
    test_strings();
    test_vectors();
    test_ports();
    test_groups();
    guest_free(&g);
    return tap_done();
}
