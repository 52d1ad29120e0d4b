/* SPDX-License-Identifier: MIT */
/* The DSDT. */
#include "vmm/acpi/dsdt.h"

#include "vmm/acpi/aml.h"
#include "vmm/devices/pm.h"
#include "vmm/devices/pvpanic.h"

#define PCI_SLOTS 31u // 1 to 31; slot 0 is the host bridge, which interrupts nobody
#define PCI_PINS  4u

struct isa_device {
    const char *name, *id;
    uint16_t port[2], length[2]; // length 0: none
    uint16_t irq_mask;
};

static const struct isa_device isa_devices[] = {
    /* name    id         ports             lengths       interrupts */
    { "PIC_", "PNP0000", { 0x20, 0xa0 },   { 2, 2 },     1 << 2 },
    { "TIMR", "PNP0100", { 0x40, 0 },      { 4, 0 },     1 << 0 },
    { "SPKR", "PNP0800", { 0x61, 0 },      { 1, 0 },     0 },
    { "RTC_", "PNP0B00", { 0x70, 0 },      { 2, 0 },     1 << 8 },
    { "PS2K", "PNP0303", { 0x60, 0x64 },   { 1, 1 },     1 << 1 },
    { "PS2M", "PNP0F13", { 0, 0 },         { 0, 0 },     1 << 12 },
    { "FPU_", "PNP0C04", { 0xf0, 0 },      { 16, 0 },    1 << 13 },
    { "PEVT", "QEMU0001", { PVPANIC_PORT, 0 }, { 1, 0 }, 0 },
};

static void add_s5(struct aml *a)
{
    aml_name(a, "\\_S5");
    aml_package(a, 4);
    aml_integer(a, PM_SLEEP_S5); // PM1a SLP_TYP
    aml_integer(a, 0);                // there is no PM1b
    aml_integer(a, 0);
    aml_integer(a, 0);
    aml_close(a);
}

/* _PIC tells which interrupt controller the system uses; _PRT answers for that. */
static void add_pic_method(struct aml *a)
{
    aml_name_integer(a, "\\PICM", 0);
    aml_method(a, "\\_PIC", 1, false);
    aml_op(a, AML_OP_STORE);
    aml_op(a, AML_OP_ARG0);
    aml_path(a, "PICM");
    aml_close(a);
}

static void add_processors(struct aml *a, unsigned cpus)
{
    static const char digit[] = "0123456789ABCDEF";

    for (unsigned i = 0; i < cpus; i++) {
        char name[5] = { 'C', 'P', digit[i >> 4], digit[i & 0xf], '\0' };

        aml_device(a, name);
        aml_name(a, "_HID");
        aml_string(a, "ACPI0007");
        aml_name_integer(a, "_UID", i);
        aml_close(a);
    }
}

static void add_windows(struct aml *a, const struct firmware_config *config)
{
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_bus(a, 0, 0xff);
    aml_res_io(a, 0xcf8, 0xcf8, 1, 8);
    aml_res_io_window(a, 0, 0xcf7);
    aml_res_io_window(a, 0xd00, 0xffff);
    aml_res_memory_window(a, 0xa0000, 0xbffff);
    aml_res_memory_window(a, (uint32_t)config->low_end, FIRMWARE_PCI_HOLE_END);
    aml_close(a);
}

static void add_routes(struct aml *a, const char *name,
                       uint8_t (*route)(unsigned slot, unsigned pin))
{
    aml_name(a, name);
    aml_package(a, PCI_SLOTS * PCI_PINS);
    for (unsigned slot = 1; slot <= PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            aml_package(a, 4);
            aml_integer(a, slot << 16 | 0xffff);
            aml_integer(a, pin);
            aml_integer(a, 0); // no link device: the index is the interrupt
            aml_integer(a, route(slot, pin));
            aml_close(a);
        }
    aml_close(a);
}

