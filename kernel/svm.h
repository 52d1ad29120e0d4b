/* SPDX-License-Identifier: MIT */
/* AMD's virtualization (APM volume 2, 15) as operations of a vCPU (kernel/vcpu.h). */
#ifndef KERNEL_SVM_H
#define KERNEL_SVM_H

#include <stdbool.h>

struct cpu;
struct vcpu_ops;

/* Each CPU: turns SVM on if the processor has it with nested paging, and keeps the host's state for VMLOAD. */
void svm_init_cpu(struct cpu *cpu);

extern const struct vcpu_ops svm_ops;

#endif
