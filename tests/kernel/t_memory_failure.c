/* SPDX-License-Identifier: MIT */
/* Every allocation of every hypercall fails once: the call says OUT_OF_MEMORY, and the kernel is as it was before. */
#include "remote.h"
#include "rig.h"

#include "abi/debug.h"

static void fail_at(uint64_t k)
{
    struct call c = {.rsi = k};
    check_is(call_raw(call_id(ABI_DEBUG, ABI_DEBUG_FAIL_AT, 0), &c), ABI_OK);
}

/* Operations under test: selectors from `s` up are theirs; undo() takes back what a success made. */
struct operation {
    const char *name;
    uint64_t (*run)(uint64_t s);
    void (*undo)(uint64_t s);
    bool virtualization;
};

#define REMOTE 45

static uint64_t run_pd(uint64_t s) { return create_pd(s, OWN_PD, 16); }
static uint64_t run_obj(uint64_t s) { return create_space(s, s + 40, ABI_SPACE_OBJ); }
static uint64_t run_hst(uint64_t s) { return create_space(s, s + 40, ABI_SPACE_HST); }
static uint64_t run_gst(uint64_t s) { return create_space(s, OWN_PD, ABI_SPACE_GST); }
static uint64_t run_pio(uint64_t s) { return create_space(s, OWN_PD, ABI_SPACE_PIO); }
static uint64_t run_msr(uint64_t s) { return create_space(s, OWN_PD, ABI_SPACE_MSR); }
static uint64_t run_local(uint64_t s) { return create_local(s, OWN_PD, 0x7000000000, 0, 0, ~0ull); }
static uint64_t run_thread(uint64_t s) { return create_thread(s, OWN_PD, 0x7100000000, 0, 0, ~0ull, 0x1000); }
static uint64_t run_vcpu(uint64_t s) { return create_vcpu(s, OWN_PD, 0x7200000000, 0, s + 41, ~0ull, ~0ull); }
static uint64_t run_pt(uint64_t s) { return create_pt(s, OWN_PD, s + 42, 0x1000, 0); }
static uint64_t run_sc(uint64_t s) { return create_sc(s, OWN_PD, s + 43, 1, 1000); }
static uint64_t run_sm(uint64_t s) { return create_sm(s, OWN_PD, 0); }
static uint64_t run_delegate(uint64_t s)
{
    return delegate(OWN_OBJ, s + REMOTE + REMOTE_OBJ, OWN_PD, 100000, 9, 31, 0);
}
/* Two capabilities in a message: the receiver pays. */
static uint64_t run_message(uint64_t s)
{
    uint64_t status = remote_open(s + REMOTE, utcb_root(), 200 * 512 - 1, 2), descriptor = ABI_MSG_CAPS | 2u << ABI_MSG_CAP_SHIFT;
    utcb_root()->send[0] = (s + 55) << 8 | ABI_PERM_SM_UP;
    utcb_root()->send[1] = (s + 56) << 8 | ABI_PERM_SM_UP;
    return status ? status : ipc_call(s + REMOTE + REMOTE_ECHO, 0, &descriptor);
}
static uint64_t run_memory(uint64_t s)
{
    (void)s;
    return delegate(OWN_HST, OWN_HST, GUEST / PAGE, 0x7300000ff, 16, 1, 0); // across the border of two tables
}
static uint64_t run_guest(uint64_t s) { return delegate(OWN_HST, s + 41, GUEST / PAGE, 0x3ffff8, 16, 1, 0); }

static void undo_slot(uint64_t s) { check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK); }
static void undo_delegate(uint64_t s) { check_is(revoke(s + REMOTE + REMOTE_OBJ, 100000, 9, ABI_REVOKE_SELF), ABI_OK); }
static void undo_message(uint64_t s) { check_is(revoke(OWN_OBJ, s + 55, 2, 0), ABI_OK); }
static void undo_memory(uint64_t s)
{
    (void)s;
    check_is(revoke(OWN_HST, 0x7300000ff, 16, ABI_REVOKE_SELF), ABI_OK);
}
static void undo_guest(uint64_t s) { check_is(revoke(s + 41, 0x3ffff8, 16, ABI_REVOKE_SELF), ABI_OK); }

static const struct operation operations[] = {
    {"create PD", run_pd, undo_slot, false},
    {"create OBJ", run_obj, undo_slot, false},
    {"create HST", run_hst, undo_slot, false},
    {"create GST", run_gst, undo_slot, true},
    {"create PIO", run_pio, undo_slot, false},
    {"create MSR", run_msr, undo_slot, false},
    {"create local EC", run_local, undo_slot, false},
    {"create thread", run_thread, undo_slot, false},
    {"create vCPU", run_vcpu, undo_slot, true},
    {"create PT", run_pt, undo_slot, false},
    {"create SC", run_sc, undo_slot, false},
    {"create SM", run_sm, undo_slot, false},
    {"delegate objects", run_delegate, undo_delegate, false},
    {"delegate memory", run_memory, undo_memory, false},
    {"delegate to a guest", run_guest, undo_guest, true},
    {"capabilities in a message", run_message, undo_message, false},
};

static void try_all(const struct operation *o, uint64_t s)
{
    for (uint64_t k = 1; k < 64; k++) {
        struct kernel_state before = kernel_state();
        uint64_t used_before = 0, used_after = 0;
        check_is(quota_query(OWN_PD, &used_before, 0), ABI_OK);
        fail_at(k);
        uint64_t status = o->run(s);
        fail_at(0);
        if (status == ABI_OK) {
            o->undo(s);
            check(k > 1); // it did allocate
            return;
        }
        struct kernel_state after = kernel_state();
        check_is(quota_query(OWN_PD, &used_after, 0), ABI_OK);
        check_is(status, ABI_OUT_OF_MEMORY);
        check_is(after.frames, before.frames);
        check_is(after.objects, before.objects);
        check_is(after.digest, before.digest);
        check_is(used_after, used_before);
    }
    check_at(__FILE__, __LINE__, false, o->name);
}

void suite_memory_failure(void)
{
    if (!(test_info->features & ABI_FEATURE_ASSERT)) {
        check_skip("failing allocations", "release kernel: `make MODE=debug` has the hook");
        return;
    }
    bool virtualization = test_info->features & (ABI_FEATURE_SVM | ABI_FEATURE_VTX);
    uint64_t s = sel_take(64), frame = frames_take(GUEST_PAGES);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, GUEST / PAGE, GUEST_PAGES, ABI_PERM_MEM_ALL, 0), ABI_OK);
    check_is(create_pd(s + 40, OWN_PD, 64), ABI_OK); // without spaces
    check_is(create_local(s + 42, OWN_PD, utcb_address(1), 0, 0, ~0ull), ABI_OK);
    check_is(create_thread(s + 43, OWN_PD, utcb_address(2), 0, 0, ~0ull, 0x1000), ABI_OK);
    check(remote_create(s + REMOTE, 64, 0));
    check_is(create_sm(s + 55, OWN_PD, 0), ABI_OK);
    check_is(create_sm(s + 56, OWN_PD, 0), ABI_OK);
    if (virtualization)
        check_is(create_space(s + 41, OWN_PD, ABI_SPACE_GST), ABI_OK);
    for (unsigned i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (virtualization || !operations[i].virtualization)
            try_all(&operations[i], s);
    check_is(revoke(OWN_OBJ, s, 64, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, GUEST / PAGE, GUEST_PAGES, ABI_REVOKE_SELF), ABI_OK);
}
