/* SPDX-License-Identifier: MIT */
/*
 * Capabilities in messages: translated where the receiver already has them, else derived into its
 * window.
 */
#include "kernel/delegate.h"
#include "kernel/ipc.h"
#include "kernel/pd.h"

/* The capability that this one was derived from and that lies in the receiver's space, or NULL. */
static const struct node *translate(const struct node *node, const struct space *receiver)
{
    while (node && node->space != receiver)
        node = node->parent;
    return node;
}

static enum abi_status plan(struct reserve *reserve, struct node *node, uint64_t sel, uint8_t perms)
{
    if (node->depth + 1u > ABI_DEPTH_MAX)
        return ABI_OVERFLOW;
    if (node_first(reserve->space, sel, 1) || sel > ABI_SEL_MAX)
        return ABI_BAD_PARAMETER;
    struct node *child = reserve_node(reserve, sel);
    if (!child)
        return ABI_OUT_OF_MEMORY;
    child->parent = node;
    child->source = node->rb.key;
    child->object = node->object;
    child->perms = node->perms & perms;
    reserve_plan(reserve, child);
    return ABI_OK;
}

enum abi_status ipc_move_caps(struct ec *from, struct ec *to, unsigned count)
{
    struct reserve reserve;
    uint64_t received[ABI_UTCB_CAPS], base = to->utcb->window_base, window = to->utcb->window_count,
                                      used = 0;
    enum abi_status status = ABI_OK;

    if (to->pd->objects->object.dying)
        return ABI_BAD_PARAMETER;
    reserve_init(&reserve, to->pd->objects);
    for (unsigned i = 0; i < count && status == ABI_OK; i++) {
        /* Read once: others may write there. */
        uint64_t send = *(volatile uint64_t *)&from->utcb->send[i];
        uint8_t perms = send & ABI_PERM_OBJ_ALL;
        struct node *node =
            send >> 8 <= ABI_SEL_MAX ? node_first(from->pd->objects, send >> 8, 1) : NULL;
        const struct node *own = translate(node, to->pd->objects);
        if (!node || node_is_revoked(node)) {
            status = ABI_BAD_CAPABILITY;
        } else if (own) {
            received[i] = own->rb.key << 8 | (node->perms & perms) | ABI_CAP_TRANSLATED;
        } else if (used == window || base > ABI_SEL_MAX) {
            status = ABI_BAD_PARAMETER;
        } else {
            received[i] = (base + used) << 8 | (node->perms & perms);
            status = plan(&reserve, node, base + used++, perms);
        }
    }
    if (status == ABI_OK && !reserve_frames(&reserve))
        status = ABI_OUT_OF_MEMORY;
    if (status != ABI_OK) {
        reserve_cancel(&reserve);
        return status;
    }
    reserve_commit(&reserve);
    for (unsigned i = 0; i < count; i++)
        to->utcb->recv[i] = received[i];
    if (used)
        to->utcb->window_count = 0;
    return ABI_OK;
}
