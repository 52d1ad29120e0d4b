/* SPDX-License-Identifier: MIT */
/* RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET. */
#include "vmm/acpi/tables.h"

#include "lib/align.h"
#include "lib/checksum.h"
#include "lib/string.h"
#include "vmm/acpi/dsdt.h"
#include "vmm/devices/pm.h"

#define TABLES_MAX   4u
#define OEM_REVISION 1u

struct rsdp {
    char     signature[8];
    uint8_t  checksum; // of the first 20 bytes
    char     oem_id[6];
    uint8_t  revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t  extended_checksum;
    uint8_t  reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 5.2.5.3");

struct gas {
    uint8_t  space, bits, offset, access;
    uint64_t address;
} __attribute__((packed));
_Static_assert(sizeof(struct gas) == 12, "ACPI 5.2.3.2");

struct fadt {
    struct acpi_header header;
    uint32_t firmware_ctrl, dsdt;
    uint8_t  reserved0, preferred_profile;
    uint16_t sci_int;
    uint32_t smi_cmd;
    uint8_t  acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
    uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base,
        cst_cnt;
    uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
    uint8_t  duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t  reserved1;
    uint32_t flags;
    struct gas reset_reg;
    uint8_t  reset_value, reserved2[3];
    uint64_t x_firmware_ctrl, x_dsdt;
    struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
} __attribute__((packed));
_Static_assert(sizeof(struct fadt) == 244, "ACPI 4.0, 5.2.9: revision 4");

struct facs {
    char     signature[4];
    uint32_t length, hardware_signature, waking_vector, global_lock, flags;
    uint64_t x_waking_vector;
    uint8_t  version, reserved[31];
} __attribute__((packed));
_Static_assert(sizeof(struct facs) == 64, "ACPI 5.2.10");

struct madt {
    struct acpi_header header;
    uint32_t lapic, flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt) == 44, "ACPI 5.2.12");

struct madt_lapic {
    uint8_t  type, length, uid, id;
    uint32_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_lapic) == 8, "ACPI 5.2.12.2");

struct madt_ioapic {
    uint8_t  type, length, id, reserved;
    uint32_t address, gsi_base;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_ioapic) == 12, "ACPI 5.2.12.3");

struct madt_override {
    uint8_t  type, length, bus, source;
    uint32_t gsi;
    uint16_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_override) == 10, "ACPI 5.2.12.5");

struct madt_nmi {
    uint8_t  type, length, uid;
    uint16_t flags;
    uint8_t  lint;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_nmi) == 6, "ACPI 5.2.12.7");

struct hpet {
    struct acpi_header header;
    uint32_t block_id;
    struct gas base;
    uint8_t  number;
    uint16_t min_tick;
    uint8_t  protection;
} __attribute__((packed));
_Static_assert(sizeof(struct hpet) == 56, "IA-PC HPET 1.0a, 3.2.4");

/* FADT flags and boot architecture. */
#define FADT_WBINVD        (1u << 0)
#define FADT_PROC_C1       (1u << 2)
#define FADT_NO_SLP_BUTTON (1u << 5)
#define FADT_NO_FIXED_RTC  (1u << 6)
#define FADT_TIMER_32      (1u << 8)
#define FADT_RESET         (1u << 10)
#define BOOT_LEGACY        (1u << 0)
#define BOOT_8042          (1u << 1)
#define BOOT_NO_VGA        (1u << 2)
#define NO_C2              101u  // latencies that rule C2 and C3 out
#define NO_C3              1001u
#define RTC_CENTURY        0x32u
#define ACTIVE_HIGH_LEVEL  0x000du
#define HPET_BLOCK_ID      0x8086a201u // vendor, legacy replacement, 64 bits, 3 timers, revision 1
#define HPET_MIN_TICK      500u // 50 us of 10 MHz

struct builder {
    uint8_t *area;
    size_t   room, used;
    const struct firmware_config *config;
    uint32_t tables[TABLES_MAX];
    unsigned count;
};

static void *reserve(struct builder *b, size_t size, size_t align)
{
    size_t at = ALIGN_UP(b->used, align);

    if (!range_fits(at, size, b->room))
        return NULL;
    b->used = at + size;
    return b->area + at;
}

