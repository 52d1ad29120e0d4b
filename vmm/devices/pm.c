/* SPDX-License-Identifier: MIT */
/* ACPI power management: events, control and timer. */
#include "vmm/devices/pm.h"

#define PM1_TMR    0x0001u
#define PM1_PWRBTN 0x0100u
#define PM1_STATUS_BITS 0x8731u  // TMR, BM, GBL, PWRBTN, SLPBTN, RTC, WAK
#define PM1_ENABLE_BITS 0x0721u
#define CNT_SCI_EN  0x0001u
#define CNT_WRITABLE 0x1c03u     // SCI_EN, BM_RLD, SLP_TYP
#define CNT_SLP_EN  0x2000u
#define TIMER_HALF  0x80000000ull // bit 31 changes: TMR_STS

#define FIELD(member) DEVICE_FIELD(struct pm, member, 0)
static const struct device_field fields[] = {
    FIELD(status), FIELD(enable), FIELD(control), FIELD(gpe_status), FIELD(gpe_enable),
    FIELD(apm_command), FIELD(apm_status), FIELD(wraps),
};

static uint64_t timer(const struct pm *pm)
{
    return clock_to_count(pm->clock, clock_now(pm->clock), PM_TIMER_HZ);
}

/*
 * Sets TMR_STS for half-periods that have passed, and the interrupt; arms the timer if the guest
 * waits for it.
 */
static void update(struct pm *pm)
{
    uint64_t halves = timer(pm) / TIMER_HALF;
    uint64_t deadline = CLOCK_NEVER;

    if (halves != pm->wraps) {
        pm->wraps = halves;
        pm->status |= PM1_TMR;
    }
    if ((pm->enable & PM1_TMR) && !(pm->status & PM1_TMR))
        deadline = clock_from_count(pm->clock, (halves + 1) * TIMER_HALF, PM_TIMER_HZ);
    if (deadline != clock_timer_deadline(pm->clock, &pm->overflow))
        clock_timer_set(pm->clock, &pm->overflow, deadline);
    irq_set(&pm->sci, (pm->control & CNT_SCI_EN) && ((pm->status & pm->enable & PM1_ENABLE_BITS) ||
                                                     (pm->gpe_status & pm->gpe_enable)));
}

static void overflow(void *device)
{
    update(device);
}

bool pm_power_button(struct pm *pm)
{
    bool listens = (pm->control & CNT_SCI_EN) && (pm->enable & PM1_PWRBTN);

    pm->status |= PM1_PWRBTN;
    update(pm);
    return listens;
}

static uint16_t *pm1_register(struct pm *pm, uint64_t offset)
{
    return offset < 2 ? &pm->status : offset < 4 ? &pm->enable : &pm->control;
}

static uint64_t pm1_read_byte(struct pm *pm, uint64_t offset)
{
    return offset < 6 ? (*pm1_register(pm, offset) >> (8 * (offset & 1))) & 0xff : 0;
}

static uint64_t pm1_read(void *device, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    update(device);
    for (unsigned i = 0; i < size; i++)
        value |= pm1_read_byte(device, offset + i) << (8 * i);
    return value;
}

static void write_control(struct pm *pm, uint16_t value, uint16_t mask)
{
    pm->control = (pm->control & (uint16_t)~(mask & CNT_WRITABLE)) | (value & mask & CNT_WRITABLE);
    if ((value & mask & CNT_SLP_EN) && ((pm->control >> 10) & 7) == PM_SLEEP_S5)
        pm->power_off(pm->context);
}

/* Bytes of one register come together, so that a 16-bit write of type and SLP_EN acts once. */
static void pm1_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pm *pm = device;

    for (unsigned done = 0; done < size;) {
        unsigned shift = (unsigned)(offset & 1) * 8;
        unsigned bytes = shift || size - done == 1 ? 1 : 2;
        uint16_t mask = (uint16_t)((bytes == 2 ? 0xffffu : 0xffu) << shift);
        uint16_t word = (uint16_t)((value >> (8 * done)) << shift) & mask;

        if (offset < 2)
            pm->status &= (uint16_t)~(word & PM1_STATUS_BITS); // write 1 to clear
        else if (offset < 4)
            pm->enable = (pm->enable & (uint16_t)~mask) | (word & PM1_ENABLE_BITS);
        else if (offset < 6)
            write_control(pm, word, mask);
        done += bytes;
        offset += bytes;
    }
    update(pm);
}

