/* SPDX-License-Identifier: MIT */
/* Each hypercall with each status it documents, as far as one thread on one CPU can provoke it; the rest is in the suites of its kind. */
#include "ktest.h"

#include "abi/debug.h"

void suite_info(void)
{
    check_is(test_info->magic, ABI_INFO_MAGIC);
    check_is(test_info->version, ABI_VERSION);
    check(test_info->cpu_count >= 1 && test_info->cpu_count <= ABI_CPU_MAX);
    check(test_info->tsc_khz > 10000);
    check(test_info->xstate_size >= 576 && test_info->xstate_size <= 3072);
    check((test_info->xcr0 & 3) == 3);
    check(test_info->root_quota > 100);
    check(test_info->pin_count >= 16);
    uint64_t end = 0, free = 0;
    bool module = false, ordered = true;
    for (unsigned i = 0; i < test_info->range_count; i++) {
        const struct abi_memory_range *r = &test_info->range[i];
        if (r->type == ABI_MEMORY_MODULE)
            module = true;
        if (r->type != ABI_MEMORY_FREE)
            continue;
        ordered = ordered && r->base >= end && !(r->base % PAGE) && !(r->size % PAGE);
        end = r->base + r->size;
        free += r->size;
    }
    check(module);
    check(ordered);
    check(free >= 64u << 20);
    note("CPUs", test_info->cpu_count);
    note("TSC kHz", test_info->tsc_khz);
    note("free MiB", free >> 20);
    note("SVM", !!(test_info->features & ABI_FEATURE_SVM));
    note("TSC deadline", !!(test_info->features & ABI_FEATURE_TSC_DEADLINE));
    note("kernel frames", test_info->pool_frames);
}

static void bad_numbers(void)
{
    struct call c = {0};
    for (unsigned number = ABI_HYPERCALL_COUNT; number < 256; number++)
        if (number != ABI_DEBUG || !(test_info->features & ABI_FEATURE_ASSERT))
            check_is(call_raw(number, &c), ABI_BAD_HYPERCALL);
    static const uint8_t bad_flags[ABI_HYPERCALL_COUNT] = {2, 2, 1, 7, 3, 1, 1, 1, 1, 2, 3, 3, 1, 1, 8, 1, 1, 1};
    for (unsigned number = 0; number < ABI_HYPERCALL_COUNT; number++) {
        if (number == ABI_IPC_REPLY)
            continue;
        c = (struct call){0};
        check_is(call_raw(call_id(number, bad_flags[number], ABI_SEL_FREE + 3), &c), ABI_BAD_HYPERCALL);
    }
    c = (struct call){0};
    check_is(call_raw(call_id(ABI_IPC_REPLY, 0, 0), &c), ABI_BAD_HYPERCALL); // a thread does not answer
}

static void bad_selectors(uint64_t empty)
{
    const uint64_t wrong[] = {empty, ABI_SEL_MAX, ABI_SEL_MAX + 1, (1ull << 47) - 1, ABI_SEL_ROOT_SC};
    uint64_t mtd = 0, reason;
    struct call c;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t sel = wrong[i];
        check_is(ipc_call(sel, 0, &mtd), ABI_BAD_CAPABILITY);
        check_is(create_pd(empty, sel, 16), ABI_BAD_CAPABILITY);
        check_is(create_space(empty, sel, ABI_SPACE_OBJ), ABI_BAD_CAPABILITY);
        check_is(create_local(empty, sel, utcb_address(0), 0, 0, ~0ull), ABI_BAD_CAPABILITY);
        check_is(create_sc(empty, sel, ABI_SEL_ROOT_EC, 1, 1000), ABI_BAD_CAPABILITY);
        check_is(create_sc(empty, OWN_PD, sel, 1, 1000), ABI_BAD_CAPABILITY);
        check_is(create_pt(empty, sel, empty, (uint64_t)portal_entry, 0), ABI_BAD_CAPABILITY);
        check_is(create_pt(empty, OWN_PD, sel, (uint64_t)portal_entry, 0), ABI_BAD_CAPABILITY);
        check_is(create_sm(empty, sel, 0), ABI_BAD_CAPABILITY);
        check_is(delegate(sel, OWN_OBJ, 0, empty, 1, ABI_PERM_OBJ_ALL, 0), ABI_BAD_CAPABILITY);
        check_is(delegate(OWN_OBJ, sel, 0, empty, 1, ABI_PERM_OBJ_ALL, 0), ABI_BAD_CAPABILITY);
        check_is(revoke(sel, 0, 1, 0), ABI_BAD_CAPABILITY);
        check_is(quota_query(sel, 0, 0), ABI_BAD_CAPABILITY);
        check_is(quota_move(ABI_PD_QUOTA_GIVE, OWN_PD, sel, 1), ABI_BAD_CAPABILITY);
        check_is(ctrl_ec(ABI_EC_RECALL, sel, 0), ABI_BAD_CAPABILITY);
        check_is(ctrl_ec(ABI_EC_FETCH, sel, 0), ABI_BAD_CAPABILITY);
        check_is(ctrl_ec(ABI_EC_FS_BASE, sel, 0), ABI_BAD_CAPABILITY);
        c = (struct call){0};
        if (sel != ABI_SEL_ROOT_SC)
            check_is(call_raw(call_id(ABI_CTRL_SC, 0, sel), &c), ABI_BAD_CAPABILITY);
        check_is(call_raw(call_id(ABI_CTRL_PT, 0, sel), &c), ABI_BAD_CAPABILITY);
        check_is(sm_up(sel), ABI_BAD_CAPABILITY);
        check_is(sm_down(sel, 0, 1, 0), ABI_BAD_CAPABILITY);
        check_is(vcpu_run(sel, &reason), ABI_BAD_CAPABILITY);
        check_is(call_raw(call_id(ABI_ASSIGN_INT, 0, sel), &c), ABI_BAD_CAPABILITY);
        check_is(call_raw(call_id(ABI_ASSIGN_DEV, 0, sel), &c), ABI_BAD_CAPABILITY);
    }
}

