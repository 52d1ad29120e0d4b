/* SPDX-License-Identifier: MIT */
/* Directed, both engines: operands that could be looked for in the wrong place. */
#include "tests/cpu/machine.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define SS   12u
#define GP   13u
#define PF   14u

static uint8_t *pages;
static struct cpu_state *state;

static bool run(struct machine *m, unsigned mode, const uint8_t *code, unsigned length,
                struct machine_end *end)
{
    machine_put(m, 0, code, length);
    state->rip = MACHINE_USER;
    state->rflags = 0x202;
    return machine_run(m, mode, state, end);
}

/*
 * 32-bit addresses wrap: ESP of 10h and a displacement of -30h is the last page, where the stack was
 * just before. By whole registers it would be 4 GiB below.
 */
static void below_zero(struct machine *m)
{
    static const uint8_t code[] = {
        0xbc, 0xf0, 0xff, 0xff, 0xff, // mov esp, 0xfffffff0
        0x50,                         // push eax
        0xbc, 0x10, 0x00, 0x00, 0x00, // mov esp, 0x10
        0x8b, 0x4c, 0x24, 0xd0,       // mov ecx, [esp - 0x30]
        0x8b, 0x54, 0x24, 0xd4,       // mov edx, [esp - 0x2c]
        0x89, 0x4c, 0x24, 0xd8,       // mov [esp - 0x28], ecx
        0xf4,
    };
    static const uint32_t there[3] = {0x12345678, 0x9abcdef0, 0};
    struct machine_end end;
    uint32_t stored;

    memcpy(pages + 5 * PAGE - 0x20, there, sizeof(there));
    memset(state, 0, sizeof(*state));
    ok(run(m, 4, code, sizeof(code), &end) && end.vector == GP, "%s: it gets to its end", machine_name(m));
    ok(state->gpr[CPU_RCX] == there[0], "%s: below ESP, beyond 0", machine_name(m));
    ok(state->gpr[CPU_RDX] == there[1], "%s: and the word behind it", machine_name(m));
    memcpy(&stored, pages + 5 * PAGE - 0x18, 4);
    ok(stored == there[0], "%s: and a store", machine_name(m));
}

/*
 * The stack pointer itself wraps: behind the last word below 4 GiB it is 0, and a push is there again. By whole registers that
 * would be 4 GiB below, where nobody looks.
 */
static void around_zero(struct machine *m)
{
    static const uint8_t codes[3][12] = {
        {0x58, 0x59, 0x52, 0xf4},                               // pop eax; pop ecx; push edx
        {0x58, 0x83, 0xc4, 0x04, 0x52, 0xf4},                   // pop eax; add esp, 4; push edx
        {0x58, 0x8d, 0x64, 0x24, 0x04, 0xe8, 0, 0, 0, 0, 0xf4}, // pop eax; lea esp, [esp + 4]; call the next
    };
    static const uint32_t there[2] = {0x12345678, 0x9abcdef0};

    for (unsigned i = 0; i < 3; i++) {
        struct machine_end end;
        uint32_t stored;

        memcpy(pages + 5 * PAGE - 8, there, sizeof(there));
        memset(state, 0, sizeof(*state));
        state->gpr[CPU_RSP] = state->rsp = 0xfffffff8;
        state->gpr[CPU_RDX] = MACHINE_USER + 10;
        ok(run(m, 4, codes[i], sizeof(codes[i]), &end) && end.vector == GP, "%s: it gets to its end", machine_name(m));
        ok(state->gpr[CPU_RAX] == there[0], "%s: the last words below 4 GiB, %u", machine_name(m), i);
        memcpy(&stored, pages + 5 * PAGE - 4, 4);
        ok(stored == MACHINE_USER + 10 && state->rsp == 0xfffffffc, "%s: ESP of 0, and what is pushed is there", machine_name(m));
    }
}

/* Two GiB ahead of the instruction, which is not at the beginning of its page: a distance from there has 33 bits. */
static void far_ahead(struct machine *m)
{
    static const uint8_t codes[5][7] = {
        {0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0x7f}, // lea rax, [rip + 0x7ffffff0]
        {0x8b, 0x05, 0xf0, 0xff, 0xff, 0x7f},       // mov eax, [rip + 0x7ffffff0]
        {0xe9, 0xf0, 0xff, 0xff, 0x7f},             // jmp
        {0x0f, 0x85, 0xf0, 0xff, 0xff, 0x7f},       // jne
        {0xe8, 0xf0, 0xff, 0xff, 0x7f},             // call
    };
    static const unsigned length[5] = {7, 6, 5, 6, 5};

    for (unsigned i = 0; i < 5; i++) {
        uint64_t there = MACHINE_USER + 0x800 + length[i] + 0x7ffffff0ull;
        struct machine_end end;
        uint8_t hlt = 0xf4;

        memset(state, 0, sizeof(*state));
        state->gpr[CPU_RSP] = state->rsp = MACHINE_USER + 4 * PAGE + 0x100;
        machine_put(m, 0x800, codes[i], length[i]);
        machine_put(m, 0x800 + length[i], &hlt, 1);
        state->rip = MACHINE_USER + 0x800;
        state->rflags = 0x202;
        ok(machine_run(m, 8, state, &end) && (i == 0 ? end.vector == GP && state->gpr[CPU_RAX] == there : end.vector == PF && end.cr2 == there),
           "%s: 2 GiB ahead, %u", machine_name(m), i);
    }
}