static uint32_t address_of(const struct builder *b, const void *table)
{
    return FIRMWARE_AREA + (uint32_t)((const uint8_t *)table - b->area);
}

static uint8_t checksum_for(const void *data, size_t size)
{
    return (uint8_t)(0 - checksum_bytes(data, size));
}

void tables_header(void *table, const char *signature, uint8_t revision, uint32_t length)
{
    struct acpi_header *h = table;

    memcpy(h->signature, signature, 4);
    h->length = length;
    h->revision = revision;
    h->checksum = 0;
    memcpy(h->oem_id, "VBOX  ", 6);
    memcpy(h->oem_table_id, "VBOX", 4);
    memcpy(h->oem_table_id + 4, signature, 4);
    h->oem_revision = OEM_REVISION;
    memcpy(h->creator_id, "GRFT", 4);
    h->creator_revision = OEM_REVISION;
    h->checksum = checksum_for(table, length);
}

static bool build_dsdt(struct builder *b, uint32_t *address)
{
    uint8_t *table = reserve(b, sizeof(struct acpi_header), 16);
    size_t body;

    if (table == NULL ||
        !dsdt_body(table + sizeof(struct acpi_header), b->room - b->used, b->config, &body))
        return false;
    b->used += body;
    tables_header(table, "DSDT", 2, (uint32_t)(sizeof(struct acpi_header) + body));
    *address = address_of(b, table);
    return true;
}

static bool build_facs(struct builder *b, uint32_t *address)
{
    struct facs *facs = reserve(b, sizeof(*facs), 64);

    if (facs == NULL)
        return false;
    memcpy(facs->signature, "FACS", 4);
    facs->length = sizeof(*facs);
    facs->version = 1;
    *address = address_of(b, facs);
    return true;
}

/* A register block in port space, of `bytes` bytes. */
static struct gas port_block(uint32_t port, uint8_t bytes, uint8_t access)
{
    return (struct gas){ 1, (uint8_t)(bytes * 8), 0, access, port };
}

static void fill_fadt(struct fadt *f, uint32_t dsdt, uint32_t facs)
{
    f->firmware_ctrl = facs;
    f->dsdt = dsdt;
    f->x_firmware_ctrl = facs;
    f->x_dsdt = dsdt;
    f->preferred_profile = 1; // desktop
    f->sci_int = PM_SCI;
    f->smi_cmd = PM_SMI_COMMAND;
    f->acpi_enable = PM_ACPI_ENABLE;
    f->acpi_disable = PM_ACPI_DISABLE;
    f->pm1a_evt = PM1_EVENT;
    f->pm1a_cnt = PM1_CONTROL;
    f->pm_tmr = PM_TIMER;
    f->gpe0 = PM_GPE0;
    f->pm1_evt_len = 4;
    f->pm1_cnt_len = 2;
    f->pm_tmr_len = 4;
    f->gpe0_len = 4;
    f->x_pm1a_evt = port_block(f->pm1a_evt, 4, 2);
    f->x_pm1a_cnt = port_block(f->pm1a_cnt, 2, 2);
    f->x_pm_tmr = port_block(f->pm_tmr, 4, 3);
    f->x_gpe0 = port_block(f->gpe0, 4, 1);
    f->p_lvl2_lat = NO_C2;
    f->p_lvl3_lat = NO_C3;
    f->century = RTC_CENTURY;
    f->boot_arch = BOOT_LEGACY | BOOT_8042 | BOOT_NO_VGA;
    f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLP_BUTTON | FADT_NO_FIXED_RTC | FADT_TIMER_32 |
               FADT_RESET;
    f->reset_reg = port_block(FIRMWARE_RESET_PORT, 1, 1);
    f->reset_value = FIRMWARE_RESET_VALUE;
}

static bool build_fadt(struct builder *b, uint32_t dsdt, uint32_t facs)
{
    struct fadt *fadt = reserve(b, sizeof(*fadt), 16);

    if (fadt == NULL)
        return false;
    fill_fadt(fadt, dsdt, facs);
    tables_header(fadt, "FACP", 4, sizeof(*fadt));
    b->tables[b->count++] = address_of(b, fadt);
    return true;
}

