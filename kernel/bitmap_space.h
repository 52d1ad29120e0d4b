/* SPDX-License-Identifier: MIT */
/*
 * Port and MSR spaces: bitmaps that the processor reads, 1 denies. Ports: 65,536 bits and a third
 * frame of ones, which serves both a TSS and SVM's IOPM (APM volume 2, 15.10). MSRs: two bits each,
 * read then write, for three ranges of 8,192 (15.11); others are always denied.
 */
#ifndef KERNEL_BITMAP_SPACE_H
#define KERNEL_BITMAP_SPACE_H

#include "kernel/node.h"

#define PORT_BITMAP_FRAMES 3u
#define MSR_BITMAP_FRAMES  2u

void bitmap_space_set(const struct node *node, bool allow);

#endif
