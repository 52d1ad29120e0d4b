/* SPDX-License-Identifier: MIT */
/*
 * Driver for a PC's real-time clock (MC146818 and its descendants, ports 0x70 and 0x71): serves "rtc"
 * (framework/session/rtc.h).
 *
 * The clock tells whole seconds. The first answer adds half of one, so nobody's start waits for the clock;
 * meanwhile the driver looks every millisecond, and when the second changes it knows better. Then it sleeps. On a
 * machine too busy to look that often it tries some more times.
 */
#include "drivers/rtc/cmos.h"

#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/session/device.h"
#include "framework/session/rtc.h"
#include "framework/slots.h"

#define RTC_PORT  0x70u // index (bit 7 masks the NMI and stays clear), then data
#define RTC_PORTS 2u

enum rtc_register {
    RTC_SECONDS = 0x00, RTC_MINUTES = 0x02, RTC_HOURS = 0x04, RTC_DAY = 0x07, RTC_MONTH = 0x08, RTC_YEAR = 0x09,
    RTC_A = 0x0a, RTC_B = 0x0b, RTC_CENTURY = 0x32
};

#define SECOND_NS    1000000000ull
#define LOOK_US      1000u
#define EXACT_NS     10000000u // that is near enough
#define SECONDS_MAX  16u       // changes of the second that are waited for
#define UPDATE_US    5000u // an update takes 2 ms at most, with the time before it that is announced
#define READ_RETRIES 8u

struct rtc {
    uint32_t signal;
    struct rtc_time time; // what clients get
    uint8_t  second;      // of the last look
    uint64_t looked;      // when that was
    unsigned changes;     // of the second that were seen
};

static uint8_t rtc_in(enum rtc_register r)
{
    out8(RTC_PORT, (uint8_t)r);
    return in8(RTC_PORT + 1);
}

/* Wait for an update to end. False: there is no clock that ever ends one. */
static bool update_over(void)
{
    uint64_t until = tsc_now() + tsc_of_us(UPDATE_US, component_info()->tsc_khz);

    while (rtc_in(RTC_A) & CMOS_A_UPDATING)
        if (tsc_now() > until)
            return false;
    return true;
}

static void read_registers(struct cmos_time *t)
{
    *t = (struct cmos_time){
        .second = rtc_in(RTC_SECONDS), .minute = rtc_in(RTC_MINUTES), .hour = rtc_in(RTC_HOURS), .day = rtc_in(RTC_DAY),
        .month = rtc_in(RTC_MONTH), .year = rtc_in(RTC_YEAR), .century = rtc_in(RTC_CENTURY), .control_b = rtc_in(RTC_B),
    };
}

static bool same(const struct cmos_time *a, const struct cmos_time *b)
{
    return a->second == b->second && a->minute == b->minute && a->hour == b->hour && a->day == b->day &&
           a->month == b->month && a->year == b->year && a->century == b->century && a->control_b == b->control_b;
}

/* Two readings outside of updates that agree: none fell into the middle of one. */
static bool read_clock(struct cmos_time *time)
{
    struct cmos_time again;

    for (unsigned i = 0; i < READ_RETRIES; i++) {
        if (!update_over())
            return false;
        read_registers(time);
        if (!update_over())
            return false;
        read_registers(&again);
        if (same(time, &again))
            return true;
    }
    return false;
}

static uint64_t ns_of_ticks(uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * 1000000u / component_info()->tsc_khz);
}

/*
 * Take the time, if it is better than what is known: `past` ns of the present second are over, give or take
 * `uncertainty`.
 */
static bool take(struct rtc *rtc, uint64_t past, uint64_t uncertainty)
{
    struct cmos_time time;
    uint64_t seconds, now = tsc_now();

    if (!read_clock(&time) || !cmos_seconds(&time, &seconds))
        return false;
    if (uncertainty < rtc->time.uncertainty)
        rtc->time = (struct rtc_time){seconds * SECOND_NS + past - ns_of_ticks(now), uncertainty};
    rtc->second = time.second;
    rtc->looked = now;
    return true;
}

/* Has the second changed since the last look? Then it began between the two. */
static void look(struct rtc *rtc)
{
    uint64_t now = tsc_now(), since = ns_of_ticks(now - rtc->looked);

    if (!update_over() || rtc_in(RTC_SECONDS) == rtc->second) {
        rtc->looked = now;
        return;
    }
    if (take(rtc, since / 2, since))
        rtc->changes++;
}

static bool looking(const struct rtc *rtc)
{
    return rtc->time.uncertainty > EXACT_NS && rtc->changes < SECONDS_MAX;
}

static void serve(const struct rtc *rtc)
{
    const uint64_t answer[SESSION_WORDS] = {rtc->time.ns, rtc->time.uncertainty};
    struct session_request request;

    while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE) {
        if (request.kind != SESSION_REQUEST_OPEN)
            continue;
        slots_remove(request.slots, SESSION_CLIENT_CAPS);
        (void)!service_answer(request.id, STATUS_OK, answer, NULL, 0); // refused when the client is gone: nothing to do
    }
}

static enum status start(struct rtc *rtc)
{
    struct session ports;
    enum status status;

    rtc->signal = slots_alloc(1);
    if (rtc->signal == SEL_NONE)
        return STATUS_QUOTA;
    if ((status = status_of(hc_create_sm(rtc->signal, SEL_PD, 0))) != STATUS_OK ||
        (status = io_port_open(&ports, RTC_PORT, RTC_PORTS)) != STATUS_OK)
        return status;
    rtc->time.uncertainty = UINT64_MAX;
    if (!take(rtc, SECOND_NS / 2, SECOND_NS / 2))
        return STATUS_UNSUPPORTED;
    return service_announce(rtc->signal);
}

int main(void)
{
    static struct rtc rtc;
    enum status status = start(&rtc);
    enum abi_status woken;

    if (status != STATUS_OK) {
        log_print("no clock that shows a date: %s", status_name(status));
        return 1;
    }
    do {
        serve(&rtc);
        if (looking(&rtc))
            look(&rtc);
        woken = hc_down(rtc.signal, ABI_SM_ALL,
                        looking(&rtc) ? tsc_now() + tsc_of_us(LOOK_US, component_info()->tsc_khz) : 0);
    } while (woken == ABI_OK || woken == ABI_TIMEOUT);
    return 1;
}
