/* SPDX-License-Identifier: MIT */
/* The start and the end of a component. */
#include "framework/base/start.h"
#include "framework/component.h"
#include "framework/core.h"
#include "framework/memory.h"
#include "framework/message.h"
#include "framework/parent.h"
#include "framework/thread_self.h"
#include "lib/format.h"

#define LOG_LINE 240u

void start_program(void)
{
    const struct component_info *info = component_info();

    if (info->magic != COMPONENT_MAGIC || info->version != COMPONENT_VERSION)
        __builtin_trap();
    if (start_base(info->cpu, SEL_EVENT + info->cpu_count * SEL_EVENT_STRIDE) != STATUS_OK || memory_start() != STATUS_OK ||
        heap_start() != STATUS_OK)
        __builtin_trap(); // the kernel memory quota is too small even for this: the parent is told by the fault
    component_exit((uint64_t)(unsigned)main());
}

void component_exit(uint64_t code)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = PARENT_EXIT;
    utcb->word[1] = code;
    if (request(SEL_PARENT + cpu_self(), 2, 0) != STATUS_OK)
        log_print("exit with %lu: nobody to tell", code);
    start_halt();
}

void log_print(const char *format, ...)
{
    char line[LOG_LINE + 1];
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_string_va(line, LOG_LINE, format, arguments);
    va_end(arguments);
    length = length < LOG_LINE ? length : LOG_LINE - 1;
    line[length] = '\n';
    core_log(line, length + 1);
}
