/* SPDX-License-Identifier: MIT */
/*
 * The small ports of a PC's board: 80h or another (power-on self test code), 92h (fast reset, A20), 402h and
 * E9h (debug console), and isa-debug-exit where the configuration asks for it. Under the machine
 * lock, but for the self test code and the debug console.
 */
#ifndef VMM_DEVICES_BOARD_H
#define VMM_DEVICES_BOARD_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/devices/i8042.h"

struct board {
    struct device device;
    /* State. */
    uint8_t post;       // last code
    uint8_t fast_reset; // bit 0 of port 92h
    /* Wiring. */
    struct bus_range post_range, control_range, debug_range[2], exit_range;
    struct host *host;
    struct i8042 *kbc;
    void (*reset)(void *context);
    void (*debug_exit)(void *context, uint32_t value);
    void *context;
    uint16_t post_port; // of self test codes; 0: 80h
    bool log_post;      // each new code goes to the log
};

/* exit_port 0: none. */
enum vmm_status board_init(struct board *board, struct port_bus *ports, struct host_mutex *lock,
                           struct host *host, uint16_t exit_port) VMM_MUST_CHECK;

#endif
