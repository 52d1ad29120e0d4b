/* SPDX-License-Identifier: MIT */
/* The host interface on the microhypervisor. */
#include "hosts/micro/host.h"

#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/slots.h"
#include "lib/align.h"
#include "lib/string.h"

#include <stdatomic.h>

/* --- Time --- */

uint64_t host_ticks(struct host *host)
{
    (void)host;
    return tsc_now();
}

uint64_t host_ticks_khz(struct host *host)
{
    (void)host;
    return component_info()->tsc_khz;
}

static uint64_t ticks_of_us(uint64_t us)
{
    return us * component_info()->tsc_khz / 1000;
}

uint64_t host_poll_ticks(struct host *host)
{
    (void)host;
    return 0; // the CPU is other components' as well
}

uint64_t host_wall_ns(struct host *host)
{
    return host->wall_ns + (uint64_t)((unsigned __int128)tsc_now() * 1000000 / component_info()->tsc_khz);
}

/* --- Memory --- */

void *host_alloc(struct host *host, size_t size, size_t align)
{
    void *memory = heap_alloc_aligned(size, align < 16 ? 16 : align);

    (void)host;
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void host_free(struct host *host, void *memory)
{
    (void)host;
    heap_free(memory);
}

enum status host_memory(struct host *host, uint64_t size)
{
    uint64_t piece = size;
    enum status status = STATUS_OK;

    while (size && host->chunks < HOST_CHUNKS) {
        uint64_t align = MIN(piece, size) >= LARGE_PAGE ? LARGE_PAGE : PAGE_SIZE;

        status = memory_alloc(&host->chunk[host->chunks], MIN(piece, size), align);
        if (status == STATUS_OK) {
            size -= MIN(host->chunk[host->chunks].size, size);
            host->chunks++;
        }
        else if (piece > LARGE_PAGE)
            piece = ALIGN_UP(piece / 2, LARGE_PAGE);
        else
            return status;
    }
    return size ? STATUS_QUOTA : STATUS_OK;
}

size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max)
{
    size_t count = MIN((size_t)host->chunks, max);

    for (size_t i = 0; i < count; i++)
        chunks[i] = (struct host_chunk){host->chunk[i].address, host->chunk[i].size};
    return count;
}

enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size, bool writable)
{
    unsigned perms = ABI_PERM_MEM_R | ABI_PERM_MEM_X | (writable ? ABI_PERM_MEM_W : 0);
    enum status status = engine_map(&host->engine, gpa, base, size, perms);

    if (status != STATUS_OK)
        log_print("cannot map %lu KiB for the guest at %lx: %s", size >> 10, gpa, status_name(status));
    return status == STATUS_OK ? VMM_OK : status == STATUS_QUOTA ? VMM_NO_MEMORY : VMM_BAD_RANGE;
}

/* --- Locks and events --- */

static uint32_t semaphore_create(void)
{
    uint32_t sm = slots_alloc(1);

    if (sm == SEL_NONE || hc_create_sm(sm, SEL_PD, 0) == ABI_OK)
        return sm;
    slots_free(sm, 1);
    return SEL_NONE;
}

struct host_mutex *host_mutex_create(struct host *host)
{
    struct host_mutex *mutex = host_alloc(host, sizeof *mutex, 64);
    uint32_t sm = mutex ? semaphore_create() : SEL_NONE;

    if (sm == SEL_NONE)
        return NULL;
    mutex_init(&mutex->mutex, sm);
    return mutex;
}

void host_mutex_lock(struct host_mutex *mutex)
{
    mutex_lock(&mutex->mutex);
}

void host_yield(void)
{
    __asm__ volatile("pause");
}

void host_mutex_unlock(struct host_mutex *mutex)
{
    mutex_unlock(&mutex->mutex);
}

struct host_event *host_event_create(struct host *host)
{
    struct host_event *event = host_alloc(host, sizeof *event, 16);

    if (!event)
        return NULL;
    event->host = host;
    event->sm = semaphore_create();
    return event->sm == SEL_NONE ? NULL : event;
}

void host_event_signal(struct host_event *event)
{
    (void)!hc_up(event->sm); // it overflows after 2^64 signals
}

bool host_event_wait(struct host_event *event, uint64_t deadline)
{
    uint64_t from = tsc_now();
    bool signalled = hc_down(event->sm, 0, deadline == HOST_FOREVER ? 0 : MAX(deadline, (uint64_t)1)) == ABI_OK;

    event->host->waited += tsc_now() - from;
    return signalled;
}

