/* SPDX-License-Identifier: MIT */
/* Delegation: objects, memory, ports; permissions only shrink; a failed call changes nothing. */
#include "ktest.h"

static volatile uint64_t *word_at(uint64_t page)
{
    return (volatile uint64_t *)(page * PAGE);
}

static void objects(void)
{
    uint64_t s = sel_take(4), t = sel_take(1200), done = 0;
    for (unsigned i = 0; i < 512; i++)
        check_is(create_sm(t + i, OWN_PD, i), ABI_OK);
    check(child_create(s, 200));
    check_is(delegate(OWN_OBJ, s + 1, t, 100, 512, ABI_PERM_OBJ_ALL, &done), ABI_OK);
    check_is(done, 512);
    check_is(delegate(OWN_OBJ, s + 1, t, 611, 1, ABI_PERM_OBJ_ALL, 0), ABI_OCCUPIED);
    check_is(delegate(OWN_OBJ, s + 1, t, 612, 0, ABI_PERM_OBJ_ALL, &done), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_OBJ, s + 1, t, ABI_SEL_MAX, 2, ABI_PERM_OBJ_ALL, 0), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_OBJ, s + 1, ABI_SEL_MAX, 700, 2, ABI_PERM_OBJ_ALL, 0), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_OBJ, s + 2, t, 700, 1, ABI_PERM_OBJ_ALL, 0), ABI_BAD_PARAMETER); // kinds do not fit
    check_is(delegate(OWN_OBJ, s + 1, t + 600, 700, 8, ABI_PERM_OBJ_ALL, &done), ABI_OK); // nothing there
    check_is(done, 0);
    /* Back into our own space with fewer permissions, and from there no more than those. */
    check_is(delegate(s + 1, OWN_OBJ, 101, t + 512, 1, ABI_PERM_SM_UP, 0), ABI_OK);
    check_is(sm_up(t + 512), ABI_OK);
    check_is(sm_down(t + 512, 0, 1, 0), ABI_BAD_CAPABILITY);
    check_is(delegate(OWN_OBJ, OWN_OBJ, t + 512, t + 513, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(sm_down(t + 513, 0, 1, 0), ABI_BAD_CAPABILITY);
    uint64_t taken = 0;
    check_is(sm_down(t + 1, ABI_SM_ALL, 1, &taken), ABI_OK);
    check_is(taken, 2); // one at creation, one through the derived capability
    check_is(revoke(OWN_OBJ, t, 1200, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
}

/* Deeper than ABI_DEPTH_MAX is refused. */
static void depth(void)
{
    uint64_t t = sel_take(64), status = ABI_OK;
    unsigned i = 0;
    check_is(create_sm(t, OWN_PD, 0), ABI_OK);
    while (i < 63 && (status = delegate(OWN_OBJ, OWN_OBJ, t + i, t + i + 1, 1, ABI_PERM_OBJ_ALL, 0)) == ABI_OK)
        i++;
    check_is(status, ABI_OVERFLOW);
    check(i >= 16 && i <= ABI_DEPTH_MAX);
    check_is(revoke(OWN_OBJ, t, 64, ABI_REVOKE_SELF), ABI_OK);
}

static void memory(void)
{
    uint64_t frame = frames_take(1024), at = TEST_MEMORY / PAGE, done;
    check(frame != 0);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, at, 16, ABI_PERM_MEM_R | ABI_PERM_MEM_W, &done), ABI_OK);
    check_is(done, 16);
    for (unsigned i = 0; i < 16; i++)
        *word_at(at + i) = 0x1234567800 + i;
    check_is(delegate(OWN_HST, OWN_HST, at + 4, at + 32, 4, ABI_PERM_MEM_R, 0), ABI_OK);
    check_is(*word_at(at + 33), 0x1234567805);
    *word_at(at + 5) = 77;
    check_is(*word_at(at + 33), 77);
    check_is(delegate(OWN_HST, OWN_HST, at, at + 33, 4, ABI_PERM_MEM_R, 0), ABI_OCCUPIED);
    check_is(delegate(OWN_HST, OWN_HST, at, ABI_USER_END / PAGE, 1, ABI_PERM_MEM_R, 0), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_HST, OWN_HST, at, (1ull << 52) - 1, 1, ABI_PERM_MEM_R, 0), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_HST, OWN_HST, at, ~0ull, 1, ABI_PERM_MEM_R, 0), ABI_BAD_PARAMETER);
    /* A UTCB is the kernel's: not for delegation. */
    check_is(delegate(OWN_HST, OWN_HST, ABI_ROOT_UTCB / PAGE, at + 64, 1, ABI_PERM_MEM_R, &done), ABI_OK);
    check_is(done, 0);
    /* 2 MiB pages: 1024 frames need two entries, so one call takes them; 1024 small ones are too many. */
    uint64_t large = TEST_MEMORY / PAGE + 512;
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, large + 1, 600, ABI_PERM_MEM_R, 0), ABI_BAD_PARAMETER);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, large, 1024, ABI_PERM_MEM_R | ABI_PERM_MEM_W, &done), ABI_OK);
    check_is(done, 1024);
    check_is(*word_at(large + 5), 77);
    *word_at(large + 1023) = 5;
    check_is(delegate(OWN_HST, OWN_HST, large, large + 2048 + 1, 1024, ABI_PERM_MEM_R, 0), ABI_BAD_PARAMETER);
    check_is(delegate(OWN_HST, OWN_HST, large, large + 2048, 1024, ABI_PERM_MEM_R, &done), ABI_OK);
    check_is(*word_at(large + 2048 + 1023), 5);
    check_is(revoke(OWN_HST, large, 1024, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, at, 64, ABI_REVOKE_SELF), ABI_OK);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, at, 16, ABI_PERM_MEM_R, &done), ABI_OK); // free again
    check_is(revoke(OWN_HST, at, 16, ABI_REVOKE_SELF), ABI_OK);
}

