/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware (ACPI 6.4, 4.8): PM1 event and control blocks, PM timer, SMI command port,
 * general-purpose event block 0, as the PIIX4 has them at PM_BASE. Under the machine lock, but
 * for the timer. The system control interrupt is level-triggered.
 */
#ifndef VMM_DEVICES_PM_H
#define VMM_DEVICES_PM_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define PM_BASE         0x4000u
#define PM1_EVENT       (PM_BASE + 0x00) // status, enable: 2 + 2 bytes
#define PM1_CONTROL     (PM_BASE + 0x04)
#define PM_TIMER        (PM_BASE + 0x08) // 32 bits wide
#define PM_GPE0         (PM_BASE + 0x0c) // status, enable: 2 + 2 bytes
#define PM_SIZE         0x10u
#define PM_TIMER_HZ     3579545u
#define PM_SCI          9u
#define PM_SMI_COMMAND  0xb2u
#define PM_ACPI_ENABLE  0xa1u
#define PM_ACPI_DISABLE 0xa0u
#define PM_SLEEP_S5     5u               // SLP_TYP that powers off

struct pm {
    struct device device;
    /* State. */
    uint16_t status, enable, control;
    uint16_t gpe_status, gpe_enable;
    uint8_t  apm_command, apm_status;
    uint64_t wraps;           // half-periods of the timer whose status has been set
    /* Wiring. */
    struct bus_range range, timer_range, gpe_range, apm_range;
    struct clock *clock;
    struct clock_timer overflow;
    struct irq_line sci;
    void (*power_off)(void *context);
    void *context;
};

enum vmm_status pm_init(struct pm *pm, struct port_bus *ports, struct host_mutex *lock,
                        struct clock *clock, struct irq_hub *hub, void (*power_off)(void *context),
                        void *context) VMM_MUST_CHECK;
/* The power button is pressed; false if the guest does not listen. With the lock held. */
bool pm_power_button(struct pm *pm);

#endif
