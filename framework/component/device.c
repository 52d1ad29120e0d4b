/* SPDX-License-Identifier: MIT */
/* Clients of the ROM and device sessions. */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/session/device.h"
#include "framework/session/rom.h"
#include "framework/thread_self.h"

enum status rom_open(struct rom *rom, const char *label)
{
    const struct session_arguments arguments = {.service = "ROM", .label = label};
    enum status status = session_open(&rom->session, &arguments, 0);

    if (status != STATUS_OK)
        return status;
    rom->size = rom->session.word[0];
    status = rom->session.caps == 1 ? memory_attach(&rom->memory, rom->session.slots, ABI_PERM_MEM_R) : STATUS_QUOTA;
    if (status != STATUS_OK)
        session_close(&rom->session);
    return status;
}

void rom_close(struct rom *rom)
{
    memory_detach(&rom->memory);
    session_close(&rom->session);
}

enum status io_port_open(struct session *session, uint16_t first, uint32_t count)
{
    const struct session_arguments arguments = {.service = "IO_PORT", .label = "", .word = {first, count}};

    return session_open(session, &arguments, 0);
}

enum status io_mem_open(struct io_mem *io, uint64_t physical, uint64_t size, unsigned cache)
{
    const struct session_arguments arguments = {.service = "IO_MEM", .label = "", .word = {physical, size, cache}};
    enum status status = session_open(&io->session, &arguments, 0);

    if (status != STATUS_OK)
        return status;
    status = io->session.caps == 1 ? memory_attach(&io->memory, io->session.slots, ABI_PERM_MEM_R | ABI_PERM_MEM_W)
                                   : STATUS_QUOTA;
    if (status != STATUS_OK)
        session_close(&io->session);
    else
        io->registers = (char *)io->memory.address + io->session.word[0];
    return status;
}

void io_mem_close(struct io_mem *io)
{
    memory_detach(&io->memory);
    session_close(&io->session);
}

static MUST_CHECK enum status irq_request(struct irq *irq, uint32_t source, unsigned flags)
{
    const struct session_arguments arguments = {.service = "IRQ", .label = "", .word = {source, 1, flags, cpu_self()}};
    enum status status = session_open(&irq->session, &arguments, 0);

    if (status == STATUS_OK && irq->session.caps != 1) {
        session_close(&irq->session);
        status = STATUS_QUOTA;
    }
    if (status != STATUS_OK)
        return status;
    irq->sm = irq->session.slots;
    irq->msi_address = irq->session.word[0];
    irq->msi_data = irq->session.word[1];
    return STATUS_OK;
}

enum status irq_open(struct irq *irq, uint32_t pin, unsigned flags)
{
    return irq_request(irq, pin, flags);
}

enum status irq_open_msi(struct irq *irq)
{
    return irq_request(irq, CORE_IRQ_MSI, ABI_INT_EDGE);
}
