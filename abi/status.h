/* SPDX-License-Identifier: MIT */
/* Status codes that hypercalls return in RAX. */
#ifndef ABI_STATUS_H
#define ABI_STATUS_H

enum abi_status {
    ABI_OK             = 0,
    ABI_TIMEOUT        = 1,  // the deadline passed, or the callee was busy and waiting was not allowed
    ABI_ABORTED        = 2,  // the callee died, was revoked, lost the reply or refused to answer
    ABI_OVERFLOW       = 3,  // a counter or the derivation depth would overflow
    ABI_BAD_HYPERCALL  = 4,  // no such hypercall number, or flags that it does not know
    ABI_BAD_CAPABILITY = 5,  // empty slot, wrong kind of object, permission missing, or being revoked
    ABI_BAD_PARAMETER  = 6,  // alignment, range or value outside the documented one
    ABI_BAD_FEATURE    = 7,  // the processor or platform lacks it
    ABI_BAD_CPU        = 8,  // no such CPU, or the object lives on another CPU
    ABI_BAD_DEVICE     = 9,  // no such interrupt or device
    ABI_OUT_OF_MEMORY  = 10, // the quota of the PD that has to pay is used up
    ABI_OCCUPIED       = 11, // the destination is not empty
    ABI_STATUS_COUNT
};

#endif
