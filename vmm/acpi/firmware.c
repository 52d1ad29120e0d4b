/* SPDX-License-Identifier: MIT */
/* The BIOS area as a whole. */
#include "vmm/acpi/firmware.h"

#include "lib/string.h"
#include "vmm/acpi/mptable.h"
#include "vmm/acpi/smbios.h"
#include "vmm/acpi/tables.h"

#define MP_OFFSET     0x10100u
#define SMBIOS_OFFSET 0x12000u
#define RESET_OFFSET  0x1fff0u

/* BIOS data area. */
#define BDA           0x400u
#define BDA_SIZE      0x100u
#define BDA_COM       0x00u
#define BDA_EBDA      0x0eu
#define BDA_EQUIPMENT 0x10u
#define BDA_MEMORY    0x13u
#define EBDA          0x9fc00u
#define EBDA_KIB      1u

/* mov al,0xfe; out 0x64,al; hlt; jmp to hlt: pulses the reset line. */
static const uint8_t reset_code[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd };

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
                      RESET_OFFSET - SMBIOS_OFFSET, config))
        return VMM_NO_MEMORY;
    memcpy(area + RESET_OFFSET, reset_code, sizeof(reset_code));
    return VMM_OK;
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static bool write_bios_data(struct memory *memory, const struct firmware_config *config)
{
    uint8_t bda[BDA_SIZE] = { 0 };
    uint8_t ebda_size = EBDA_KIB;

    put16(bda + BDA_COM, 0x3f8);
    if (config->com2)
        put16(bda + BDA_COM + 2, 0x2f8);
    put16(bda + BDA_EBDA, EBDA >> 4);
    put16(bda + BDA_EQUIPMENT, (config->com2 ? 2u : 1u) << 9 | 2u); // serial ports, coprocessor
    put16(bda + BDA_MEMORY, EBDA >> 10);
    return memory_write(memory, BDA, bda, sizeof(bda)) &&
           memory_fill(memory, EBDA, 0, EBDA_KIB << 10) &&
           memory_write(memory, EBDA, &ebda_size, 1);
}

enum vmm_status firmware_install(struct memory *memory, const struct firmware_config *config,
                                 uint64_t *rsdp)
{
    uint8_t *area = memory_pointer(memory, FIRMWARE_AREA, FIRMWARE_AREA_SIZE);

    if (area == NULL || !write_bios_data(memory, config))
        return VMM_BAD_RANGE;
    return firmware_build(area, config, rsdp);
}
