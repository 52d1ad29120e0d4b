/* SPDX-License-Identifier: MIT */
/* A component's own: its information page, its main function, a line for the log. */
#ifndef FRAMEWORK_COMPONENT_H
#define FRAMEWORK_COMPONENT_H

#include "framework/layout.h"

#include <stdint.h>

/* Written by each component; what it returns is its exit code. */
int main(void);

static inline const struct component_info *component_info(void)
{
    return (const struct component_info *)ABI_INFO_ADDRESS;
}

/* A line for the system log, without line end; cut at 240 bytes. */
__attribute__((format(printf, 1, 2)))
void log_print(const char *format, ...);

#endif
