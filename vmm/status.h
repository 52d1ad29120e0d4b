/* SPDX-License-Identifier: MIT */
/* The status that fallible functions of the VM process return. Must be checked. */
#ifndef VMM_STATUS_H
#define VMM_STATUS_H

enum vmm_status {
    VMM_OK = 0,
    VMM_NO_MEMORY,   // the fixed heap or a fixed table is full
    VMM_BAD_RANGE,   // an address range is empty, overflows, or lies outside what it must lie in
    VMM_OVERLAP,     // a range overlaps another
    VMM_BAD_CONFIG,  // the machine's configuration asks for what cannot be
    VMM_BAD_IMAGE,   // a file or saved state is not what it should be
    VMM_UNSUPPORTED, // right, but not offered here
};

#define VMM_MUST_CHECK __attribute__((warn_unused_result))

#endif