static void kernel_memory(void)
{
    for (unsigned i = 0; i < test_info->range_count; i++) {
        const struct abi_memory_range *r = &test_info->range[i];
        uint64_t done = 1;
        if (r->type != ABI_MEMORY_KERNEL || r->size < PAGE)
            continue;
        uint64_t first = r->base / PAGE, last = (r->base + r->size - 1) / PAGE;
        const uint64_t pages[] = {first, last, (first + last) / 2};
        for (unsigned k = 0; k < 3; k++) {
            uint64_t status = delegate(ABI_SEL_PHYS, OWN_HST, pages[k], TEST_MEMORY / PAGE, 1, ABI_PERM_MEM_R, &done);
            check(status != ABI_OK || done == 0);
        }
    }
}

static void ports(void)
{
    uint64_t done;
    check_is(delegate(ABI_SEL_ALL_PIO, OWN_PIO, 0x60, 0x61, 1, ABI_PERM_PIO, 0), ABI_BAD_PARAMETER); // ports keep their number
    check_is(delegate(ABI_SEL_ALL_PIO, OWN_PIO, 0xffff, 0xffff, 2, ABI_PERM_PIO, 0), ABI_BAD_PARAMETER);
    check_is(delegate(ABI_SEL_ALL_PIO, OWN_PIO, 0x70, 0x70, 2, ABI_PERM_PIO, &done), ABI_OK);
    check_is(done, 2);
    uint8_t value = 0x0f;
    __asm__ volatile("outb %0, $0x70" : : "a"(value));
    __asm__ volatile("inb $0x71, %0" : "=a"(value));
    check_is(revoke(OWN_PIO, 0x70, 2, ABI_REVOKE_SELF), ABI_OK);
}

void suite_delegate(void)
{
    objects();
    depth();
    memory();
    kernel_memory();
    ports();
}
