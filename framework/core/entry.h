/* SPDX-License-Identifier: MIT */
/*
 * Core's entry ECs, one for each CPU, and its keepers. A keeper is a thread on each CPU that calls the entry EC of its CPU once
 * whenever a PD has been destroyed: a request whose caller died half way is then finished on the keeper's time, so that core's lock
 * is never left held. It does so too when somebody has waited for the lock for a while: its holder may be a caller of low priority on
 * another CPU, behind others that are in no hurry.
 */
#ifndef FRAMEWORK_CORE_ENTRY_H
#define FRAMEWORK_CORE_ENTRY_H

#include "framework/core/state.h"

/* The address that core's portals enter at. */
void core_entry(void);

enum status entries_init(struct core *core) MUST_CHECK;
void keepers_wake(struct core *core);

/* Core's lock; mutex_unlock() releases it. */
void core_lock(struct core *core);

#endif
