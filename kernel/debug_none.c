/* SPDX-License-Identifier: MIT */
/* The release build has no debug hypercall. */
#include "kernel/hypercall.h"

struct result debug_call(struct ec *ec)
{
    (void)ec;
    return status_result(ABI_BAD_HYPERCALL);
}
