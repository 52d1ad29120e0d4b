/* SPDX-License-Identifier: MIT */
/*
 * The 8042 keyboard controller with a keyboard and a PS/2 mouse attached (IBM PS/2 Technical
 * Reference, keyboard and auxiliary device controller). Under the machine lock.
 *
 * Keyboard and mouse answer their commands; nobody types yet. The A20 gate, open at power-on, is a
 * bit of the output port, which port 92h has as well; the machine is told when it changes.
 */
#ifndef VMM_DEVICES_I8042_H
#define VMM_DEVICES_I8042_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define I8042_QUEUE 16u

/* Bytes on their way from a keyboard or a mouse. */
struct i8042_port {
    uint8_t queue[I8042_QUEUE];
    uint8_t first, count;
    uint8_t last;      // for "resend"
    uint8_t argument;  // command whose argument comes next, or 0
    uint8_t enabled;   // scanning or data reporting
    uint8_t rate, resolution, scaling, scan_set, leds;
};

struct i8042 {
    struct device device;
    /* State. */
    uint8_t config;           // command byte
    uint8_t status;
    uint8_t output;           // data in the output buffer
    uint8_t output_port;
    uint8_t expects;          // controller command whose data comes next, or 0
    uint8_t ram[32];
    struct i8042_port port[2]; // keyboard, mouse
    /* Wiring. */
    struct bus_range data_range, command_range;
    struct irq_line irq[2];
    void (*reset)(void *context);
    void (*gate)(void *context, bool open); // A20 has changed; NULL: nobody asks
    void *context;
};

enum vmm_status i8042_init(struct i8042 *kbc, struct port_bus *ports, struct host_mutex *lock,
                           struct irq_hub *hub, void (*reset)(void *context),
                           void *context) VMM_MUST_CHECK;
/* The A20 gate as port 92h sees it. */
void i8042_set_a20(struct i8042 *kbc, bool on);
bool i8042_a20(const struct i8042 *kbc);

#endif