static void add_routing(struct aml *a)
{
    add_routes(a, "PRTA", firmware_pci_gsi);
    add_routes(a, "PRTP", firmware_pci_irq);
    aml_method(a, "_PRT", 0, false);
    aml_if(a);
    aml_path(a, "PICM");
    aml_op(a, AML_OP_RETURN);
    aml_path(a, "PRTA");
    aml_close(a);
    aml_op(a, AML_OP_RETURN);
    aml_path(a, "PRTP");
    aml_close(a);
}

static void add_isa_device(struct aml *a, const struct isa_device *d)
{
    aml_device(a, d->name);
    if (d->id[7] == '\0') {
        aml_name_eisaid(a, "_HID", d->id);
    } else { // an id of eight characters has no compressed form (ACPI 6.4, 6.1.5)
        aml_name(a, "_HID");
        aml_string(a, d->id);
    }
    aml_name(a, "_CRS");
    aml_resources(a);
    for (unsigned i = 0; i < 2; i++)
        if (d->length[i] != 0)
            aml_res_io(a, d->port[i], d->port[i], 1, (uint8_t)d->length[i]);
    if (d->irq_mask != 0)
        aml_res_irq(a, d->irq_mask);
    aml_close(a);
    aml_close(a);
}

static void add_serial(struct aml *a, const char *name, unsigned number, uint16_t port,
                       uint16_t irq)
{
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", "PNP0501");
    aml_name_integer(a, "_UID", number);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, port, port, 1, 8);
    aml_res_irq(a, (uint16_t)(1u << irq));
    aml_close(a);
    aml_close(a);
}

static void add_hpet(struct aml *a)
{
    aml_device(a, "HPET");
    aml_name_eisaid(a, "_HID", "PNP0103");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_memory32(a, true, FIRMWARE_HPET, 0x400);
    aml_close(a);
    aml_close(a);
}

/* Ports and memory of the board that belong to no other device. */
static void add_board(struct aml *a)
{
    aml_device(a, "SYSR");
    aml_name_eisaid(a, "_HID", "PNP0C02");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x80, 0x80, 1, 1);
    aml_res_io(a, 0x92, 0x92, 1, 1);
    aml_res_io(a, PM_SMI_COMMAND, PM_SMI_COMMAND, 1, 2);
    aml_res_io(a, 0x4d0, 0x4d0, 1, 2);
    aml_res_io(a, PM_BASE, PM_BASE, 1, PM_SIZE);
    aml_res_memory32(a, true, FIRMWARE_IOAPIC, 0x1000);
    aml_res_memory32(a, true, FIRMWARE_LAPIC, 0x1000);
    aml_close(a);
    aml_close(a);
}

static void add_isa(struct aml *a, const struct firmware_config *config)
{
    aml_device(a, "ISA");
    aml_name_integer(a, "_ADR", 0x00010000);
    for (unsigned i = 0; i < sizeof(isa_devices) / sizeof(isa_devices[0]); i++)
        add_isa_device(a, &isa_devices[i]);
    add_serial(a, "COM1", 1, 0x3f8, 4);
    if (config->com2)
        add_serial(a, "COM2", 2, 0x2f8, 3);
    add_board(a);
    aml_close(a);
}

bool dsdt_body(uint8_t *buffer, size_t room, const struct firmware_config *config, size_t *size)
{
    struct aml a;

    aml_init(&a, buffer, room);
    add_s5(&a);
    add_pic_method(&a);
    aml_scope(&a, "\\_SB");
    add_processors(&a, config->cpus);
    aml_device(&a, "PCI0");
    aml_name_eisaid(&a, "_HID", "PNP0A03");
    aml_name_integer(&a, "_UID", 0);
    aml_name_integer(&a, "_BBN", 0);
    add_windows(&a, config);
    add_routing(&a);
    add_isa(&a, config);
    aml_close(&a);
    if (config->hpet)
        add_hpet(&a);
    aml_close(&a);
    *size = a.len;
    return aml_finish(&a);
}
