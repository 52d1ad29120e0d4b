/* SPDX-License-Identifier: MIT */
/*
 * The ROM session: a boot module, or the component's own configuration ("config"), as read-only memory. Service name "ROM", the label is the
 * module. Answer: word 0 the size in bytes; capability: the dataspace {R, for modules X too}.
 */
#ifndef FRAMEWORK_SESSION_ROM_H
#define FRAMEWORK_SESSION_ROM_H

#include "framework/memory.h"
#include "framework/parent.h"

struct rom {
    struct session session;
    struct mapping  memory; // address; whole pages, what is beyond `size` is zero
    uint64_t       size;
};

enum status rom_open(struct rom *rom, const char *label) MUST_CHECK;
void rom_close(struct rom *rom);

#endif
