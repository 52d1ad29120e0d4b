/* SPDX-License-Identifier: MIT */
/*
 * Ports, device memory and interrupts, each given to one PD at a time. Under core's lock.
 */
#ifndef FRAMEWORK_CORE_DEVICE_H
#define FRAMEWORK_CORE_DEVICE_H

#include "framework/core/state.h"

/* A boot module or RAM is never device memory. */
enum status device_memory(struct core *core, struct pd *pd, uint64_t physical, uint64_t size, uint64_t cache, uint32_t *dataspace,
                          uint64_t *offset) MUST_CHECK;

enum status device_ports(struct core *core, struct pd *pd, uint64_t first, uint64_t count) MUST_CHECK;
enum status device_ports_free(struct core *core, struct pd *pd, uint64_t first, uint64_t count) MUST_CHECK;

/* *selector: the interrupt semaphore in core's object space. */
enum status device_irq(struct core *core, struct pd *pd, uint64_t source, uint64_t flags, uint64_t cpu, struct core_irq *irq,
                       uint32_t *selector) MUST_CHECK;
enum status device_irq_free(struct core *core, struct pd *pd, uint64_t id) MUST_CHECK;

void device_end_all(struct core *core, struct pd *pd);

#endif
