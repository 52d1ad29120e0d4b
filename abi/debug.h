/* SPDX-License-Identifier: MIT */
/*
 * One more hypercall, in the assertion build only (abi_info.features & ABI_FEATURE_ASSERT); a release kernel answers ABI_BAD_HYPERCALL.
 * flags = enum abi_debug_op.
 */
#ifndef ABI_DEBUG_H
#define ABI_DEBUG_H

#define ABI_DEBUG 0xf0u

enum abi_debug_op {
    ABI_DEBUG_FAIL_AT, // RSI = k: the k-th allocation of kernel memory from now fails as if the quota were used up; 0: none. Cleared when it has failed.
    ABI_DEBUG_COUNT,   // results: RSI = free frames of the pool, RDX = kernel objects and nodes alive, after all grace periods
    ABI_DEBUG_CHECK    // walks every invariant (derivation tree, tables, accounts, this CPU's queues); panics where one is broken. Result: RSI = digest
                       // of all nodes and accounts
};

#endif
