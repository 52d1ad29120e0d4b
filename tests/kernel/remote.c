/* SPDX-License-Identifier: MIT */
/* A server in a PD of its own. */
#include "remote.h"

#define FILL 32

extern char remote_code[], remote_code_open[], remote_code_reply[];

static uint64_t entry(const char *label)
{
    return REMOTE_CODE + (uint64_t)(label - remote_code);
}

bool remote_create(uint64_t sel, uint64_t frames, uint64_t cpu)
{
    return child_create(sel, frames) &&
           delegate(OWN_HST, sel + REMOTE_HST, (uint64_t)remote_code / PAGE, REMOTE_CODE / PAGE, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_X,
                    0) == ABI_OK &&
           create_local(sel + REMOTE_EC, sel, REMOTE_UTCB, cpu, 0, ~0ull) == ABI_OK &&
           create_pt(sel + REMOTE_ECHO, OWN_PD, sel + REMOTE_EC, entry(remote_code), 0) == ABI_OK &&
           create_pt(sel + REMOTE_OPEN, OWN_PD, sel + REMOTE_EC, entry(remote_code_open), 0) == ABI_OK &&
           create_pt(sel + REMOTE_REPLY, OWN_PD, sel + REMOTE_EC, entry(remote_code_reply), 0) == ABI_OK;
}

uint64_t remote_open(uint64_t sel, struct abi_utcb *own, uint64_t base, uint64_t count)
{
    uint64_t descriptor = 2;
    own->word[0] = base;
    own->word[1] = count;
    return ipc_call(sel + REMOTE_OPEN, 0, &descriptor);
}

uint64_t remote_reply(uint64_t sel, const struct abi_utcb *own, uint32_t descriptor, uint8_t flags)
{
    struct call c = {.rsi = (ABI_IPC_REPLY | (uint64_t)flags << 8) << 32 | descriptor};
    uint64_t answer = 0, status = call_raw(call_id(ABI_CTRL_PT, 0, sel + REMOTE_REPLY), &c);
    if (status == ABI_OK)
        status = ipc_call(sel + REMOTE_REPLY, 0, &answer);
    return status == ABI_OK && answer == 2 ? own->word[0] : status;
}

void remote_impoverish(uint64_t sel, uint64_t fill)
{
    uint64_t used = 0, limit = 0;
    if (quota_query(sel, &used, &limit) == ABI_OK)
        quota_move(ABI_PD_QUOTA_TAKE, OWN_PD, sel, limit - used);
    for (unsigned i = 0; i < FILL && create_sm(fill + i, sel, 0) == ABI_OK; i++)
        ;
}
