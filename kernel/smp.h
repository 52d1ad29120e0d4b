/* SPDX-License-Identifier: MIT */
/* Starting the other CPUs (Intel MultiProcessor Specification 1.4, B.4), one after another. */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <stdint.h>

/* Boot CPU: its own id is 0. apic_id[] are the others' in order; those that do not come up are left out. areas_phys: one area a CPU. */
void smp_start(const uint32_t *apic_id, unsigned count, uint64_t trampoline_page, uint64_t areas_phys);

/* Lets them go on to kernel_main_ap(). */
void smp_release(void);

#endif