static uint64_t timer_read(void *device, uint64_t offset, unsigned size)
{
    (void)size;
    return (timer(device) & 0xffffffff) >> (8 * offset);
}

static uint64_t gpe_read(void *device, uint64_t offset, unsigned size)
{
    const struct pm *pm = device;
    uint32_t both = pm->gpe_status | (uint32_t)pm->gpe_enable << 16;

    (void)size;
    return both >> (8 * offset);
}

static void gpe_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pm *pm = device;
    uint32_t mask = (uint32_t)(((1ull << (8 * size)) - 1) << (8 * offset));
    uint32_t bits = (uint32_t)(value << (8 * offset));
    uint16_t enable_mask = (uint16_t)(mask >> 16);

    pm->gpe_status &= (uint16_t)~(bits & mask);
    pm->gpe_enable = (pm->gpe_enable & (uint16_t)~enable_mask) | ((bits >> 16) & enable_mask);
    update(pm);
}

/*
 * What a BIOS does in system management mode when the guest takes ACPI over (ACPI 6.4, 5.2.9:
 * SMI_CMD).
 */
static void apm_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pm *pm = device;

    (void)size;
    if (offset == 1) {
        pm->apm_status = (uint8_t)value;
        return;
    }
    pm->apm_command = (uint8_t)value;
    if (value == PM_ACPI_ENABLE)
        pm->control |= CNT_SCI_EN;
    else if (value == PM_ACPI_DISABLE)
        pm->control &= (uint16_t)~CNT_SCI_EN;
    update(pm);
}

static uint64_t apm_read(void *device, uint64_t offset, unsigned size)
{
    const struct pm *pm = device;

    (void)size;
    return offset ? pm->apm_status : pm->apm_command;
}

static void reset(void *device)
{
    struct pm *pm = device;

    pm->wraps = timer(pm) / TIMER_HALF;
    update(pm);
}

static enum vmm_status loaded(void *device)
{
    update(device);
    return VMM_OK;
}

static const struct device_class pm_class = {
    .name = "pm", .version = 1, DEVICE_TABLE(fields), .reset = reset, .loaded = loaded,
};

enum vmm_status pm_init(struct pm *pm, struct port_bus *ports, struct host_mutex *lock,
                        struct clock *clock, struct irq_hub *hub, void (*power_off)(void *context),
                        void *context)
{
    struct bus_range *ranges[] = {&pm->range, &pm->timer_range, &pm->gpe_range, &pm->apm_range};
    enum vmm_status status = VMM_OK;

    pm->device.class = &pm_class;
    pm->clock = clock;
    pm->power_off = power_off;
    pm->context = context;
    clock_timer_init(&pm->overflow, lock, overflow, pm);
    if (!irq_connect(hub, &pm->sci, PM_SCI))
        return VMM_NO_MEMORY;
    device_reset(&pm->device);
    pm->range = (struct bus_range){"pm1", PM_BASE, 8, 4, lock, pm1_read, pm1_write, pm};
    pm->timer_range = (struct bus_range){"pm timer", PM_TIMER, 4, 4, NULL, timer_read, NULL, pm};
    pm->gpe_range = (struct bus_range){"gpe0", PM_GPE0, 4, 4, lock, gpe_read, gpe_write, pm};
    pm->apm_range = (struct bus_range){"apm", PM_SMI_COMMAND, 2, 1, lock, apm_read, apm_write, pm};
    for (unsigned i = 0; i < 4 && status == VMM_OK; i++)
        status = port_bus_add(ports, ranges[i]);
    return status;
}