/*
 * 64-bit code has used a stack above 4 GiB; in 32-bit code the low halves of the same registers are the addresses, though by the whole
 * ones there is a page as well.
 */
static void above_4_gib(struct machine *m)
{
    static const uint8_t high[] = {
        0x50,                   // push rax
        0x48, 0x89, 0x45, 0x00, // mov [rbp], rax
        0xf4,
    };
    static const uint8_t low[] = {
        0x51, // push ecx
        0x5a, // pop edx
        0xc9, // leave
        0xf4,
    };
    const uint64_t stack = MACHINE_USER + 4 * PAGE + 0x100;
    uint32_t word = 0x55667788, pushed;
    struct machine_end end;

    memset(state, 0, sizeof(*state));
    memcpy(pages + 4 * PAGE + 0x200, &word, 4);
    state->gpr[CPU_RSP] = state->rsp = 1ull << 32 | stack;
    state->gpr[CPU_RBP] = (1ull << 32 | stack) + 0x100;
    ok(run(m, 8, high, sizeof(high), &end) && end.vector == GP, "%s: a stack above 4 GiB", machine_name(m));
    state->gpr[CPU_RSP] = state->rsp = 1ull << 32 | stack;
    state->gpr[CPU_RCX] = 0x11223344;
    ok(run(m, 4, low, sizeof(low), &end) && end.vector == GP, "%s: the same registers in 32-bit code", machine_name(m));
    memcpy(&pushed, pages + 4 * PAGE + 0xfc, 4);
    ok(pushed == 0x11223344 && (uint32_t)state->gpr[CPU_RDX] == 0x11223344, "%s: PUSH and POP go by ESP", machine_name(m));
    ok((uint32_t)state->gpr[CPU_RBP] == word && (uint32_t)state->rsp == stack + 0x104, "%s: LEAVE by EBP", machine_name(m));
}

/* A stack pointer that is not canonical: #SS, by whatever reaches it, wherever in the hole it points to. */
static void not_canonical(struct machine *m)
{
    static const uint8_t codes[8][8] = {
        {0x50, 0xf4},                               // push rax
        {0x58, 0x59, 0xf4},                         // pop rax; pop rcx
        {0x8b, 0x44, 0x24, 0x08, 0xf4},             // mov eax, [rsp + 8]
        {0x89, 0x44, 0x24, 0x08, 0x58, 0x50, 0xf4}, // mov [rsp + 8], eax; pop rax; push rax
        {0x88, 0x64, 0x24, 0x08, 0xf4},             // mov [rsp + 8], ah
        {0xc3, 0xf4},                               // ret
        {0xff, 0x74, 0x24, 0x08, 0xf4},             // push [rsp + 8]
        {0x10, 0x64, 0x24, 0x08, 0xf4},             // adc [rsp + 8], ah
    };
    static const uint64_t where[4] = {0x8000000000000100, 0x800000000100, 0xffff000000000100, 0x7fffffffffffff00};

    for (unsigned i = 0; i < 32; i++) {
        struct machine_end end;

        memset(state, 0, sizeof(*state));
        state->gpr[CPU_RSP] = state->rsp = where[i / 8];
        state->gpr[CPU_RAX] = 0x1234;
        ok(run(m, 8, codes[i % 8], sizeof(codes[0]), &end) && end.vector == SS && end.error == 0 && state->rsp == where[i / 8] &&
               state->gpr[CPU_RAX] == 0x1234,
           "%s: RSP %lx, %u", machine_name(m), (unsigned long)where[i / 8], i % 8);
    }
}

/* Outside 64-bit code nothing is stored by CS, and what is read there is read. */
static void by_code_segment(struct machine *m)
{
    static const uint8_t codes[6][10] = {
        {0x2e, 0xa2, 0x00, 0x20, 0x00, 0x10, 0xf4}, // mov cs:[data], al
        {0x2e, 0xa3, 0x00, 0x20, 0x00, 0x10, 0xf4}, // mov cs:[data], eax
        {0x2e, 0x89, 0x03, 0xf4},                   // mov cs:[ebx], eax
        {0x2e, 0x0f, 0xab, 0x03, 0xf4},             // bts cs:[ebx], eax
        {0x2e, 0xd9, 0x3b, 0xf4},                   // fnstcw cs:[ebx]
        {0x2e, 0xa1, 0x00, 0x20, 0x00, 0x10, 0xf4}, // mov eax, cs:[data]
    };

    for (unsigned i = 0; i < 6; i++) {
        uint32_t word = 0x12345678;
        struct machine_end end;

        memcpy(pages + 2 * PAGE, &word, 4);
        memset(state, 0, sizeof(*state));
        state->gpr[CPU_RBX] = MACHINE_USER + 2 * PAGE;
        ok(run(m, 4, codes[i], sizeof(codes[0]), &end) && end.vector == GP && state->rip == MACHINE_USER + (i == 5 ? 6 : 0) &&
               state->gpr[CPU_RAX] == (i == 5 ? word : 0) && !memcmp(pages + 2 * PAGE, &word, 4),
           "%s: by CS, %u", machine_name(m), i);
    }
}

