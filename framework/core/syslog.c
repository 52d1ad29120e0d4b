/* SPDX-License-Identifier: MIT */
/* The system log. */
#include "framework/core/dataspace.h"
#include "framework/core/syslog.h"
#include "framework/session/syslog.h"
#include "lib/format.h"
#include "lib/string.h"

static void put(struct core *core, const char *text, size_t size)
{
    struct syslog_shared *log = core->log;

    if (!core->log_reader)
        console_write(&core->console, text, size);
    if (!log)
        return;
    for (size_t i = 0; i < size; i++)
        log->data[(log->produced + i) % SYSLOG_SIZE] = text[i];
    __atomic_store_n(&log->produced, log->produced + size, __ATOMIC_RELEASE);
}

static void signal_reader(struct core *core)
{
    if (core->log_reader && hc_up(CORE_LOG_SM) != ABI_OK)
        syslog_reader_gone(core, &core->pd[core->log_reader]);
}

static void flush(struct core *core, struct pd *pd)
{
    char prefix[LABEL_SIZE + 4];
    size_t length = format_string(prefix, sizeof prefix, "[%s] ", pd->label);

    put(core, prefix, MIN(length, sizeof prefix - 1));
    put(core, pd->line, pd->line_length);
    put(core, "\n", 1);
    pd->line_length = 0;
}

void syslog_text(struct core *core, struct pd *pd, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (c != '\n')
            pd->line[pd->line_length++] = (unsigned char)c < 0x20 && c != '\t' ? '.' : c == 0x7f ? '.' : c;
        if (c == '\n' || pd->line_length == LOG_LINE)
            flush(core, pd);
    }
    signal_reader(core);
}

void syslog_print(struct core *core, const char *format, ...)
{
    char line[LOG_LINE];
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_string_va(line, sizeof line, format, arguments);
    va_end(arguments);
    syslog_text(core, &core->pd[0], line, MIN(length, sizeof line - 1));
    syslog_text(core, &core->pd[0], "\n", 1);
}

enum status syslog_init(struct core *core)
{
    enum status status = dataspace_ram(core, &core->pd[0], sizeof *core->log, PAGE_SIZE, UINT64_MAX, &core->log_dataspace);

    if (status == STATUS_OK)
        status = window_map(&core->dataspace[core->log_dataspace], WINDOW_LOG, (void **)&core->log);
    return status;
}

enum status syslog_reader_set(struct core *core, struct pd *pd, uint32_t signal)
{
    uint64_t one = 1;
    enum status status;

    if (core->log_reader)
        return STATUS_OCCUPIED;
    status = status_of(hc_delegate(pd_slot(core, pd, PD_SLOT_OBJ), SEL_OBJ, signal, CORE_LOG_SM, &one, ABI_PERM_SM_UP));
    if (status == STATUS_OK && one != 1)
        status = STATUS_NOT_FOUND;
    if (status == STATUS_OK)
        core->log_reader = pd_index(core, pd);
    return status;
}

void syslog_reader_gone(struct core *core, struct pd *pd)
{
    if (core->log_reader != pd_index(core, pd) || !core->log_reader)
        return;
    core->log_reader = 0;
    (void)hc_remove(SEL_OBJ, CORE_LOG_SM, 1); // core's own slot: nothing to refuse
}

void syslog_serial(struct core *core, bool available)
{
    if (!available)
        console_serial_stop(&core->console);
    else if (core->console_serial)
        console_serial_start(&core->console);
}
