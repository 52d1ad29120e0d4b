/* SPDX-License-Identifier: MIT */
/* Fuzz target: vmm/cpu/decode.h must agree with Zydis on length and operands. The first byte of the
 * input chooses the code size. */
#include "tests/cpu/zydis.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth width;
    } machines[3] = {
        {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    ZydisDecoder zydis;
    ZydisDecoderContext context;
    ZydisDecodedInstruction theirs;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct insn ours;

    if (size < 2)
        return -1;
    unsigned which = data[0] % 3, mode = 2u << which;
    ZydisDecoderInit(&zydis, machines[which].mode, machines[which].width);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    enum decode_status status = decode(data + 1, size - 1, mode, &ours);
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeInstruction(&zydis, &context, data + 1, size - 1, &theirs)) ||
        theirs.mnemonic == ZYDIS_MNEMONIC_JKZD || theirs.mnemonic == ZYDIS_MNEMONIC_JKNZD)
        return 0;
    const char *difference = status != DECODE_OK || ours.length != theirs.length ? "length" : NULL;
    if (!difference && ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&zydis, &context, &theirs, operands,
                                                               theirs.operand_count)))
        difference = zydis_difference(&ours, mode, &theirs, operands);
    if (difference) {
        fprintf(stderr, "%u-bit code, %s: %s; length %u here, %u in Zydis\n", 8 * mode,
                ZydisMnemonicGetString(theirs.mnemonic), difference, ours.length, theirs.length);
        abort();
    }
    return 0;
}
