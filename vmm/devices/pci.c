/* SPDX-License-Identifier: MIT */
/* PCI configuration mechanism 1 and the bridges of a 440FX PC. */
#include "vmm/devices/pci.h"

#include "lib/string.h"
#include "vmm/devices/pm.h"

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu

struct pci_identity {
    uint8_t  devfn;
    uint16_t vendor, device;
    uint16_t command, command_mask, status;
    uint8_t  revision;
    uint16_t class;
    uint8_t  header;
};

/* Identification and what the data sheets give as reset values (82441FX; 82371SB; 82371AB). */
static const struct pci_identity identities[PCI_FUNCTIONS] = {
    {0x00, 0x8086, 0x1237, 0x0006, 0x0102, 0x2280, 0x02, 0x0600, 0x00},
    {0x08, 0x8086, 0x7000, 0x0007, 0x0008, 0x0200, 0x00, 0x0601, 0x80},
    {0x38, 0x8086, 0x7113, 0x0000, 0x0001, 0x0280, 0x08, 0x0680, 0x00},
};

static const struct device_field function_fields[] = {
    DEVICE_ARRAY(struct pci_function, config, 256, 0),
};

static void function_reset(void *device)
{
    struct pci_function *function = device;

    memcpy(function->config, function->initial, sizeof(function->config));
}

static const struct device_class function_class = {
    .name = "pci-function", .version = 1, DEVICE_TABLE(function_fields), .reset = function_reset,
};

static const struct device_field fields[] = {
    DEVICE_FIELD(struct pci, address, 0), DEVICE_FIELD(struct pci, reset_value, 0),
};

static const struct device_class pci_class = {
    .name = "pci", .version = 1, DEVICE_TABLE(fields),
};

static void set(uint8_t *space, unsigned offset, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        space[offset + i] = (uint8_t)(value >> (8 * i));
}

#define APMC_ENABLED (1u << 25) // PIIX4 (82371AB), DEVACTB

static void identify(struct pci_function *function, const struct pci_identity *identity)
{
    uint8_t *config = function->initial;

    function->device.class = &function_class;
    function->devfn = identity->devfn;
    function->device.instance = identity->devfn;
    set(config, 0x00, identity->vendor, 2);
    set(config, 0x02, identity->device, 2);
    set(config, 0x04, identity->command, 2);
    set(config, 0x06, identity->status, 2);
    set(config, 0x08, identity->revision, 1);
    set(config, 0x0a, identity->class, 2);
    set(config, 0x0e, identity->header, 1);
    set(function->writable, 0x04, identity->command_mask, 2);
}

static void describe(struct pci *pci)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        identify(&pci->function[i], &identities[i]);
    /* 440FX: attributes of the BIOS area (PAM), all RAM here. */
    memset(&pci->function[0].writable[0x59], 0x77, 7);
    memset(&pci->function[0].initial[0x59], 0x33, 7);
    /* PIIX3: routing of PIRQA to D; 0x80 is "not routed". */
    memset(&pci->function[1].writable[0x60], 0x8f, 4);
    memset(&pci->function[1].initial[0x60], 0x80, 4);
    /*
     * PIIX4: interrupt pin A on the SCI, PM base and its enable bit. Device activity B says that SMIs are
     * in use already: there is no system management mode, and firmware must not wait for one.
     */
    set(pci->function[2].initial, 0x3c, PM_SCI | 0x0100, 2);
    set(pci->function[2].initial, 0x40, PM_BASE | 1, 4);
    set(pci->function[2].initial, 0x58, APMC_ENABLED, 4);
    set(pci->function[2].initial, 0x80, 1, 1);
    set(pci->function[2].writable, 0x3c, 0xff, 1);
}

void pci_begin_with_rom(struct pci *pci)
{
    memset(&pci->function[0].initial[0x59], 0, 7);
    memset(&pci->function[0].config[0x59], 0, 7);
}

static struct pci_function *addressed(struct pci *pci)
{
    if (!(pci->address & ADDRESS_ENABLE) || ((pci->address >> 16) & 0xff) != 0)
        return NULL;
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        if (pci->function[i].devfn == ((pci->address >> 8) & 0xff))
            return &pci->function[i];
    return NULL;
}

static uint64_t read_data(struct pci *pci, unsigned byte, unsigned size)
{
    const struct pci_function *function = addressed(pci);
    unsigned offset = (pci->address & 0xfc) + byte;
    uint64_t value = 0;

    if (!function)
        return UINT64_MAX;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)function->config[offset + i] << (8 * i);
    return value;
}

static void write_data(struct pci *pci, unsigned byte, unsigned size, uint64_t value)
{
    struct pci_function *function = addressed(pci);
    unsigned offset = (pci->address & 0xfc) + byte;

    for (unsigned i = 0; function && i < size; i++) {
        uint8_t mask = function->writable[offset + i];
        uint8_t old = function->config[offset + i];

        function->config[offset + i] = (uint8_t)((old & ~mask) | ((value >> (8 * i)) & mask));
    }
}

/*
 * CONFIG_ADDRESS is only reached by 32-bit accesses; byte 1 of it is the PIIX's reset control
 * register.
 */
static uint64_t pci_read(void *device, uint64_t offset, unsigned size)
{
    struct pci *pci = device;

    if (offset >= 4)
        return read_data(pci, (unsigned)offset - 4, size);
    if (offset == 0 && size == 4)
        return pci->address;
    return offset == 1 && size == 1 ? pci->reset_value : UINT64_MAX;
}

static void pci_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci *pci = device;

    if (offset >= 4) {
        write_data(pci, (unsigned)offset - 4, size, value);
    } else if (offset == 0 && size == 4) {
        pci->address = (uint32_t)value & ADDRESS_BITS;
    } else if (offset == 1 && size == 1) {
        bool rises = (value & 4) && !(pci->reset_value & 4);

        pci->reset_value = value & 0x06;
        if (rises)
            pci->reset_control(pci->context, (uint8_t)value);
    }
}

enum vmm_status pci_init(struct pci *pci, struct port_bus *ports, struct host_mutex *lock,
                         void (*reset_control)(void *context, uint8_t value), void *context)
{
    pci->device.class = &pci_class;
    pci->reset_control = reset_control;
    pci->context = context;
    describe(pci);
    device_reset(&pci->device);
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
        device_reset(&pci->function[i].device);
    pci->range = (struct bus_range){"pci", 0xcf8, 8, 4, lock, pci_read, pci_write, pci};
    return port_bus_add(ports, &pci->range);
}