/* --- The device thread --- */

/* It sleeps until the earliest deadline it knew of: only an earlier one has to wake it. */
static void wake_before(struct host *host, uint64_t deadline)
{
    if (deadline < host->sleeping)
        (void)!hc_up(host->wake);
}

void host_timer_set(struct host *host, uint64_t deadline)
{
    host->deadline = deadline;
    wake_before(host, deadline);
}

/* What the guest has no room for stays in the ring, but for the byte that it refused, which is held. */
static void read_input(struct host *host)
{
    for (;;) {
        if (!host->held && terminal_read(host->terminal, &host->held_byte, 1) == 0)
            return;
        host->held = vm_console_input(host->vm, HOST_CONSOLE_COM1, &host->held_byte, 1) == 0;
        if (host->held)
            return;
    }
}

/*
 * The terminal's server has ended: ask for another one, without waiting, and output is lost meanwhile as on a line without a listener. The
 * old rings stay mapped, since a vCPU's thread may be writing to them.
 */
static void check_terminal(struct host *host)
{
    enum status status;

    if (!host->next) {
        host->next = heap_alloc(sizeof *host->next);
        if (!host->next || terminal_request(host->next, "", host->wake) != STATUS_OK) {
            host->terminal = NULL;
            log_print("the terminal is lost");
            return;
        }
    }
    status = terminal_poll(host->next);
    if (status == STATUS_PENDING)
        return;
    host->terminal = status == STATUS_OK ? host->next : NULL;
    host->next = NULL;
    host->refused = 1; // what waited for room can go on
    log_print("the terminal is %s", status == STATUS_OK ? "back" : "lost");
}

static void device_work(struct host *host)
{
    uint64_t due = host->deadline;

    if (due <= tsc_now()) {
        /* A deadline that a vCPU sets in this moment stays. */
        (void)atomic_compare_exchange_strong(&host->deadline, &due, HOST_FOREVER);
        vm_timer_due(host->vm);
    }
    if (host->terminal && terminal_lost(host->terminal))
        check_terminal(host);
    if (!host->terminal)
        return;
    read_input(host);
    if (host->unflushed) {
        host->unflushed = 0;
        terminal_flush(host->terminal);
    }
    if (host->refused && ring_free(&host->terminal->output) != 0) {
        host->refused = 0;
        vm_console_ready(host->vm, HOST_CONSOLE_COM1);
    }
}

static uint64_t next_deadline(struct host *host, uint64_t until)
{
    uint64_t deadline = MIN((uint64_t)host->deadline, until);

    return host->unflushed ? MIN(deadline, tsc_now() + ticks_of_us(HOST_FLUSH_US)) : deadline;
}

bool host_run(struct host *host, uint64_t until)
{
    while (!host->ended && tsc_now() < until) {
        uint64_t deadline = next_deadline(host, until);

        host->sleeping = deadline;
        /* Whoever came with something earlier just before saw that we were awake, and did not wake us. */
        if (next_deadline(host, until) >= deadline)
            (void)!hc_down(host->wake, ABI_SM_ALL, deadline == HOST_FOREVER ? 0 : deadline);
        host->sleeping = 0;
        device_work(host);
    }
    return host->ended;
}

void host_vm_ended(struct host *host)
{
    host->ended = 1;
    (void)!hc_up(host->wake);
}

/* --- Streams --- */

size_t host_console_write(struct host *host, enum host_console console, const uint8_t *bytes, size_t n)
{
    struct terminal *terminal = host->terminal;
    size_t taken;

    if (console != HOST_CONSOLE_COM1 || !terminal || terminal_lost(terminal))
        return n; // nobody listens
    taken = terminal_write(terminal, bytes, n);
    if (!host->unflushed) {
        host->unflushed = 1;
        wake_before(host, tsc_now() + ticks_of_us(HOST_FLUSH_US));
    }
    if (taken < n) {
        host->refused = 1;
        if (ring_free(&terminal->output) != 0)
            (void)!hc_up(host->wake); // room was made before we said that we want some
    }
    return taken;
}

void host_console_resume(struct host *host, enum host_console console)
{
    (void)console;
    (void)!hc_up(host->wake);
}

void host_log(struct host *host, const char *line)
{
    (void)host;
    log_print("%s", line);
}

enum status host_init(struct host *host)
{
    memset(host, 0, sizeof *host);
    host->deadline = HOST_FOREVER;
    host->wake = semaphore_create();
    return host->wake == SEL_NONE ? STATUS_QUOTA : STATUS_OK;
}
