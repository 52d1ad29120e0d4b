/* SPDX-License-Identifier: MIT */
/*
 * PVH direct boot (Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h): an ELF image
 * whose note 18 of owner "Xen" holds the 32-bit physical entry. Start info is version 1, with
 * memory map and modules.
 */
#ifndef VMM_BOOT_PVH_H
#define VMM_BOOT_PVH_H

#include "vmm/boot/boot.h"

bool pvh_detect(const uint8_t *image, size_t size);
enum vmm_status pvh_load(struct boot *boot) VMM_MUST_CHECK;

#endif
