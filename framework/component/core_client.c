/* SPDX-License-Identifier: MIT */
/* The client side of core's interface: one message a function. */
#include "framework/core.h"
#include "framework/message.h"
#include "framework/thread_self.h"
#include "lib/align.h"
#include "lib/string.h"

static uint64_t core_portal(void)
{
    return SEL_CORE + cpu_self();
}

static MUST_CHECK enum status core_request(unsigned words, unsigned caps)
{
    return request(core_portal(), words, caps);
}

/* A request whose reply brings one capability into `slot`. */
static MUST_CHECK enum status core_open(unsigned words, uint32_t slot)
{
    uint64_t reply;
    enum status status = request_with_window(core_portal(), words, 0, slot, 1, &reply);

    return status == STATUS_OK && message_caps(reply) != 1 ? STATUS_QUOTA : status;
}

void core_log(const char *text, size_t size)
{
    while (size) {
        size_t part = MIN(size, CORE_LOG_MAX);
        struct abi_utcb *utcb = utcb_self();

        utcb->word[0] = CORE_LOG;
        if (core_request(message_put_text(utcb, 1, text, part), 0) != STATUS_OK)
            return;
        text += part;
        size -= part;
    }
}

enum status core_ram_alloc(uint64_t size, uint64_t align, uint64_t limit, uint32_t slot, uint64_t *physical)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_RAM_ALLOC;
    utcb->word[1] = size;
    utcb->word[2] = align;
    utcb->word[3] = limit;
    status = core_open(4, slot);
    if (status == STATUS_OK && physical)
        *physical = utcb->word[1];
    return status;
}

static MUST_CHECK enum status dataspace_request(unsigned words, uint32_t slot, unsigned perms)
{
    utcb_self()->send[0] = message_cap(slot, perms);
    return core_request(words, 1);
}

enum status core_ram_free(uint32_t slot)
{
    utcb_self()->word[0] = CORE_RAM_FREE;
    return dataspace_request(1, slot, ABI_PERM_MEM_ALL);
}

enum status core_attach(uint32_t slot, uint64_t address, uint64_t offset, uint64_t size, unsigned perms)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = CORE_ATTACH;
    utcb->word[1] = address;
    utcb->word[2] = offset;
    utcb->word[3] = size;
    utcb->word[4] = perms;
    return dataspace_request(5, slot, perms);
}

enum status core_detach(uint64_t address, uint64_t size)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = CORE_DETACH;
    utcb->word[1] = address;
    utcb->word[2] = size;
    return core_request(3, 0);
}

enum status core_size(uint32_t slot, uint64_t *size)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_SIZE;
    status = dataspace_request(1, slot, ABI_PERM_MEM_ALL);
    if (status == STATUS_OK)
        *size = utcb->word[1];
    return status;
}

enum status core_thread_start(uint32_t ec, unsigned priority, unsigned slice_us, uint32_t *id)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_THREAD_START;
    utcb->word[1] = ec;
    utcb->word[2] = priority;
    utcb->word[3] = slice_us;
    status = core_request(4, 0);
    if (status == STATUS_OK)
        *id = (uint32_t)utcb->word[1];
    return status;
}

static MUST_CHECK enum status request_1(enum core_operation operation, uint64_t argument)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = operation;
    utcb->word[1] = argument;
    return core_request(2, 0);
}

enum status core_thread_stop(uint32_t id)
{
    return request_1(CORE_THREAD_STOP, id);
}

enum status core_quota(struct core_quota *quota)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_QUOTA;
    status = core_request(1, 0);
    if (status == STATUS_OK)
        memcpy(quota, &utcb->word[1], sizeof *quota);
    return status;
}

enum status core_rom(const char *name, uint32_t slot, uint64_t *size)
{
    struct abi_utcb *utcb = utcb_self();
    size_t length = strnlen(name, CORE_NAME_MAX);
    enum status status;

    utcb->word[0] = CORE_ROM;
    status = core_open(message_put_text(utcb, 1, name, length), slot);
    if (status == STATUS_OK)
        *size = utcb->word[1];
    return status;
}

