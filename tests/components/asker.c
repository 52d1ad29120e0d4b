/* SPDX-License-Identifier: MIT */
/*
 * Opens sessions by every kind of route that tests/components/sessions.t configures. Its last act is a port access
 * after the session to it was closed.
 */
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/parent.h"
#include "framework/session/device.h"
#include "framework/session/rom.h"
#include "framework/session/rtc.h"
#include "framework/slots.h"
#include "tests/components/check.h"

#define WAIT_MS   10000u // what is refused is refused at once
#define SECOND_MS 1200u  // a change of the clock's second lies in it
#define EXACT_NS  100000000u

static uint64_t in_ms(uint64_t ms)
{
    return tsc_now() + ms * component_info()->tsc_khz;
}

static enum status open(struct session *session, const char *service, const char *label)
{
    const struct session_arguments arguments = {.service = service, .label = label, .word = {77}};

    return session_open(session, &arguments, in_ms(WAIT_MS));
}

static enum status try(const char *service, const char *label)
{
    struct session session;
    enum status status = open(&session, service, label);

    if (status == STATUS_OK)
        session_close(&session);
    return status;
}

static void test_routes(struct checks *c)
{
    struct session session;
    struct rom rom;

    CHECK(c, open(&session, "echo", "one") == STATUS_OK && session.word[0] == 77, "a session, and its words come back");
    session_close(&session);
    CHECK(c, try("echo", "two") == STATUS_OK, "a label that the route replaces");
    CHECK(c, try("echo", "three") == STATUS_DENIED, "a label without a route");
    CHECK(c, try("echo", "") == STATUS_DENIED, "no label: no route either");
    CHECK(c, try("ECHO", "one") == STATUS_DENIED, "names are case sensitive");
    CHECK(c, try("unprovided", "") == STATUS_NOT_FOUND, "a child that does not provide it");
    CHECK(c, try("unknown", "") == STATUS_NOT_FOUND, "a child that there is not");
    CHECK(c, rom_open(&rom, "data") == STATUS_OK && rom.size > 10, "a ROM under a name of its own");
    rom_close(&rom);
    CHECK(c, rom_open(&rom, "gone") == STATUS_NOT_FOUND, "a module that there is not");
    CHECK(c, rom_open(&rom, "config") == STATUS_OK && rom.size == 15, "its own configuration");
    rom_close(&rom);
}

static void test_servers(struct checks *c)
{
    struct session session, waiting;
    uint64_t start;
    const struct session_arguments sleeping = {.service = "sleep", .label = ""};

    CHECK(c, open(&session, "quit", "") == STATUS_OK, "a server that ends after its answer");
    while (session_update(&session, NULL) == SESSION_OPEN)
        if (hc_down(session.notify, ABI_SM_ALL, in_ms(WAIT_MS)) != ABI_OK)
            break;
    CHECK(c, session_update(&session, NULL) == SESSION_CLOSED, "its client is told");
    session_close(&session);
    CHECK(c, try("quit", "") == STATUS_ABORTED, "it is not started again, and nobody waits for it");
    CHECK(c, try("never", "") == STATUS_ABORTED, "nor for one that could not be started");
    CHECK(c, try("crash", "") == STATUS_ABORTED, "a server that faults while it is asked");
    CHECK(c, try("crash", "") == STATUS_ABORTED, "and again after its restart");
    start = tsc_now();
    CHECK(c, session_open(&session, &sleeping, in_ms(200)) == STATUS_TIMEOUT && tsc_now() - start >= 200 * component_info()->tsc_khz,
          "one that does not answer: the deadline");
    CHECK(c, session_request(&waiting, &sleeping) == STATUS_OK && session_update(&waiting, NULL) == SESSION_PENDING,
          "one that does not answer: pending");
    session_close(&waiting);
    CHECK(c, try("echo", "one") == STATUS_OK, "the first server is still there");
}

/* What the script says the clock shows is 2031-05-06 07:08:09 at the start. */
static void test_clock(struct checks *c)
{
    struct rtc_time time = {0};
    uint64_t now, expected = 1935817689;

    CHECK(c, rtc_ask(&time, in_ms(WAIT_MS)) == STATUS_OK, "the clock answers");
    now = (time.ns + (uint64_t)((unsigned __int128)tsc_now() * 1000000 / component_info()->tsc_khz)) / 1000000000;
    CHECK(c, now >= expected && now < expected + 60, "it is %lu, %lu s after the start", now, now - expected);
    CHECK(c, time.uncertainty <= 500000000, "give or take %lu us", time.uncertainty / 1000);
}

/* On a busy machine it may take more than one change of the second. */
static void test_clock_again(struct checks *c)
{
    struct rtc_time first = {0}, second = {.uncertainty = UINT64_MAX};
    uint32_t never = slots_alloc(1);
    unsigned tries = 0;

    CHECK(c, hc_create_sm(never, SEL_PD, 0) == ABI_OK && rtc_ask(&first, 0) == STATUS_OK, "the clock answers again");
    while (second.uncertainty > EXACT_NS && tries++ < 10)
        if (hc_down(never, 0, in_ms(SECOND_MS)) != ABI_TIMEOUT || rtc_ask(&second, 0) != STATUS_OK)
            break;
    CHECK(c, second.uncertainty <= EXACT_NS, "later it knows better: give or take %lu us", second.uncertainty / 1000);
    CHECK(c, second.ns - first.ns + first.uncertainty <= 2 * first.uncertainty, "and not otherwise");
}

static void test_ports(struct checks *c)
{
    struct session ports;

    CHECK(c, io_port_open(&ports, 0x3f8, 1) == STATUS_DENIED, "ports outside of the route");
    CHECK(c, io_port_open(&ports, 0x80, 2) == STATUS_DENIED, "ports that reach beyond it");
    CHECK(c, io_port_open(&ports, 0x80, 0) != STATUS_OK, "no ports");
    CHECK(c, io_port_open(&ports, 0x80, 1) == STATUS_OK, "the port in it");
    out8(0x80, 1);
    session_close(&ports);
}

int main(void)
{
    struct checks checks = {0};

    test_clock(&checks);
    test_routes(&checks);
    test_servers(&checks);
    test_clock_again(&checks);
    test_ports(&checks);
    (void)checks_done(&checks);
    out8(0x80, 2);
    log_print("not ok - a port after its session");
    return 1;
}
