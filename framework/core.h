/* SPDX-License-Identifier: MIT */
/*
 * The interface to core: dataspaces, threads' time, child PDs, devices, the log. Each function is one call through the portal
 * SEL_CORE of the present CPU. Message layouts stand with the operations: request words after the operation, then reply words after the status.
 *
 * A dataspace is physically contiguous memory. Its capability is a semaphore of core's, whose permissions are read as memory
 * permissions (ABI_PERM_MEM_*), so whoever derives it further may narrow them. Sent back to core it is recognised by
 * translation. It belongs to the component whose memory quota it was taken from, and ends with it. Where others have it mapped, one
 * zeroed page of their own takes its place everywhere then; attaching another's memory is charged one page and one object for that.
 *
 * Sizes are bytes, rounded up to pages; addresses must be page aligned. Any call may answer INVALID (message), DENIED
 * (authority missing, capability not core's) or QUOTA.
 */
#ifndef FRAMEWORK_CORE_H
#define FRAMEWORK_CORE_H

#include "framework/layout.h"
#include "framework/status.h"

#include <stdbool.h>
#include <stddef.h>

enum core_operation {
    CORE_LOG,         // text (at most CORE_LOG_MAX) -> nothing
    CORE_RAM_ALLOC,   // size, align, limit -> physical address (with AUTHORITY_DEVICE, else 0); cap: dataspace {R W X}
    CORE_RAM_FREE,    // cap: dataspace -> nothing. Only by its owner
    CORE_ATTACH,      // address, offset, size, permissions; cap: dataspace -> nothing
    CORE_DETACH,      // address, size -> nothing
    CORE_SIZE,        // cap: dataspace -> size
    CORE_THREAD_START, // EC selector, priority, slice in us -> thread id
    CORE_THREAD_STOP, // thread id -> nothing
    CORE_QUOTA,       // -> used and limit of: memory (pages), objects, kernel memory (frames)
    CORE_ROM,         // name -> size; cap: dataspace {R X}                                         AUTHORITY_ROM
    CORE_LOG_READ,    // cap: none; selector of an SM {UP} to signal -> size; cap: dataspace {R}    AUTHORITY_LOG
    CORE_IO_PORT,     // child or 0, first port, count -> nothing                                   AUTHORITY_DEVICE
    CORE_IO_PORT_FREE, // child or 0, first port, count -> nothing
    CORE_IO_MEM,      // physical address, size, cache attribute -> offset of the address in the dataspace; cap: dataspace {R W}
    CORE_IRQ,         // source, flags, CPU -> id, MSI address, MSI data; cap: SM {DOWN}
    CORE_IRQ_FREE,    // id -> nothing
    CORE_PLATFORM,    // -> RSDP, pins, MSIs
    CORE_NOTIFY,      // selector of an SM {UP}: signalled when a child's state changes            AUTHORITY_CHILDREN
    CORE_PD_CREATE,   // memory, kernel frames, objects, authority, priority, CPU mask, label -> child id
    CORE_PD_GIVE,     // child, own selector, child's selector, count, permissions -> nothing
    CORE_PD_START,    // child, CPU; cap: dataspace with the ELF image {R} -> nothing
    CORE_PD_STATUS,   // child -> struct core_fault
    CORE_PD_DESTROY,  // child -> nothing
    CORE_PD_QUOTA,    // child, memory to give, memory to take back -> nothing
    CORE_OPERATION_COUNT
};

#define CORE_LOG_MAX  512u
#define CORE_NAME_MAX 64u // bytes of a ROM name or label with its end

#define CORE_IRQ_MSI  0x10000u // source: this bit for any free MSI; otherwise a pin number

enum core_child_state { CHILD_CREATED, CHILD_RUNNING, CHILD_FAULTED };

/* The first fault of a child since its start. */
struct core_fault {
    uint64_t state;  // enum core_child_state
    uint64_t vector;
    uint64_t error;
    uint64_t rip;
    uint64_t address; // CR2
    uint64_t cpu;
};
_Static_assert(sizeof(struct core_fault) == 6 * 8, "layout");

/* Log: text goes to the system log, each line with the component's label. */
void core_log(const char *text, size_t size);

/* Memory. `slot` is an empty selector of the caller for the dataspace's capability. */
enum status core_ram_alloc(uint64_t size, uint64_t align, uint64_t limit, uint32_t slot, uint64_t *physical) MUST_CHECK;
enum status core_ram_free(uint32_t slot) MUST_CHECK;
enum status core_attach(uint32_t slot, uint64_t address, uint64_t offset, uint64_t size, unsigned perms) MUST_CHECK;
enum status core_detach(uint64_t address, uint64_t size) MUST_CHECK;
enum status core_size(uint32_t slot, uint64_t *size) MUST_CHECK;

/* Give an EC of this component time. priority is bounded by the component's. */
enum status core_thread_start(uint32_t ec, unsigned priority, unsigned slice_us, uint32_t *id) MUST_CHECK;
enum status core_thread_stop(uint32_t id) MUST_CHECK;

struct core_quota {
    uint64_t ram_used, ram_limit;       // pages
    uint64_t objects_used, objects_limit;
    uint64_t kernel_used, kernel_limit; // frames
};
enum status core_quota(struct core_quota *quota) MUST_CHECK;

enum status core_rom(const char *name, uint32_t slot, uint64_t *size) MUST_CHECK;
enum status core_log_read(uint32_t signal, uint32_t slot, uint64_t *size) MUST_CHECK;

/* Devices. child 0 is the caller. */
enum status core_io_port(uint32_t child, uint16_t first, uint32_t count) MUST_CHECK;
enum status core_io_port_free(uint32_t child, uint16_t first, uint32_t count) MUST_CHECK;
enum status core_io_mem(uint64_t physical, uint64_t size, unsigned cache, uint32_t slot, uint64_t *offset) MUST_CHECK;

struct core_irq {
    uint32_t id;
    uint64_t msi_address, msi_data;
};
enum status core_irq(uint32_t source, unsigned flags, unsigned cpu, uint32_t slot, struct core_irq *irq) MUST_CHECK;
enum status core_irq_free(uint32_t id) MUST_CHECK;

struct core_platform {
    uint64_t rsdp;
    uint64_t pins, msis;
};
enum status core_platform(struct core_platform *platform) MUST_CHECK;

/* Children. Memory in bytes, kernel memory in frames. */
struct core_child_config {
    uint64_t    ram;
    uint64_t    kernel_frames;
    uint64_t    objects;
    uint32_t    authority;
    uint32_t    priority;
    uint64_t    cpu_mask;
    const char *label;
};
enum status core_notify(uint32_t signal) MUST_CHECK;
enum status core_pd_create(const struct core_child_config *config, uint32_t *child) MUST_CHECK;
enum status core_pd_give(uint32_t child, uint32_t from, uint32_t to, uint32_t count, unsigned perms) MUST_CHECK;
enum status core_pd_start(uint32_t child, uint32_t cpu, uint32_t elf) MUST_CHECK;
enum status core_pd_status(uint32_t child, struct core_fault *fault) MUST_CHECK;
enum status core_pd_destroy(uint32_t child) MUST_CHECK;
enum status core_pd_quota(uint32_t child, uint64_t give, uint64_t take) MUST_CHECK;

#endif
