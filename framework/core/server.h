/* SPDX-License-Identifier: MIT */
/* The one instance of core, for its entry ECs: a call brings no pointer along but the portal's id. */
#ifndef FRAMEWORK_CORE_SERVER_H
#define FRAMEWORK_CORE_SERVER_H

#include "framework/core/state.h"

struct core *core_instance(void);

#endif