/* A capability of the right kind without the permission is as good as none. */
static void missing_permissions(void)
{
    uint64_t s = sel_take(8), reason;
    struct call c = {0};
    check_is(delegate(OWN_OBJ, OWN_OBJ, OWN_PD, s, 1, ABI_PERM_PD_CTRL, 0), ABI_OK);
    check_is(create_sm(s + 1, s, 0), ABI_BAD_CAPABILITY);
    check_is(quota_query(s, 0, 0), ABI_OK);
    check_is(delegate(OWN_OBJ, OWN_OBJ, OWN_OBJ, s + 1, 1, ABI_PERM_SPACE_TAKE, 0), ABI_OK);
    check_is(delegate(s + 1, OWN_OBJ, OWN_PD, s + 2, 1, 1, 0), ABI_BAD_CAPABILITY);
    check_is(revoke(s + 1, s, 1, 0), ABI_BAD_CAPABILITY);
    check_is(create_sm(s + 2, OWN_PD, 1), ABI_OK);
    check_is(delegate(OWN_OBJ, OWN_OBJ, s + 2, s + 3, 1, ABI_PERM_SM_UP, 0), ABI_OK);
    check_is(sm_down(s + 3, 0, 1, 0), ABI_BAD_CAPABILITY);
    check_is(sm_up(s + 3), ABI_OK);
    check_is(call_raw(call_id(ABI_ASSIGN_INT, 0, s + 2), &c), ABI_BAD_CAPABILITY); // not an interrupt's
    check_is(vcpu_run(ABI_SEL_ROOT_EC, &reason), ABI_BAD_CAPABILITY);             // not a vCPU
    /* No permission at all is no capability. */
    check(delegate(OWN_OBJ, OWN_OBJ, s + 2, s + 4, 1, 0, 0) != ABI_OK || sm_up(s + 4) == ABI_BAD_CAPABILITY);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
}

