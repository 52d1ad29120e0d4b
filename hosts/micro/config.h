/* SPDX-License-Identifier: MIT */
/*
 * A VM process's configuration: the ROM "config", one XML element.
 *
 *   <config memory="512M" cpus="2" kernel="bzImage" initrd="initrd" cmdline="console=ttyS0" hpet="no" on-reset="restart|end"
 *           debug-exit="0xf4" watchdog="0" fault="none|write|code|scribble|state" fault-after="10000"/>
 *
 * memory, kernel: required. kernel and initrd name ROMs. watchdog and fault-after are milliseconds. `fault` makes the VM process itself
 * misbehave, for tests of what it can do to others: a write to unmapped memory, to its own code, or at random over its heap; or, with
 * state, a guest state that the processor refuses.
 */
#ifndef HOSTS_MICRO_CONFIG_H
#define HOSTS_MICRO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME 64u
#define CONFIG_LINE 2048u

enum config_fault { FAULT_NONE, FAULT_WRITE, FAULT_CODE, FAULT_SCRIBBLE, FAULT_STATE };

struct config {
    uint64_t memory;
    uint32_t vcpus;
    bool     hpet, end_on_reset;
    uint16_t debug_exit;
    uint32_t watchdog_ms;
    enum config_fault fault;
    uint32_t fault_after_ms;
    char     kernel[CONFIG_NAME], initrd[CONFIG_NAME]; // initrd empty: none
    char     command_line[CONFIG_LINE];
    char     error[160];
};

/* False: error says what is wrong and where. */
bool config_read(struct config *config, const char *text, size_t size);

#endif
