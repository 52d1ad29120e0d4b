/* SPDX-License-Identifier: MIT */
/* Thread control blocks and thread-local variables. */
#include "framework/thread_self.h"
#include "lib/align.h"
#include "lib/string.h"

/* From mk/component.ld. */
extern const char __tdata_start[], __tdata_end[], __tbss_end[];

static uint64_t local_size(void)
{
    return ALIGN_UP((uint64_t)(__tbss_end - __tdata_start), 64);
}

uint64_t thread_self_size(void)
{
    return local_size() + 64;
}

struct thread_self *thread_self_place(uint64_t top, struct abi_utcb *utcb, uint32_t cpu, uint32_t ec)
{
    struct thread_self *self = (struct thread_self *)(top - 64);
    char *locals = (char *)self - local_size();
    uint64_t initialized = (uint64_t)(__tdata_end - __tdata_start);

    memcpy(locals, __tdata_start, initialized);
    memset(locals + initialized, 0, local_size() - initialized);
    self->self = self;
    self->utcb = utcb;
    self->cpu = cpu;
    self->ec = ec;
    self->thread = NULL;
    return self;
}
