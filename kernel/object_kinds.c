/* SPDX-License-Identifier: MIT */
/* Portals, scheduling contexts, and the life's end of every object. */
#include "kernel/object_kinds.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "kernel/sm.h"
#include "kernel/space.h"

struct pt *pt_create(struct pd *pd, struct ec *ec, uint64_t rip, uint64_t id)
{
    struct pt *pt = slab_alloc(pd, sizeof *pt);

    if (!pt)
        return NULL;
    pt->ec = ec;
    pt->rip = rip;
    pt->id = id;
    pt->groups = ABI_EVENT_GROUP_GPR | ABI_EVENT_GROUP_IP;
    list_push_back(&ec->portals, &pt->link);
    object_init(&pt->object, OBJECT_PT, pd);
    return pt;
}

struct sc *sc_create(struct pd *pd, struct ec *ec, uint8_t prio, uint64_t slice)
{
    struct sc *sc = slab_alloc(pd, sizeof *sc);

    if (!sc)
        return NULL;
    sc->ec = ec;
    sc->cpu = ec->cpu;
    sc->prio = prio;
    sc->slice = sc->left = slice;
    list_init(&sc->queue);
    ec->sc = sc;
    object_init(&sc->object, OBJECT_SC, pd);
    return sc;
}

/*
 * Nothing refers to the EC any more, and the page that it shared goes out of its host space, if
 * that still has it.
 */
static void unlink_ec(struct ec *ec, struct batch *batch)
{
    for (struct list_node *link; (link = list_pop_front(&ec->portals)) != NULL; batch->budget--)
        list_entry(link, struct pt, link)->ec = &ec_dead;
    if (ec->sc)
        ec->sc->ec = &ec_dead;
    if (!ec->utcb_node)
        return;
    node_remove(ec->utcb_node, &batch->tables);
    ec->utcb_node = NULL;
    batch->flush_host = true;
}

void object_kill(struct object *object, struct batch *batch)
{
    struct pd *pd = object->owner;

    object->dying = true;
    if (object->type == OBJECT_EC)
        unlink_ec(ec_of(object), batch);
    else if (object->type == OBJECT_SM)
        sm_abort(sm_of(object));
    else if (object->type == OBJECT_SPACE_PIO && pd->ports == space_of(object))
        pd->port_frame = 0;
    list_remove(&object->link);
    list_push_back(&batch->dying, &object->link);
}

void object_unref(struct object *object, struct list_node *dead)
{
    ASSERT(object->refs);
    if (--object->refs == 0 && object->dying && !list_is_linked(&object->link))
        list_push_back(dead, &object->link);
}

static void free_space(struct space *space)
{
    struct pd *pd = space->object.owner;

    if (pd->objects == space)
        pd->objects = NULL;
    if (pd->host == space)
        pd->host = NULL;
    if (pd->ports == space)
        pd->ports = NULL;
    space_free(space);
}

void object_free(struct object *object, struct list_node *dead)
{
    struct pd *pd = object->owner;

    switch (object->type) {
    case OBJECT_PD:
        pd_free(pd_of(object));
        break;
    case OBJECT_EC:
        ec_free(ec_of(object), dead);
        break;
    case OBJECT_SC:
        if (sc_of(object)->ec != &ec_dead)
            sc_of(object)->ec->sc = NULL;
        object_drop(object);
        slab_free(object, sizeof(struct sc));
        break;
    case OBJECT_PT:
        list_remove(&pt_of(object)->link);
        object_drop(object);
        slab_free(object, sizeof(struct pt));
        break;
    case OBJECT_SM:
        object_drop(object);
        slab_free(object, sizeof(struct sm));
        break;
    default:
        free_space(space_of(object));
    }
    if (pd->object.refs == 0 && pd->object.dying && !list_is_linked(&pd->object.link))
        list_push_back(dead, &pd->object.link);
}
