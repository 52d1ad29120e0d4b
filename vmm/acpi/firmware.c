/* SPDX-License-Identifier: MIT */
/* The BIOS area as a whole. */
#include "vmm/acpi/firmware.h"

#include "lib/string.h"
#include "vmm/acpi/mptable.h"
#include "vmm/acpi/smbios.h"
#include "vmm/acpi/tables.h"

#define MP_OFFSET     0x10100u
#define SMBIOS_OFFSET 0x12000u
#define SERVICES      0x1ff00u // at F000:FF00
#define RESET_OFFSET  0x1fff0u

#define VECTORS       256u

/* BIOS data area. */
#define BDA           0x400u
#define BDA_SIZE      0x100u
#define BDA_COM       0x00u
#define BDA_EBDA      0x0eu
#define BDA_EQUIPMENT 0x10u
#define BDA_MEMORY    0x13u
#define EBDA          0x9fc00u
#define EBDA_KIB      1u

/*
 * Services, in real mode. Their code, each padded to 16 bytes; the second and third have their
 * answer in bytes 1 and 2. There is no more of a BIOS: all others are declined as INT 15h declines
 * a function that it has not, with carry and 86h in AH.
 */
enum service { DECLINE, EQUIPMENT, BASE_MEMORY, MASTER_IRQ, SLAVE_IRQ, SERVICE_COUNT };
#define SERVICE_SIZE 16u
static const uint8_t service_code[SERVICE_COUNT][SERVICE_SIZE] = {
    /* push bp; mov bp,sp; or byte [bp+6],1; pop bp; mov ah,0x86; iret */
    [DECLINE] = { 0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x01, 0x5d, 0xb4, 0x86, 0xcf },
    [EQUIPMENT] = { 0xb8, 0, 0, 0xcf },   // mov ax,WORD; iret
    [BASE_MEMORY] = { 0xb8, 0, 0, 0xcf },
    /* push ax; mov al,0x20; out 0x20,al; pop ax; iret; the other with out 0xa0,al before */
    [MASTER_IRQ] = { 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf },
    [SLAVE_IRQ] = { 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf },
};

/* mov al,0xfe; out 0x64,al; hlt; jmp to hlt: pulses the reset line. */
static const uint8_t reset_code[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd };

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

/* Serial ports, coprocessor. */
static unsigned equipment(const struct firmware_config *config)
{
    return (config->com2 ? 2u : 1u) << 9 | 2u;
}

enum vmm_status firmware_build(uint8_t area[FIRMWARE_AREA_SIZE],
                               const struct firmware_config *config, uint64_t *rsdp)
{
    if (config->cpus == 0 || config->cpus > FIRMWARE_CPUS_MAX)
        return VMM_BAD_CONFIG;
    memset(area, 0, FIRMWARE_AREA_SIZE);
    if (!tables_build(area, FIRMWARE_UPPER - FIRMWARE_AREA, config, rsdp))
        return VMM_NO_MEMORY;
    if (!mptable_build(area + MP_OFFSET, FIRMWARE_AREA + MP_OFFSET, SMBIOS_OFFSET - MP_OFFSET,
                       config))
        return VMM_NO_MEMORY;
    if (!smbios_build(area + SMBIOS_OFFSET, FIRMWARE_AREA + SMBIOS_OFFSET,
                      SERVICES - SMBIOS_OFFSET, config))
        return VMM_NO_MEMORY;
    memcpy(area + SERVICES, service_code, sizeof(service_code));
    put16(area + SERVICES + EQUIPMENT * SERVICE_SIZE + 1, equipment(config));
    put16(area + SERVICES + BASE_MEMORY * SERVICE_SIZE + 1, EBDA >> 10);
    memcpy(area + RESET_OFFSET, reset_code, sizeof(reset_code));
    return VMM_OK;
}

static enum service service_of(unsigned vector)
{
    switch (vector) {
    case 0x11: return EQUIPMENT;
    case 0x12: return BASE_MEMORY;
    default:   return vector >> 3 == 1 ? MASTER_IRQ : vector >> 3 == 0xe ? SLAVE_IRQ : DECLINE;
    }
}

static bool write_vectors(struct memory *memory)
{
    uint8_t table[VECTORS * 4];

    for (unsigned i = 0; i < VECTORS; i++) {
        put16(table + 4 * i, (SERVICES & 0xffff) + service_of(i) * SERVICE_SIZE);
        put16(table + 4 * i + 2, FIRMWARE_UPPER >> 4);
    }
    return memory_write(memory, 0, table, sizeof(table));
}

static bool write_bios_data(struct memory *memory, const struct firmware_config *config)
{
    uint8_t bda[BDA_SIZE] = { 0 };
    uint8_t ebda_size = EBDA_KIB;

    put16(bda + BDA_COM, 0x3f8);
    if (config->com2)
        put16(bda + BDA_COM + 2, 0x2f8);
    put16(bda + BDA_EBDA, EBDA >> 4);
    put16(bda + BDA_EQUIPMENT, equipment(config));
    put16(bda + BDA_MEMORY, EBDA >> 10);
    return memory_write(memory, BDA, bda, sizeof(bda)) &&
           memory_fill(memory, EBDA, 0, EBDA_KIB << 10) &&
           memory_write(memory, EBDA, &ebda_size, 1);
}

enum vmm_status firmware_install(struct memory *memory, const struct firmware_config *config,
                                 uint64_t *rsdp)
{
    uint8_t *area = memory_pointer(memory, FIRMWARE_AREA, FIRMWARE_AREA_SIZE);

    if (area == NULL || !write_vectors(memory) || !write_bios_data(memory, config))
        return VMM_BAD_RANGE;
    return firmware_build(area, config, rsdp);
}
