/* SPDX-License-Identifier: MIT */
/* Protection domains and their accounts. */
#include "kernel/pd.h"

#include "kernel/assert.h"

void object_init(struct object *object, enum object_type type, struct pd *owner)
{
    object->type = (uint8_t)type;
    object->owner = owner;
    list_init(&object->link);
    if (owner) {
        owner->object.refs++;
        list_push_back(&owner->owned, &object->link);
    }
}

void object_drop(struct object *object)
{
    list_remove(&object->link);
    object->owner->object.refs--;
}

void pd_init(struct pd *pd, struct pd *parent, uint64_t quota)
{
    pd->account.limit = quota;
    list_init(&pd->owned);
    slab_init(&pd->slabs);
    object_init(&pd->object, OBJECT_PD, parent);
}

struct pd *pd_create(struct pd *parent, uint64_t quota)
{
    if (!account_has(&parent->account, quota))
        return NULL;
    parent->account.used += quota;
    struct pd *pd = slab_alloc(parent, sizeof *pd);
    if (!pd) {
        parent->account.used -= quota;
        return NULL;
    }
    pd_init(pd, parent, quota);
    return pd;
}

void pd_free(struct pd *pd)
{
    struct pd *parent = pd->object.owner;

    ASSERT(list_is_empty(&pd->owned) && pd->account.used == 0);
    parent->account.used -= pd->account.limit;
    object_drop(&pd->object);
    slab_free(pd, sizeof *pd);
}

enum abi_status pd_move_quota(struct pd *parent, struct pd *child, uint64_t frames, bool back)
{
    if (child->object.owner != parent)
        return ABI_BAD_PARAMETER;
    if (!account_has(back ? &child->account : &parent->account, frames))
        return ABI_OUT_OF_MEMORY;
    parent->account.used += back ? -frames : frames;
    child->account.limit += back ? -frames : frames;
    return ABI_OK;
}
