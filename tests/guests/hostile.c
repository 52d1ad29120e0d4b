/* SPDX-License-Identifier: MIT */
/* Guests that misbehave: nothing of it may end or disturb more than themselves. */
#include "guest.h"

static uint32_t seed = 12345;

static uint32_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* Ports that reset, power off or mask A20 when written are tried by other tests (or by finish()). */
static bool apart(uint32_t port)
{
    return port == 0x64 || port == 0x60 || port == 0x92 || (port >= 0xf4 && port <= 0xf7) || (port >= 0xcf8 && port <= 0xcff) ||
           (port >= 0x4000 && port < 0x4040) || (port >= 0xb2 && port <= 0xb3);
}

static void ignore(struct registers *r)
{
    (void)r; // interrupts that the storm lets loose
}

/* Reads and writes every port with every width, four random values each. */
void test_ports(void)
{
    guest_handler = ignore;
    for (unsigned round = 0; round < 4; round++)
        for (uint32_t port = 0; port < 0x10000; port++) {
            (void)in32((uint16_t)port);
            if (apart(port) || apart(port + 1) || apart(port + 2) || apart(port + 3))
                continue;
            uint32_t value = any();
            switch (value >> 30) {
            case 0:
                out32((uint16_t)port, any());
                break;
            case 1:
                out16((uint16_t)port, (uint16_t)any());
                break;
            default:
                out8((uint16_t)port, (uint8_t)any());
            }
        }
    serial_setup();
    put("guest: every port written\n");
}

/* Touches every 64 KiB of what is not RAM below 4 GiB, and all registers of the APICs. What answers must answer, the rest reads ones. */
void test_memory(void)
{
    uint32_t ones = 0, reads = 0;
    guest_handler = ignore;
    for (uint32_t address = 0xc0000000; address >= 0xc0000000; address += 0x10000) {
        volatile uint32_t *p = (volatile uint32_t *)address;
        if (address >= 0xfec00000 && address < 0xfef00000)
            continue;
        reads++;
        ones += *p == 0xffffffff;
        *p = any();
        *(volatile uint8_t *)(address + 3) = (uint8_t)any();
        __asm__ volatile("lock; xaddl %0, %1" : "+r"(seed), "+m"(*p));
        __asm__ volatile("movups (%0), %%xmm0" : : "r"(address + 8) : "memory");
    }
    for (uint32_t page = 0xfec00000; page <= 0xfee00000; page += 0x100000)
        for (uint32_t offset = 0; offset < 0x1000; offset += 4) {
            uint32_t was = *(volatile uint32_t *)(page + offset);
            if (page == 0xfee00000 && offset >= 0x300 && offset < 0x320)
                continue; // the command register: INIT to oneself ends the guest, rightly
            *(volatile uint32_t *)(page + offset) = any();
            *(volatile uint32_t *)(page + offset) = was;
        }
    put("guest: unmapped reads of ones ");
    put_number(ones);
    put(" of ");
    put_number(reads);
    put("\n");
    if (ones * 10 < reads * 9)
        finish(false);
}

void test_triple(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) none = {0, 0};
    put("guest: triple fault\n");
    __asm__ volatile("lidt %0; int3" : : "m"(none));
}

void test_cli(void)
{
    put("guest: looping with interrupts off\n");
    __asm__ volatile("cli; 1: jmp 1b");
}

/* Each way out by reset: the keyboard controller first. */
void test_reset(void)
{
    put("guest: reset by the keyboard controller\n");
    out8(0x64, 0xfe);
    for (;;)
        __asm__ volatile("hlt");
}
