/* SPDX-License-Identifier: MIT */
/* Sessions: routing, what core answers for, closing. */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/init/init.h"
#include "framework/slots.h"
#include "lib/align.h"
#include "lib/string.h"
#include "lib/text.h"

uint32_t link_id(const struct init *init, const struct link *link)
{
    return (uint32_t)(link - init->links + 1) | (uint32_t)link->generation << 16;
}

struct link *link_find(struct init *init, uint64_t id)
{
    uint64_t index = (id & 0xffff) - 1;

    if (index >= SESSION_MAX || !init->links[index].used || init->links[index].generation != id >> 16)
        return NULL;
    return &init->links[index];
}

void link_notify(const struct link *link)
{
    if (link->notify)
        (void)hc_up(link->notify); // the client's own semaphore: if it took it away it does not want to know
}

void server_signal(struct child *server)
{
    if (server->serving)
        (void)hc_up(server->serve_slots); // likewise
}

static void link_fail(struct link *link, enum status status)
{
    link->state = SESSION_FAILED;
    link->failure = status;
    link_notify(link);
}

/* --- What init has of core --- */

static MUST_CHECK enum status own_slot(struct link *link, enum resource resource, unsigned perms)
{
    link->server_slots = slots_alloc(CAP_BLOCK);
    if (link->server_slots == SEL_NONE) {
        link->server_slots = 0;
        return STATUS_QUOTA;
    }
    link->resource = resource;
    link->server_caps[0] = message_cap(link->server_slots, perms);
    link->server_cap_count = 1;
    return STATUS_OK;
}

static enum status open_config(struct link *link)
{
    struct child *client = link->client;

    if (!client->has_config)
        return STATUS_NOT_FOUND;
    link->server_caps[0] = message_cap(client->config.slot, ABI_PERM_MEM_R);
    link->server_cap_count = 1;
    link->out[0] = client->start->config_size;
    return STATUS_OK;
}

static enum status open_rom(struct link *link)
{
    enum status status = own_slot(link, RESOURCE_SLOT, ABI_PERM_MEM_R | ABI_PERM_MEM_X);

    return status == STATUS_OK ? core_rom(link->label, link->server_slots, &link->out[0]) : status;
}

static enum status open_io_port(struct link *link)
{
    enum status status;

    if (link->in[0] > 0xffff || link->in[1] > 0x10000)
        return STATUS_INVALID;
    status = core_io_port(link->client->core, (uint16_t)link->in[0], (uint32_t)link->in[1]);
    if (status == STATUS_OK)
        link->resource = RESOURCE_PORT;
    return status;
}

static enum status open_io_mem(struct link *link)
{
    enum status status = own_slot(link, RESOURCE_NONE, ABI_PERM_MEM_R | ABI_PERM_MEM_W);

    if (status == STATUS_OK)
        status = core_io_mem(link->in[0], link->in[1], (unsigned)MIN(link->in[2], 0xffu), link->server_slots, &link->out[0]);
    if (status == STATUS_OK)
        link->resource = RESOURCE_MEMORY;
    return status;
}

/* Word 0 the pin, or CORE_IRQ_MSI; word 2 flags; word 3 CPU. */
static enum status open_irq(struct link *link)
{
    struct core_irq irq;
    enum status status = own_slot(link, RESOURCE_NONE, ABI_PERM_SM_DOWN);

    if (status == STATUS_OK && (link->in[3] >= ABI_CPU_MAX || !(link->client->cpu_mask >> link->in[3] & 1)))
        status = STATUS_DENIED;
    if (status == STATUS_OK)
        status = core_irq((uint32_t)link->in[0], (unsigned)link->in[2], (unsigned)link->in[3], link->server_slots, &irq);
    if (status != STATUS_OK)
        return status;
    link->resource = RESOURCE_IRQ;
    link->resource_id = irq.id;
    link->out[0] = irq.msi_address;
    link->out[1] = irq.msi_data;
    return STATUS_OK;
}

static enum status open_platform(struct link *link)
{
    struct core_platform platform;
    enum status status = core_platform(&platform);

    link->out[0] = platform.rsdp;
    link->out[1] = platform.pins;
    return status;
}

static const struct {
    const char *name;
    enum status (*open)(struct link *link);
    bool numbers; // words 0 and 1 name what is asked for, and the route must allow them
} own_services[] = {
    {"ROM", open_rom, false},
    {"IO_PORT", open_io_port, true},
    {"IO_MEM", open_io_mem, true},
    {"IRQ", open_irq, true},
    {"PLATFORM", open_platform, false},
};

static void open_own(struct link *link, const struct route *route)
{
    for (unsigned i = 0; i < ARRAY_SIZE(own_services); i++) {
        enum status status = STATUS_DENIED;

        if (strcmp(own_services[i].name, link->service) != 0)
            continue;
        if (!own_services[i].numbers ||
            (link->in[0] >= route->base && range_fits(link->in[0] - route->base, link->in[1], route->size)))
            status = own_services[i].open(link);
        else
            log_print("%s: %s %lx, %lx is outside of its route", link->client->start->name, link->service, link->in[0],
                      link->in[1]);
        if (status != STATUS_OK)
            link_fail(link, status);
        else
            link->state = SESSION_OPEN;
        return;
    }
    link_fail(link, STATUS_NOT_FOUND);
}

/* --- Routing --- */

static const struct route *route_find(const struct start *start, const struct link *link)
{
    for (unsigned i = 0; i < start->route_count; i++) {
        const struct route *route = &start->routes[i];

        if (strcmp(route->service, link->service) == 0 && (route->any_label || strcmp(route->label, link->label) == 0))
            return route;
    }
    return NULL;
}

