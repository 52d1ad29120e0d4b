/* SPDX-License-Identifier: MIT */
/*
 * The victim: computes checksums over memory that it keeps checking, makes and ends threads and sessions, and
 * serves "victim", until every attack has told it so: a session with the label "done". Its configuration says how
 * many there are: <config attacks="N"/>.
 */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/memory.h"
#include "framework/parent.h"
#include "framework/session/rom.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "lib/align.h"
#include "lib/checksum.h"
#include "lib/string.h"
#include "lib/text.h"

#define BUFFER  (512u << 10)
#define CRC     0x2cfa8e5eu // of the pattern below, by Python's zlib.crc32
#define LIMIT_S 90u
#define PAUSE_MS 20u
#define LINGER_MS 1000u

struct victim {
    uint32_t signal;
    uint8_t *buffer;
    char     config[64]; // as it was at the start
    size_t   config_size;
    uint64_t done, wanted;
};

static void fill(uint8_t *buffer)
{
    for (uint32_t i = 0; i < BUFFER; i++)
        buffer[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* Other threads work on the same numbers, on each CPU. */
static void compute(void *argument)
{
    struct victim *victim = argument;

    if (checksum_crc32(0, victim->buffer, BUFFER) != CRC) {
        log_print("WRONG checksum on CPU %u", cpu_self());
        __builtin_trap();
    }
}

static bool compute_everywhere(struct victim *victim)
{
    static struct thread threads[ABI_CPU_MAX];
    const struct component_info *info = component_info();

    for (unsigned cpu = 0; cpu < info->cpu_count; cpu++) {
        struct thread_config config = {.function = compute, .argument = victim, .cpu = cpu};

        if (!(info->cpu_mask >> cpu & 1))
            continue;
        if (thread_start(&threads[cpu], &config) != STATUS_OK || thread_join(&threads[cpu], 0) != STATUS_OK)
            return false;
        thread_end(&threads[cpu]);
    }
    return true;
}

/* Fresh memory is zero, and its own configuration is what it was. */
static bool resources(const struct victim *victim)
{
    struct mapping memory;
    struct rom rom;
    bool zero = true, same;

    if (memory_alloc(&memory, 16 * PAGE_SIZE, PAGE_SIZE) != STATUS_OK)
        return false;
    for (uint32_t i = 0; i < 16 * PAGE_SIZE / 8; i++)
        zero = zero && ((uint64_t *)memory.address)[i] == 0;
    memset(memory.address, 0x5a, 16 * PAGE_SIZE);
    memory_free(&memory);
    if (rom_open(&rom, "config") != STATUS_OK)
        return false;
    same = rom.size == victim->config_size && memcmp(rom.memory.address, victim->config, rom.size) == 0;
    rom_close(&rom);
    return zero && same;
}

/* The session stays open: nobody else may close it, or look at it. */
static bool read_config(struct victim *victim)
{
    struct rom rom;
    size_t at = 0, digits = 0;

    if (rom_open(&rom, "config") != STATUS_OK)
        return false;
    victim->config_size = MIN(rom.size, sizeof victim->config);
    memcpy(victim->config, rom.memory.address, victim->config_size);
    while (at < victim->config_size && (victim->config[at] < '0' || victim->config[at] > '9'))
        at++;
    while (at + digits < victim->config_size && victim->config[at + digits] >= '0' && victim->config[at + digits] <= '9')
        digits++;
    return text_to_u64(victim->config + at, digits, &victim->wanted);
}

static void serve(struct victim *victim)
{
    struct session_request request;
    const char *label;

    while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE) {
        if (request.kind != SESSION_REQUEST_OPEN)
            continue;
        slots_remove(request.slots, SESSION_CLIENT_CAPS);
        (void)!service_answer(request.id, STATUS_OK, NULL, NULL, 0); // refused when the client is gone
        label = request.label + strlen(request.label);
        while (label > request.label && label[-1] != '/')
            label--;
        if (strcmp(label, "done") == 0) {
            victim->done++;
            log_print("%s", request.label);
        }
    }
}

int main(void)
{
    static struct victim victim;
    struct mapping memory;
    uint64_t end = tsc_now() + LIMIT_S * 1000 * component_info()->tsc_khz;
    uint64_t longest = 0, begin;
    unsigned rounds = 0;

    victim.signal = slots_alloc(1);
    if (!read_config(&victim) || hc_create_sm(victim.signal, SEL_PD, 0) != ABI_OK ||
        memory_alloc(&memory, BUFFER, PAGE_SIZE) != STATUS_OK || service_announce(victim.signal) != STATUS_OK)
        return 3;
    victim.buffer = memory.address;
    fill(victim.buffer);
    for (; victim.done < victim.wanted && tsc_now() < end; rounds++) {
        begin = tsc_now();
        if (!compute_everywhere(&victim)) {
            log_print("WRONG: no thread");
            return 2;
        }
        if (!resources(&victim)) {
            log_print("WRONG memory or configuration");
            return 2;
        }
        serve(&victim);
        longest = MAX(longest, tsc_now() - begin);
        /* Attackers of a lower priority must get their time. */
        (void)hc_down(victim.signal, ABI_SM_ALL, tsc_now() + PAUSE_MS * component_info()->tsc_khz);
    }
    /* The last one's session is to be open when it looks. */
    end = tsc_now() + LINGER_MS * component_info()->tsc_khz;
    do
        serve(&victim);
    while (hc_down(victim.signal, ABI_SM_ALL, end) == ABI_OK);
    log_print("%u rounds were right, the longest took %lu ms; %lu attacks are over", rounds, longest / component_info()->tsc_khz,
              victim.done);
    return victim.done < victim.wanted;
}