enum status core_log_read(uint32_t signal, uint32_t slot, uint64_t *size)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_LOG_READ;
    utcb->word[1] = signal;
    status = core_open(2, slot);
    if (status == STATUS_OK)
        *size = utcb->word[1];
    return status;
}

static MUST_CHECK enum status io_port_request(enum core_operation operation, uint32_t child, uint16_t first, uint32_t count)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = operation;
    utcb->word[1] = child;
    utcb->word[2] = first;
    utcb->word[3] = count;
    return core_request(4, 0);
}

enum status core_io_port(uint32_t child, uint16_t first, uint32_t count)
{
    return io_port_request(CORE_IO_PORT, child, first, count);
}

enum status core_io_port_free(uint32_t child, uint16_t first, uint32_t count)
{
    return io_port_request(CORE_IO_PORT_FREE, child, first, count);
}

enum status core_io_mem(uint64_t physical, uint64_t size, unsigned cache, uint32_t slot, uint64_t *offset)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_IO_MEM;
    utcb->word[1] = physical;
    utcb->word[2] = size;
    utcb->word[3] = cache;
    status = core_open(4, slot);
    if (status == STATUS_OK)
        *offset = utcb->word[1];
    return status;
}

enum status core_irq(uint32_t source, unsigned flags, unsigned cpu, uint32_t slot, struct core_irq *irq)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_IRQ;
    utcb->word[1] = source;
    utcb->word[2] = flags;
    utcb->word[3] = cpu;
    status = core_open(4, slot);
    if (status == STATUS_OK) {
        irq->id = (uint32_t)utcb->word[1];
        irq->msi_address = utcb->word[2];
        irq->msi_data = utcb->word[3];
    }
    return status;
}

enum status core_irq_free(uint32_t id)
{
    return request_1(CORE_IRQ_FREE, id);
}

enum status core_platform(struct core_platform *platform)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_PLATFORM;
    status = core_request(1, 0);
    if (status == STATUS_OK)
        memcpy(platform, &utcb->word[1], sizeof *platform);
    return status;
}

enum status core_notify(uint32_t signal)
{
    return request_1(CORE_NOTIFY, signal);
}

enum status core_pd_create(const struct core_child_config *config, uint32_t *child)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = CORE_PD_CREATE;
    utcb->word[1] = config->ram;
    utcb->word[2] = config->kernel_frames;
    utcb->word[3] = config->objects;
    utcb->word[4] = config->authority;
    utcb->word[5] = config->priority;
    utcb->word[6] = config->cpu_mask;
    status = core_request(message_put_text(utcb, 7, config->label, strnlen(config->label, LABEL_SIZE - 1)), 0);
    if (status == STATUS_OK)
        *child = (uint32_t)utcb->word[1];
    return status;
}

enum status core_pd_give(uint32_t child, uint32_t from, uint32_t to, uint32_t count, unsigned perms)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = CORE_PD_GIVE;
    utcb->word[1] = child;
    utcb->word[2] = from;
    utcb->word[3] = to;
    utcb->word[4] = count;
    utcb->word[5] = perms;
    return core_request(6, 0);
}

enum status core_pd_start(uint32_t child, uint32_t cpu, uint32_t elf)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = CORE_PD_START;
    utcb->word[1] = child;
    utcb->word[2] = cpu;
    return dataspace_request(3, elf, ABI_PERM_MEM_ALL);
}

enum status core_pd_status(uint32_t child, struct core_fault *fault)
{
    enum status status = request_1(CORE_PD_STATUS, child);

    if (status == STATUS_OK)
        memcpy(fault, &utcb_self()->word[1], sizeof *fault);
    return status;
}

enum status core_pd_destroy(uint32_t child)
{
    return request_1(CORE_PD_DESTROY, child);
}

enum status core_pd_quota(uint32_t child, uint64_t give, uint64_t take)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = CORE_PD_QUOTA;
    utcb->word[1] = child;
    utcb->word[2] = give;
    utcb->word[3] = take;
    return core_request(4, 0);
}
