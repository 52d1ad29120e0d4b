/* SPDX-License-Identifier: MIT */
/*
 * What all devices have in common: a class, and state declared as a versioned table of fields.
 *
 * A device structure begins with struct device. Its class lists every field that belongs to the
 * machine's state (not wiring: pointers, lines, ranges, timers). Reset sets each field to its
 * reset value and calls the class; save, load and dump go over the same table. After load the
 * class's `loaded` checks what hardware could not hold, and arms timers anew.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_field {
    const char *name;
    uint32_t offset;   // in the device structure
    uint8_t  size;     // of an element: 1, 2, 4 or 8
    uint16_t count;    // elements
    uint64_t reset;    // of each element
    bool     keep;     // reset leaves it alone (battery-backed memory)
};

/* A field of struct type: FIELD(struct rtc, index, 0) or an array. */
#define DEVICE_FIELD(type, member, value) \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1, value, false }
#define DEVICE_ARRAY(type, member, n, value) \
    { #member, offsetof(type, member), sizeof(((type *)0)->member) / (n), n, value, false }
#define DEVICE_KEPT(type, member, n) \
    { #member, offsetof(type, member), sizeof(((type *)0)->member) / (n), n, 0, true }

/* Both members of a class that name its table. */
#define DEVICE_TABLE(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

struct device_class {
    const char *name;
    uint32_t version;
    const struct device_field *fields;
    size_t field_count;
    void (*reset)(void *device);              // after the fields; may be NULL
    enum vmm_status (*loaded)(void *device);  // after load; may be NULL
};

struct device {
    const struct device_class *class;
    struct device *next;   // in the machine
    uint8_t instance;      // tells devices of one class apart
};

void device_reset(struct device *device);

/* Bytes that save() needs; save() returns the bytes written or 0 if they do not fit. */
size_t device_state_size(const struct device *device);
size_t device_save(const struct device *device, uint8_t *to, size_t room);
/*
 * Reads what save() wrote; *used = bytes taken. The device is unchanged unless VMM_OK or the
 * class refuses.
 */
enum vmm_status device_load(struct device *device, const uint8_t *from, size_t size,
                            size_t *used) VMM_MUST_CHECK;

/* One line a field: name and values, for a person. */
void device_dump(const struct device *device, void (*line)(void *context, const char *text),
                 void *context);

#endif
