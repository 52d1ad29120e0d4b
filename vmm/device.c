/* SPDX-License-Identifier: MIT */
/* Reset, save, load and dump of devices, all over their field tables. */
#include "vmm/device.h"

#include "lib/format.h"
#include "lib/string.h"

/*
 * Saved form, little endian: total size (4), version (4), instance (1), length of the class name
 * (1), name, then each field's elements in the order of the table.
 */
#define HEADER 10u

static uint8_t *element(const struct device *device, const struct device_field *field, unsigned i)
{
    return (uint8_t *)(uintptr_t)device + field->offset + (size_t)i * field->size;
}

static void put(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void device_reset(struct device *device)
{
    const struct device_class *class = device->class;

    for (size_t f = 0; f < class->field_count; f++) {
        const struct device_field *field = &class->fields[f];

        for (unsigned i = 0; i < field->count && !field->keep; i++)
            put(element(device, field, i), field->reset, field->size);
    }
    if (class->reset)
        class->reset(device);
}

static size_t fields_size(const struct device_class *class)
{
    size_t size = 0;

    for (size_t f = 0; f < class->field_count; f++)
        size += (size_t)class->fields[f].size * class->fields[f].count;
    return size;
}

size_t device_state_size(const struct device *device)
{
    return HEADER + strlen(device->class->name) + fields_size(device->class);
}

/* Elements lie in memory as in the saved form: x86-64 is little endian on every host. */
size_t device_save(const struct device *device, uint8_t *to, size_t room)
{
    const struct device_class *class = device->class;
    const size_t name = strlen(class->name);
    const size_t size = device_state_size(device);

    if (room < size)
        return 0;
    put(to, size, 4);
    put(to + 4, class->version, 4);
    to[8] = device->instance;
    to[9] = (uint8_t)name;
    memcpy(to + HEADER, class->name, name);
    to += HEADER + name;
    for (size_t f = 0; f < class->field_count; f++) {
        const size_t bytes = (size_t)class->fields[f].size * class->fields[f].count;

        memcpy(to, element(device, &class->fields[f], 0), bytes);
        to += bytes;
    }
    return size;
}

enum vmm_status device_load(struct device *device, const uint8_t *from, size_t size, size_t *used)
{
    const struct device_class *class = device->class;
    const size_t name = strlen(class->name);
    const size_t need = device_state_size(device);

    if (size < need || get(from, 4) != need || get(from + 4, 4) != class->version ||
        from[8] != device->instance || from[9] != name ||
        memcmp(from + HEADER, class->name, name) != 0)
        return VMM_BAD_IMAGE;
    from += HEADER + name;
    for (size_t f = 0; f < class->field_count; f++) {
        const size_t bytes = (size_t)class->fields[f].size * class->fields[f].count;

        memcpy(element(device, &class->fields[f], 0), from, bytes);
        from += bytes;
    }
    *used = need;
    return class->loaded ? class->loaded(device) : VMM_OK;
}

void device_dump(const struct device *device, void (*line)(void *context, const char *text),
                 void *context)
{
    const struct device_class *class = device->class;
    char text[128];

    for (size_t f = 0; f < class->field_count; f++) {
        const struct device_field *field = &class->fields[f];
        size_t at = format_string(text, sizeof(text), "%s%u.%s =", class->name,
                                  (unsigned)device->instance, field->name);

        for (unsigned i = 0; i < field->count; i++) {
            if (at > sizeof(text) - 20) {
                line(context, text);
                at = format_string(text, sizeof(text), "   ");
            }
            at += format_string(text + at, sizeof(text) - at, " %lx",
                                get(element(device, field, i), field->size));
        }
        line(context, text);
    }
}