/* What has to be aligned and lies in two pages is #GP, though both are there. */
static void aligned_in_two_pages(struct machine *m)
{
    static const uint8_t code[] = {
        0x0f, 0x10, 0x07, // movups xmm0, [rdi]
        0x0f, 0x28, 0x07, // movaps xmm0, [rdi]
        0xf4,
    };
    struct machine_end end;

    memset(state, 0, sizeof(*state));
    state->gpr[CPU_RDI] = MACHINE_USER + 2 * PAGE - 8;
    ok(run(m, 8, code, sizeof(code), &end) && end.vector == GP && end.error == 0,
       "%s: MOVAPS from two pages is #GP", machine_name(m));
    ok(state->rip == MACHINE_USER + 3, "%s: where MOVUPS is none", machine_name(m));
}

/* What has to be aligned and is not, is refused before its page is marked: by itself, and as the first of two that share a check. */
static void misaligned_marks_nothing(struct machine *m)
{
    static const struct {
        const char *name;
        uint8_t length, code[9];
    } cases[] = {
        {"MOVNTDQ", 5, {0x66, 0x0f, 0xe7, 0x07, 0xf4}},                                     // [rdi]
        {"MOVAPS", 4, {0x0f, 0x28, 0x07, 0xf4}},                                            // from [rdi]
        {"two MOVAPS", 8, {0x0f, 0x29, 0x47, 0x10, 0x0f, 0x29, 0x07, 0xf4}},                // to [rdi + 16], [rdi]
        {"MOVAPS and MOV", 7, {0x0f, 0x29, 0x07, 0x8b, 0x47, 0xf9, 0xf4}},                  // to [rdi]; from [rdi - 7]
    };

    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        for (unsigned off = 0; off < 16; off += 8) {
            struct machine_end end;

            memset(state, 0, sizeof(*state));
            machine_unmark(m);
            state->gpr[CPU_RDI] = MACHINE_USER + 2 * PAGE + 0x100 + off;
            ok(run(m, 8, cases[n].code, cases[n].length, &end) && end.vector == GP &&
                   (off ? state->rip == MACHINE_USER && machine_marks(m) == 0
                        : state->rip == MACHINE_USER + cases[n].length - 1u && machine_marks(m) == (n == 1 ? 0x20 : 0x60)),
               "%s: %s %s", machine_name(m), cases[n].name, off ? "of what is not aligned marks nothing" : "marks its page");
        }
    machine_unmark(m);
}

/* Between two accesses that share a check, one by the stack pointer that is too far away to be among them: the stack's page is another. */
static void far_from_the_stack(struct machine *m)
{
    static const uint8_t code[] = {
        0x48, 0x89, 0x04, 0x24,                               // mov [rsp], rax
        0x48, 0x89, 0x84, 0x24, 0, 0, 0, 0x40,                // mov [rsp + 0x40000000], rax
        0x48, 0x8b, 0x4c, 0x24, 0x08,                         // mov rcx, [rsp + 8]
        0xf4,
    };
    const uint64_t there = 0x123456789abcdef0;
    struct machine_end end;
    uint64_t stored;

    memset(state, 0, sizeof(*state));
    memcpy(pages + 4 * PAGE + 0x108, &there, 8);
    state->gpr[CPU_RSP] = state->rsp = MACHINE_USER + 4 * PAGE + 0x100;
    state->gpr[CPU_RAX] = 0x5a5a;
    ok(run(m, 8, code, sizeof(code), &end) && end.vector == GP, "%s: 1 GiB from the stack pointer", machine_name(m));
    memcpy(&stored, pages + 2 * PAGE + 0x100, 8);
    ok(stored == 0x5a5a && state->gpr[CPU_RCX] == there, "%s: and the stack's page again", machine_name(m));
}

int main(void)
{
    static const enum machine_kind kinds[] = {MACHINE_RECOMPILER, MACHINE_INTERPRETER};

    pages = machine_pages();
    state = aligned_alloc(4096, sizeof(*state) + (-sizeof(*state) & 4095));
    if (!pages || !state)
        return 1;
    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = machine_new(kinds[i]);

        if (!m) {
            ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
            continue;
        }
        below_zero(m);
        around_zero(m);
        far_ahead(m);
        not_canonical(m);
        by_code_segment(m);
        above_4_gib(m);
        aligned_in_two_pages(m);
        misaligned_marks_nothing(m);
        far_from_the_stack(m);
        machine_free(m);
    }
    free(state);
    return tap_done();
}