static void bad_parameters(void)
{
    uint64_t s = sel_take(8);
    struct call c = {0};
    check_is(create_pd(s, OWN_PD, ABI_PD_QUOTA_MIN - 1), ABI_BAD_PARAMETER);
    check_is(create_pd(s, OWN_PD, 1ull << 40), ABI_OUT_OF_MEMORY);
    check_is(create_pd(s, OWN_PD, ~0ull), ABI_OUT_OF_MEMORY);
    check_is(create_space(s, OWN_PD, ABI_SPACE_OBJ), ABI_BAD_PARAMETER); // it has one
    check_is(create_space(s, OWN_PD, ABI_SPACE_HST), ABI_BAD_PARAMETER);
    check_is(create_space(s, OWN_PD, ABI_SPACE_DMA), ABI_BAD_FEATURE);
    check_is(create_local(s, OWN_PD, utcb_address(0), ABI_CPU_MAX, 0, ~0ull), ABI_BAD_CPU);
    check_is(create_local(s, OWN_PD, utcb_address(0), 0xfff, 0, ~0ull), ABI_BAD_CPU);
    check_is(create_local(s, OWN_PD, ABI_USER_END, 0, 0, ~0ull), ABI_BAD_PARAMETER);
    check_is(create_local(s, OWN_PD, 0xffffffff80000000ull, 0, 0, ~0ull), ABI_BAD_PARAMETER);
    check_is(create_local(s, OWN_PD, 0, 0, 0, ~0ull), ABI_BAD_PARAMETER); // a server needs a UTCB
    check_is(create_local(s, OWN_PD, ABI_ROOT_UTCB, 0, 0, ~0ull), ABI_OCCUPIED);
    check_is(create_local(OWN_PD, OWN_PD, utcb_address(0), 0, 0, ~0ull), ABI_OCCUPIED);
    check_is(create_thread(s, OWN_PD, utcb_address(0), 0, 0, ~0ull, 0xffffffff80000000ull), ABI_BAD_PARAMETER);
    check_is(create_thread(s, OWN_PD, utcb_address(0), 0, 0, ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 1, OWN_PD, s, 0, 1000), ABI_BAD_PARAMETER);
    check_is(create_sc(s + 1, OWN_PD, s, ABI_PRIO_MAX + 1, 1000), ABI_BAD_PARAMETER);
    check_is(create_sc(s + 1, OWN_PD, s, 1, 99), ABI_BAD_PARAMETER);
    check_is(create_sc(s + 1, OWN_PD, s, 1, 1000001), ABI_BAD_PARAMETER);
    check_is(create_sc_on(s + 1, OWN_PD, s, ~1ull), ABI_BAD_CPU);
    check_is(create_sc(s + 1, OWN_PD, ABI_SEL_ROOT_EC, 1, 1000), ABI_BAD_CAPABILITY); // has one already
    check_is(create_pt(s + 1, OWN_PD, s, (uint64_t)portal_entry, 0), ABI_BAD_CAPABILITY); // not a local EC
    check_is(create_local(s + 2, OWN_PD, utcb_address(1), 0, 0, ~0ull), ABI_OK);
    check_is(create_sc(s + 1, OWN_PD, s + 2, 1, 1000), ABI_BAD_CAPABILITY); // not a thread
    check_is(create_pt(s + 1, OWN_PD, s + 2, 0xffffffff80000000ull, 0), ABI_BAD_PARAMETER);
    check_is(create_pt(s + 2, OWN_PD, s + 2, (uint64_t)portal_entry, 0), ABI_OCCUPIED);
    check_is(create_pt(s + 1, OWN_PD, s + 2, (uint64_t)portal_entry, 0), ABI_OK);
    c.rdx = ~0ull;
    check_is(call_raw(call_id(ABI_CTRL_PT, 0, s + 1), &c), ABI_BAD_PARAMETER);
    check_is(create_sm(s + 2, OWN_PD, 0), ABI_OCCUPIED);
    check_is(create_sm(ABI_SEL_MAX + 1, OWN_PD, 0), ABI_BAD_PARAMETER);
    check_is(ctrl_ec(ABI_EC_FS_BASE, ABI_SEL_ROOT_EC, 1ull << 63), ABI_BAD_PARAMETER);
    check_is(ctrl_ec(ABI_EC_FS_BASE, ABI_SEL_ROOT_EC, 0xffffffff80000000ull), ABI_BAD_PARAMETER);
    check_is(ctrl_ec(ABI_EC_FS_BASE, ABI_SEL_ROOT_EC, 0), ABI_OK);
    check_is(revoke(OWN_OBJ, ABI_SEL_MAX, 2, 0), ABI_BAD_PARAMETER);
    check_is(revoke(OWN_OBJ, ~0ull, 1, 0), ABI_BAD_PARAMETER);
    check_is(revoke(OWN_OBJ, 1, ~0ull, 0), ABI_BAD_PARAMETER);
    check_is(create_sm(s + 3, OWN_PD, ~0ull), ABI_OK);
    check_is(sm_up(s + 3), ABI_OVERFLOW);
    c = (struct call){.rsi = ABI_CPU_MAX};
    check_is(call_raw(call_id(ABI_ASSIGN_INT, 0, ABI_SEL_INT_BASE + 4), &c), ABI_BAD_CPU);
    c = (struct call){.rdx = 64};
    check_is(call_raw(call_id(ABI_ASSIGN_INT, 0, ABI_SEL_INT_BASE + 4), &c), ABI_BAD_PARAMETER);
    c = (struct call){0};
    check_is(call_raw(call_id(ABI_CTRL_SC, 0, ABI_SEL_ROOT_SC), &c), ABI_OK);
    check(c.rsi > 0);
    uint64_t first = c.rsi;
    check_is(call_raw(call_id(ABI_CTRL_SC, 0, ABI_SEL_ROOT_SC), &c), ABI_OK);
    check(c.rsi > first);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
}

void suite_status(void)
{
    bad_numbers();
    bad_selectors(sel_take(1));
    missing_permissions();
    bad_parameters();
}
