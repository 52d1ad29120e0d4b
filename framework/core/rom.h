/* SPDX-License-Identifier: MIT */
/*
 * Boot modules as dataspaces. A module's name is the first word of its boot string, without a directory in front.
 */
#ifndef FRAMEWORK_CORE_ROM_H
#define FRAMEWORK_CORE_ROM_H

#include "framework/core/state.h"

/* Makes a dataspace of each module. */
enum status rom_init(struct core *core) MUST_CHECK;

struct dataspace *rom_find(struct core *core, const char *name);

/* The whole boot string of a module (the root program's own is the first), or "". */
const char *rom_string(const struct core *core, unsigned module);

#endif
