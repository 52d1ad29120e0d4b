/* SPDX-License-Identifier: MIT */
/* A virtual CPU with a few pages of guest memory, for tests and benchmarks; its guests are a few bytes of real-mode code. */
#ifndef TESTS_KERNEL_RIG_H
#define TESTS_KERNEL_RIG_H

#include "ktest.h"

#define GUEST       TEST_MEMORY // the guest's page 0 onwards, as we see it
#define GUEST_PAGES 16

struct rig {
    uint64_t sel; // +0 GST, +1 PIO, +2 MSR, +3 vCPU
    struct abi_vcpu *state;
};

/* Guest memory from `frame` on, a vCPU on `cpu` with its state page at utcb_address(16). */
bool rig_create(struct rig *r, uint64_t cpu, uint64_t frame);
void rig_destroy(struct rig *r);
/* Real mode at 0000:0100, where the code is put, with a stack below 0x8000 and the interrupt table at 0. All groups dirty. */
void real_mode(struct abi_vcpu *v, const uint8_t *code, unsigned bytes);
/*
 * Real mode, in a loop that ends by a recall only. Interrupts are off there, but with the option bochs=1: that emulator (2.7) lets no physical
 * interrupt end a guest that was entered with interrupts off, until it turns them on.
 */
void real_mode_loop(struct abi_vcpu *v);
/* Runs it to the next exit and returns the reason. */
uint64_t rig_run(struct rig *r);

#endif
