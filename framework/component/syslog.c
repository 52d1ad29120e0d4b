/* SPDX-License-Identifier: MIT */
/* Reading the system log. */
#include "framework/session/syslog.h"

size_t syslog_read(const struct syslog_shared *log, uint64_t *position, char *buffer, size_t size, uint64_t *lost)
{
    uint64_t produced = __atomic_load_n(&log->produced, __ATOMIC_ACQUIRE), skip = 0, after;
    size_t count;

    *lost = 0;
    if (produced - *position > SYSLOG_SIZE) {
        *lost = produced - SYSLOG_SIZE - *position;
        *position = produced - SYSLOG_SIZE;
    }
    count = produced - *position < size ? (size_t)(produced - *position) : size;
    for (size_t i = 0; i < count; i++)
        buffer[i] = log->data[(*position + i) % SYSLOG_SIZE];
    /* What the writer has overtaken meanwhile may be torn: drop it. */
    after = __atomic_load_n(&log->produced, __ATOMIC_ACQUIRE);
    if (after - *position > SYSLOG_SIZE)
        skip = after - SYSLOG_SIZE - *position;
    if (skip > count)
        skip = count;
    for (size_t i = skip; i < count; i++)
        buffer[i - skip] = buffer[i];
    *lost += skip;
    *position += count;
    return count - (size_t)skip;
}
