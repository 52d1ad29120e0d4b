/* SPDX-License-Identifier: MIT */
/* Small guests for tests. */
#include "tests/linux/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(offsetof(struct guest, code) == GUEST_ENTRY - GUEST_BASE, "the entry is the code");

void guest_begin(struct guest *guest)
{
    const uint32_t end = GUEST_ENTRY + GUEST_CODE;
    const uint32_t header[8] = {0x1badb002, 0x00010000, 0u - 0x1badb002u - 0x00010000u, GUEST_BASE,
                                GUEST_BASE, end, end, GUEST_ENTRY};

    memcpy(guest->header, header, sizeof(header));
    memset(guest->code, 0xf4, sizeof(guest->code)); // HLT
    guest->used = 0;
}

void guest_emit(struct guest *guest, const void *bytes, size_t n)
{
    if (guest->used + n > GUEST_CODE)
        abort();
    memcpy(guest->code + guest->used, bytes, n);
    guest->used += n;
}

static void set_port(struct guest *guest, uint16_t port)
{
    const uint8_t code[] = {0x66, 0xba, (uint8_t)port, (uint8_t)(port >> 8)}; // MOV DX, port

    guest_emit(guest, code, sizeof(code));
}

void guest_out(struct guest *guest, uint16_t port, unsigned size, uint16_t value)
{
    const uint8_t code[] = {0x66, 0xb8, (uint8_t)value, (uint8_t)(value >> 8)}; // MOV AX, value

    set_port(guest, port);
    guest_emit(guest, code, sizeof(code));
    guest_emit(guest, size == 1 ? "\xee" : "\x66\xef", size); // OUT DX, AL or AX
}

/* IN AL, DX; TEST AL, mask; JZ back. */
static void wait_line_status(struct guest *guest, uint8_t mask)
{
    const uint8_t code[] = {0xec, 0xa8, mask, 0x74, 0xfb};

    set_port(guest, 0x3fd);
    guest_emit(guest, code, sizeof(code));
}

void guest_send(struct guest *guest)
{
    wait_line_status(guest, 0x20);
    set_port(guest, 0x3f8);
    guest_emit(guest, "\x88\xe0\xee", 3); // MOV AL, AH; OUT DX, AL
}

void guest_receive(struct guest *guest)
{
    wait_line_status(guest, 0x01);
    set_port(guest, 0x3f8);
    guest_emit(guest, "\xec\x88\xc4", 3); // IN AL, DX; MOV AH, AL
}

void guest_jump(struct guest *guest, uint8_t opcode, size_t to)
{
    const uint8_t code[] = {opcode, (uint8_t)(to - guest->used - 2)};

    guest_emit(guest, code, sizeof(code));
}

void guest_power_off(struct guest *guest)
{
    guest_out(guest, 0x4004, 2, 0x3400); // PM1 control: SLP_TYP 5, SLP_EN
}

const char *guest_file(const struct guest *guest)
{
    static char path[64];
    int fd = memfd_create("guest", 0);
    size_t size = offsetof(struct guest, code) + GUEST_CODE;

    if (fd < 0 || write(fd, guest, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}
