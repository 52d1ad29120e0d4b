/* SPDX-License-Identifier: MIT */
/* Client of the rtc session. */
#include "framework/session/rtc.h"

enum status rtc_ask(struct rtc_time *time, uint64_t deadline)
{
    const struct session_arguments arguments = {.service = "rtc", .label = ""};
    struct session session;
    enum status status = session_open(&session, &arguments, deadline);

    if (status != STATUS_OK)
        return status;
    *time = (struct rtc_time){.ns = session.word[0], .uncertainty = session.word[1]};
    session_close(&session);
    return STATUS_OK;
}
