/* SPDX-License-Identifier: MIT */
/*
 * A server whose name says how it behaves: "server" answers every session and says what was asked; "quitter" exits
 * with 5 shortly after its first answer; "crasher" faults when it is asked; "sleeper" never answers.
 */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/parent.h"
#include "framework/slots.h"
#include "lib/string.h"

static void answer(const struct session_request *request, const char *name)
{
    slots_remove(request->slots, SESSION_CLIENT_CAPS);
    if (strcmp(name, "sleeper") == 0)
        return;
    if (strcmp(name, "crasher") == 0)
        __builtin_trap();
    log_print("service %s label %s word %lu", request->service, request->label, request->word[0]);
    if (service_answer(request->id, STATUS_OK, request->word, NULL, 0) != STATUS_OK)
        log_print("not ok - the answer was refused");
    if (strcmp(name, "quitter") == 0) {
        uint32_t never = slots_alloc(1);

        (void)hc_create_sm(never, SEL_PD, 0); // without it there is no wait, and the client finds the session closed at once
        (void)hc_down(never, 0, tsc_now() + 200 * component_info()->tsc_khz);
        component_exit(5);
    }
}

int main(void)
{
    struct session_request request;
    uint32_t signal = slots_alloc(1);

    if (hc_create_sm(signal, SEL_PD, 0) != ABI_OK || service_announce(signal) != STATUS_OK)
        return 1;
    do
        while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE)
            if (request.kind == SESSION_REQUEST_OPEN)
                answer(&request, component_info()->label);
    while (hc_down(signal, ABI_SM_ALL, 0) == ABI_OK);
    return 1;
}
