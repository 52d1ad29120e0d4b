/* SPDX-License-Identifier: MIT */
/*
 * Small guests for tests, assembled here: a Multiboot image (0.6.96, 3.1.1) whose code runs from
 * GUEST_ENTRY in 32-bit protected mode.
 */
#ifndef TESTS_LINUX_GUEST_H
#define TESTS_LINUX_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_BASE  0x100000u
#define GUEST_ENTRY 0x100020u
#define GUEST_CODE  512u

struct guest {
    uint32_t header[8];
    uint8_t code[GUEST_CODE];
    size_t used;              // of code
};

void guest_begin(struct guest *guest);
void guest_emit(struct guest *guest, const void *bytes, size_t n);
/* OUT of an immediate to a port; size 1 or 2. */
void guest_out(struct guest *guest, uint16_t port, unsigned size, uint16_t value);
/* Waits until the serial port can send, then sends the byte in AH. Changes AL and DX. */
void guest_send(struct guest *guest);
/* Waits until the serial port has a byte: AL and AH. Changes DX. */
void guest_receive(struct guest *guest);
/* A jump back to a place in the code; the opcode is 0xeb (JMP) or a Jcc, or 0xe2 (LOOP). */
void guest_jump(struct guest *guest, uint8_t opcode, size_t to);
void guest_power_off(struct guest *guest);

/* The image as a file: a path that lasts as long as this process. */
const char *guest_file(const struct guest *guest);

#endif
