/* SPDX-License-Identifier: MIT */
/* The local APIC (APM volume 2, 16): x2APIC where the processor has it, else memory-mapped. Own CPU only. */
#ifndef KERNEL_LOCAL_APIC_H
#define KERNEL_LOCAL_APIC_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

#define APIC_INIT_COUNT    0x38u // register numbers: offset / 16
#define APIC_CURRENT_COUNT 0x39u

/* Boot CPU, before any cpu_init: maps the registers and turns the local APIC on. Returns their physical page (0 with x2APIC) for the memory map. */
uint64_t local_apic_map(void);
uint32_t local_apic_id(void);
void local_apic_init(struct cpu *cpu);
uint32_t local_apic_read(unsigned reg);
void local_apic_write(unsigned reg, uint32_t value);
void local_apic_eoi(void);
/* Interrupt command: low half as in 16.5, e.g. 0x4500 INIT, 0x4600 | page start-up. */
void local_apic_command(uint32_t apic_id, uint32_t command);

#endif