static bool provides(const struct start *start, const char *service)
{
    for (unsigned i = 0; i < start->provides_count; i++)
        if (strcmp(start->provides[i], service) == 0)
            return true;
    return false;
}

/* The label as the server sees it: who, then which of its sessions. */
static void label_for_server(struct link *link)
{
    char label[SESSION_NAME];

    text_copy(label, sizeof label, link->label);
    text_copy(link->label, sizeof link->label, link->client->start->name);
    if (label[0]) {
        size_t length = strlen(link->label);

        text_copy(link->label + length, sizeof link->label - length, "/");
        length = strlen(link->label);
        text_copy(link->label + length, sizeof link->label - length, label);
    }
}

/* Decide where a new session goes. */
void link_route(struct link *link)
{
    struct child *client = link->client;
    const struct route *route;

    if (strcmp(link->service, "ROM") == 0 && strcmp(link->label, "config") == 0) {
        enum status status = open_config(link);

        if (status == STATUS_OK)
            link->state = SESSION_OPEN;
        else
            link_fail(link, status);
        return;
    }
    route = route_find(client->start, link);
    if (!route) {
        log_print("%s: no route for service %s, label \"%s\"", client->start->name, link->service, link->label);
        link_fail(link, STATUS_DENIED);
        return;
    }
    if (route->new_label[0])
        text_copy(link->label, sizeof link->label, route->new_label);
    if (route->to_parent) {
        open_own(link, route);
        return;
    }
    link->server = child_find(client->init, route->child);
    if (!link->server || !provides(link->server->start, link->service)) {
        log_print("%s: %s does not provide %s", client->start->name, route->child, link->service);
        link->server = NULL;
        link_fail(link, STATUS_NOT_FOUND);
        return;
    }
    if (link->server->state == CHILD_STOPPED) { // has ended, or could not be started, and nothing will change that
        link->server = NULL;
        link_fail(link, STATUS_ABORTED);
        return;
    }
    if (!route->new_label[0])
        label_for_server(link);
    server_signal(link->server);
}

struct link *link_open(struct child *client, const char *service, const char *label, const uint64_t words[SESSION_WORDS],
                       uint32_t cpu, enum status *status)
{
    struct init *init = client->init;
    unsigned own = 0;
    struct link *link = NULL;

    for (unsigned i = 0; i < SESSION_MAX; i++) {
        if (init->links[i].used && init->links[i].client == client)
            own++;
        else if (!init->links[i].used && !link)
            link = &init->links[i];
    }
    *status = STATUS_QUOTA;
    if (!link || own >= 32) // no child takes the table from the others
        return NULL;
    *status = STATUS_OK;
    {
        uint8_t generation = (uint8_t)(link->generation + 1);

        memset(link, 0, sizeof *link);
        link->generation = generation;
    }
    link->used = true;
    link->client = client;
    link->cpu = cpu;
    link->state = SESSION_PENDING;
    memcpy(link->in, words, sizeof link->in);
    text_copy(link->service, sizeof link->service, service);
    text_copy(link->label, sizeof link->label, label);
    return link;
}

/* --- The end --- */

void link_free(struct link *link)
{
    if (link->client_slots)
        slots_remove(link->client_slots, CAP_BLOCK);
    if (link->server_slots)
        slots_remove(link->server_slots, CAP_BLOCK);
    link->used = false;
}

static void resource_end(struct link *link)
{
    enum status status = STATUS_OK;

    if (link->resource == RESOURCE_IRQ)
        status = core_irq_free(link->resource_id);
    else if (link->resource == RESOURCE_MEMORY)
        status = core_ram_free(link->server_slots);
    else if (link->resource == RESOURCE_PORT && link->client && link->client->state == CHILD_UP)
        status = core_io_port_free(link->client->core, (uint16_t)link->in[0], (uint32_t)link->in[1]);
    if (status != STATUS_OK)
        log_print("%s could not be given back: %s", link->service, status_name(status));
}

/* The client wants no more of it, or has ended. A server that knows of it is told first. */
void link_close(struct link *link)
{
    bool server_knows = link->server && link->offered && link->state != SESSION_CLOSED;

    resource_end(link);
    link->resource = RESOURCE_NONE;
    link->client = NULL;
    link->notify = 0;
    if (!server_knows) {
        link_free(link);
        return;
    }
    link->state = SESSION_CLOSED;
    server_signal(link->server);
}

/* A child has ended: close what it had, and tell the clients of what it served. */
void links_end(struct child *child)
{
    struct init *init = child->init;

    for (unsigned i = 0; i < SESSION_MAX; i++) {
        struct link *link = &init->links[i];

        if (link->used && link->client == child)
            link_close(link);
    }
    for (unsigned i = 0; i < SESSION_MAX; i++) {
        struct link *link = &init->links[i];

        if (!link->used || link->server != child)
            continue;
        link->server = NULL;
        if (!link->client) {
            link_free(link);
        } else {
            link->state = SESSION_CLOSED;
            link->failure = STATUS_ABORTED;
            link_notify(link);
        }
    }
}

/* The next thing that a server has to do for a session: open it, or close it since its client is gone. */
struct link *link_next_request(struct child *server)
{
    struct init *init = server->init;

    for (unsigned i = 0; i < SESSION_MAX; i++) {
        struct link *link = &init->links[i];

        if (link->used && link->server == server && (!link->offered || !link->client))
            return link;
    }
    return NULL;
}
