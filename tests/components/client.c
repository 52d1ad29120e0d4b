/* SPDX-License-Identifier: MIT */
/* A client of the adder: sessions apart from each other, many openings, a second CPU, the server's death in a call, and its return. */
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/memory.h"
#include "framework/message.h"
#include "framework/parent.h"
#include "framework/thread.h"
#include "framework/thread_self.h"
#include "tests/components/check.h"

static MUST_CHECK enum status add(const struct session *session, uint64_t operation, uint64_t a, uint64_t b, uint64_t *sum)
{
    struct abi_utcb *utcb = utcb_self();
    enum status status;

    utcb->word[0] = operation;
    utcb->word[1] = a;
    utcb->word[2] = b;
    status = request(session->slots, 3, 0);
    *sum = utcb->word[1];
    return status;
}

static MUST_CHECK enum status open(struct session *session)
{
    const struct session_arguments arguments = {.service = "adder", .label = "x"};

    return session_open(session, &arguments, 0);
}

static void test_sums(struct checks *c)
{
    struct session one, two;
    uint64_t sum = 0;

    CHECK(c, open(&one) == STATUS_OK && open(&two) == STATUS_OK, "two sessions");
    CHECK(c, add(&one, 0, 1, 2, &sum) == STATUS_OK && sum == 3, "a call");
    CHECK(c, add(&one, 0, 10, 0, &sum) == STATUS_OK && sum == 13, "a second one");
    CHECK(c, add(&two, 0, 5, 0, &sum) == STATUS_OK && sum == 5, "the other session has a sum of its own");
    session_close(&one);
    CHECK(c, add(&one, 0, 1, 1, &sum) == STATUS_ABORTED, "a closed session is not there any more");
    CHECK(c, add(&two, 0, 1, 0, &sum) == STATUS_OK && sum == 6, "the other one is");
    session_close(&two);
}

static void test_many(struct checks *c)
{
    struct session session;
    uint64_t sum = 0;
    unsigned good = 0;

    for (unsigned i = 0; i < 200; i++) {
        if (open(&session) != STATUS_OK)
            break;
        good += add(&session, 0, i, 0, &sum) == STATUS_OK && sum == i;
        session_close(&session);
    }
    CHECK(c, good == 200, "200 sessions, one after the other (%u)", good);
}

static void other_cpu(void *argument)
{
    struct session session;
    uint64_t *sum = argument;
    enum status status = open(&session);

    if (status == STATUS_OK)
        status = add(&session, 0, 20, 22, sum);
    if (status != STATUS_OK)
        log_print("# on CPU %u: %s", cpu_self(), status_name(status));
}

static void test_cpu(struct checks *c)
{
    uint64_t mask = component_info()->cpu_mask & ~(1ull << component_info()->cpu), sum = 0;
    struct thread_config config = {.function = other_cpu, .argument = &sum};
    static struct thread thread;
    enum status status;

    if (!mask) {
        log_print("# one CPU: nothing to call from");
        return;
    }
    config.cpu = (unsigned)__builtin_ctzll(mask);
    status = thread_start(&thread, &config);
    CHECK(c, status == STATUS_OK, "a thread on CPU %u: %s", config.cpu, status_name(status));
    CHECK(c, status == STATUS_OK && thread_join(&thread, 0) == STATUS_OK && sum == 42, "a session from there (%lu)", sum);
}

static uint64_t *shared(struct checks *c, const struct session *session, struct mapping *memory)
{
    CHECK(c, session->caps == 2 && memory_attach(memory, session->slots + 1, ABI_PERM_MEM_R | ABI_PERM_MEM_W) == STATUS_OK,
          "shared memory");
    return memory->address;
}

/* Memory of a server that ends its session, and of one that dies: the client goes on. */
static void test_shared(struct checks *c)
{
    struct session session;
    struct mapping memory;
    struct core_quota before, after;
    uint64_t *word;

    CHECK(c, core_quota(&before) == STATUS_OK, "quota");
    CHECK(c, open(&session) == STATUS_OK, "a session");
    word = shared(c, &session, &memory);
    CHECK(c, *word == 4711, "what the server wrote");
    session_close(&session);
    while (*(volatile uint64_t *)word == 4711)
        ;
    CHECK(c, *word == 0, "the closed session's memory is empty");
    *word = 1;
    CHECK(c, *word == 1, "and can be written");
    memory_detach(&memory);
    CHECK(c, core_quota(&after) == STATUS_OK && before.ram_used == after.ram_used && before.objects_used == after.objects_used,
          "nothing of the quota is lost");
}

static void test_death(struct checks *c)
{
    struct session session, again;
    struct mapping memory;
    uint64_t sum, *word;

    CHECK(c, open(&session) == STATUS_OK, "a session");
    word = shared(c, &session, &memory);
    CHECK(c, add(&session, 1, 0, 0, &sum) == STATUS_ABORTED, "a call that kills the server is aborted");
    CHECK(c, hc_down(session.notify, ABI_SM_ALL, 0) == ABI_OK, "the client is signalled");
    while (session_update(&session, NULL) == SESSION_OPEN)
        (void)hc_down(session.notify, ABI_SM_ALL, 0);
    CHECK(c, session_update(&session, NULL) == SESSION_CLOSED, "the session is closed");
    *word += 1;
    CHECK(c, *word == 1, "the dead server's memory is there, but empty");
    CHECK(c, open(&again) == STATUS_OK, "a session with the restarted server");
    CHECK(c, add(&again, 0, 1, 1, &sum) == STATUS_OK && sum == 2, "it works");
    session_close(&session);
    session_close(&again);
}

int main(void)
{
    struct checks checks = {0};

    test_sums(&checks);
    test_many(&checks);
    test_cpu(&checks);
    test_shared(&checks);
    test_death(&checks);
    return checks_done(&checks);
}
