/* SPDX-License-Identifier: MIT */
/* The disassembler: mnemonics against Zydis over all opcodes, operands directed. */
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/disasm.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Names that differ: far returns, prefetches, reserved NOPs that later extensions took, and what
 * the table has no names for.
 */
static bool same_name(const char *ours, const char *theirs, const struct insn *insn)
{
    static const char *const pairs[][2] = {
        {"retf", "ret"}, {"wbnoinvd", "wbinvd"},
    };

    size_t length = strlen(ours);

    if (!strncmp(ours, theirs, length) &&
        (!strcmp(theirs + length, "64") || !strcmp(theirs + length, "d") ||
         !strcmp(theirs + length, "q")))
        return true; // Zydis tells the operand size of some in the name
    if (!strcmp(ours, theirs) || !strncmp(theirs, "prefetch", 8) || !strncmp(theirs, "nop", 3))
        return true;
    for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!strcmp(ours, pairs[i][0]) && !strcmp(theirs, pairs[i][1]))
            return true;
    return insn->op < 4 || (insn->map == MAP_1 && (insn->opcode & 0xf8) == 0xd8) ||
           (insn->map == MAP_0F &&
            ((insn->opcode >= 0x18 && insn->opcode <= 0x1f) || insn->opcode == 0x0f));
}

static void test_names(unsigned mode)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3, 0x48};
    ZydisDecoder zydis;
    uint64_t random = mode;
    unsigned long same = 0, wrong = 0;

    ZydisDecoderInit(&zydis, mode == 8 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     mode == 8 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    for (unsigned i = 0; i < 4u * 256 * 256 * sizeof prefixes; i++) {
        unsigned prefix = i % sizeof prefixes, x = i / sizeof prefixes, map = x >> 16, n = 0;
        ZydisDecodedInstruction theirs;
        ZydisDecoderContext context;
        struct insn insn;
        uint8_t bytes[24];

        for (unsigned k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)random_u64(&random);
        if (prefixes[prefix])
            bytes[n++] = prefixes[prefix];
        if (map)
            bytes[n++] = 0x0f;
        if (map > 1)
            bytes[n++] = map == 2 ? 0x38 : 0x3a;
        bytes[n++] = (uint8_t)(x >> 8);
        bytes[n] = (uint8_t)x;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&zydis, &context, bytes, sizeof bytes, &theirs)) ||
            decode(bytes, sizeof bytes, mode, &insn) != DECODE_OK)
            continue;
        if (same_name(disasm_name(&insn), ZydisMnemonicGetString(theirs.mnemonic), &insn))
            same++;
        else if (wrong++ < 40)
            tap_note("%s here, %s in Zydis: %02x %02x %02x %02x", disasm_name(&insn),
                     ZydisMnemonicGetString(theirs.mnemonic), bytes[0], bytes[1], bytes[2],
                     bytes[3]);
    }
    ok(wrong == 0, "%u-bit code: %lu mnemonics as in Zydis", 8 * mode, same);
}

static void text_is(unsigned mode, const char *hex, const char *expected)
{
    struct insn insn;
    uint8_t bytes[16] = {0};
    char text[96] = "(bad)";

    for (unsigned n = 0; *hex; hex += hex[2] == ' ' ? 3 : 2) {
        char byte[3] = {hex[0], hex[1], 0};

        bytes[n++] = (uint8_t)strtoul(byte, NULL, 16);
    }
    if (decode(bytes, sizeof bytes, mode, &insn) == DECODE_OK)
        disasm(&insn, mode, 0x1000, text, sizeof text);
    is_str(text, expected, expected);
}

static void test_text(void)
{
    struct insn insn;
    char text[8];

    text_is(8, "48 89 44 8b f8", "mov qword ptr [rbx+rcx*4-0x8], rax");
    text_is(8, "8b 05 00 01 00 00", "mov eax, dword ptr [0x1106]");
    text_is(8, "64 48 8b 04 25 28 00 00 00", "mov rax, qword ptr fs:[0x28]");
    text_is(8, "f0 0f b1 0f", "lock cmpxchg dword ptr [rdi], ecx");
    text_is(8, "f3 48 a5", "rep movsq qword ptr es:[rdi], qword ptr ds:[rsi]");
    text_is(8, "83 c0 ff", "add eax, 0xffffffff");
    text_is(8, "b4 05", "mov ah, 0x5");
    text_is(8, "40 b4 05", "mov spl, 0x5");
    text_is(8, "eb fe", "jmp 0x1000");
    text_is(8, "e8 fb ff ff ff", "call 0x1000");
    text_is(8, "0f 22 d8", "mov cr3, rax");
    text_is(8, "8e d8", "mov ds, ax");
    text_is(8, "f3 0f 7f 0b", "movdqu xmmword ptr [rbx], xmm1");
    text_is(8, "c5 fe 6f 03", "vmovdqu ymm0, ymmword ptr [rbx]");
    text_is(8, "c5 ec 58 cb", "vaddps ymm1, ymm2, ymm3");
    text_is(8, "c5 ee 58 cb", "vaddss xmm1, xmm2, xmm3");
    text_is(8, "c4 e2 7d 20 0b", "vpmovsxbw ymm1, xmmword ptr [rbx]");
    text_is(8, "c4 e3 7d 19 d1 01", "vextractf128 xmm1, ymm2, 0x1");
    text_is(8, "c4 e3 69 4a cb 40", "vblendvps xmm1, xmm2, xmm3, xmm4");
    text_is(8, "c4 a2 65 92 4c 62 10", "vgatherdps ymm1, dword ptr [rdx+ymm12*2+0x10], ymm3");
    text_is(8, "c4 e2 e5 92 14 21", "vgatherdpd ymm2, qword ptr [rcx+xmm4*1], ymm3");
    text_is(8, "c4 e2 65 92 14 11", "(bad)");
    text_is(8, "c4 e2 65 92 11", "(bad)");
    text_is(8, "c4 e2 f3 f6 c3", "mulx rax, rcx, rbx");
    text_is(8, "f3 90", "pause");
    text_is(4, "c8 10 00 01", "enter 0x10, 0x1");
    text_is(4, "ea 78 56 34 12 08 00", "jmp 0x8:0x12345678");
    text_is(4, "a1 00 00 00 80", "mov eax, dword ptr [0x80000000]");
    text_is(2, "26 8a 47 02", "mov al, byte ptr es:[bx+0x2]");
    text_is(2, "8b 42 fe", "mov ax, word ptr [bp+si-0x2]");
    ok(decode((const uint8_t *)"\x48\x89\x44\x8b\xf8\x90", 6, 8, &insn) == DECODE_OK,
       "a long text");
    disasm(&insn, 8, 0, text, sizeof text);
    is_str(text, "mov qwo", "is cut at the buffer's end");
}

int main(void)
{
    test_names(8);
    test_names(4);
    test_text();
    return tap_done();
}
