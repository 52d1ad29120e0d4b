/* SPDX-License-Identifier: MIT */
/*
 * The system log: lines of all components with their labels, kept in shared memory for a reader, and written to the raw console while
 * nobody reads. Under core's lock.
 */
#ifndef FRAMEWORK_CORE_SYSLOG_H
#define FRAMEWORK_CORE_SYSLOG_H

#include "framework/core/state.h"

/* Text of a component; complete lines are put out. Control characters become dots. */
void syslog_text(struct core *core, struct pd *pd, const char *text, size_t size);

/* A line of core's own. */
__attribute__((format(printf, 2, 3)))
void syslog_print(struct core *core, const char *format, ...);

/* Core's own log memory; before that, lines go to the console only. */
enum status syslog_init(struct core *core) MUST_CHECK;

/* A PD begins to read; the console falls silent. A PD ends: if it was the reader the console speaks again. */
enum status syslog_reader_set(struct core *core, struct pd *pd, uint32_t signal) MUST_CHECK;
void syslog_reader_gone(struct core *core, struct pd *pd);

/* The serial port is given to a driver, or comes back. */
void syslog_serial(struct core *core, bool available);

#endif