static bool put(struct builder *b, const void *entry, size_t size)
{
    void *at = reserve(b, size, 1);

    if (at != NULL)
        memcpy(at, entry, size);
    return at != NULL;
}

static bool build_madt(struct builder *b)
{
    struct madt *madt = reserve(b, sizeof(*madt), 16);
    const struct madt_ioapic ioapic = { 1, sizeof(ioapic),  (uint8_t)b->config->cpus,
                                        0, FIRMWARE_IOAPIC, 0 };
    const struct madt_override timer = { 2, sizeof(timer), 0, 0, 2, 0 };
    const struct madt_override sci = { 2, sizeof(sci), 0, PM_SCI, PM_SCI, ACTIVE_HIGH_LEVEL };
    const struct madt_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 };
    bool fits = madt != NULL;

    for (unsigned i = 0; fits && i < b->config->cpus; i++) {
        const struct madt_lapic lapic = { 0, sizeof(lapic), (uint8_t)i, (uint8_t)i, 1 };

        fits = put(b, &lapic, sizeof(lapic));
    }
    if (!fits || !put(b, &ioapic, sizeof(ioapic)) || !put(b, &timer, sizeof(timer)) ||
        !put(b, &sci, sizeof(sci)) || !put(b, &nmi, sizeof(nmi)))
        return false;
    madt->lapic = FIRMWARE_LAPIC;
    madt->flags = 1; // a pair of 8259s is there too
    tables_header(madt, "APIC", 3, FIRMWARE_AREA + (uint32_t)b->used - address_of(b, madt));
    b->tables[b->count++] = address_of(b, madt);
    return true;
}

static bool build_hpet(struct builder *b)
{
    struct hpet *hpet;

    if (!b->config->hpet)
        return true;
    hpet = reserve(b, sizeof(*hpet), 16);
    if (hpet == NULL)
        return false;
    hpet->block_id = HPET_BLOCK_ID;
    hpet->base = (struct gas){ 0, 64, 0, 0, FIRMWARE_HPET };
    hpet->min_tick = HPET_MIN_TICK;
    tables_header(hpet, "HPET", 1, sizeof(*hpet));
    b->tables[b->count++] = address_of(b, hpet);
    return true;
}

/* RSDT or XSDT, by the width of an entry. */
static bool build_root(struct builder *b, const char *signature, size_t width, uint32_t *address)
{
    size_t size = sizeof(struct acpi_header) + b->count * width;
    uint8_t *table = reserve(b, size, 16);

    if (table == NULL)
        return false;
    for (unsigned i = 0; i < b->count; i++)
        memcpy(table + sizeof(struct acpi_header) + i * width, &b->tables[i], 4);
    tables_header(table, signature, 1, (uint32_t)size);
    *address = address_of(b, table);
    return true;
}

bool tables_build(uint8_t *area, size_t room, const struct firmware_config *config, uint64_t *rsdp)
{
    struct builder b = { .area = area, .room = room, .config = config };
    uint32_t dsdt, facs, rsdt, xsdt;
    struct rsdp root = { .revision = 2, .length = sizeof(root) };

    if (!build_dsdt(&b, &dsdt) || !build_facs(&b, &facs) || !build_fadt(&b, dsdt, facs) ||
        !build_madt(&b) || !build_hpet(&b) || !build_root(&b, "RSDT", 4, &rsdt) ||
        !build_root(&b, "XSDT", 8, &xsdt))
        return false;
    memcpy(root.signature, "RSD PTR ", 8);
    memcpy(root.oem_id, "VBOX  ", 6);
    root.rsdt = rsdt;
    root.xsdt = xsdt;
    root.checksum = checksum_for(&root, 20);
    root.extended_checksum = checksum_for(&root, sizeof(root));
    memcpy(area + (FIRMWARE_UPPER - FIRMWARE_AREA), &root, sizeof(root));
    *rsdp = FIRMWARE_UPPER;
    return true;
}
