/* SPDX-License-Identifier: MIT */
/* An attacker with a PD of its own, and nothing else: what was not delegated cannot be reached. */
#include "ktest.h"

#define CODE 0x400000ull // where the attacker's text page lies in its own space

static volatile uint64_t faults, last_vector, last_address;
static uint64_t resume_sm;

/* Each fault of the attacker is noted, and the attacker moved on past the access (RBX holds the address to go on at). */
static uint64_t warden(uint64_t id, uint64_t mtd)
{
    struct abi_event *e = (struct abi_event *)utcb_at(0)->word;
    (void)mtd;
    faults++;
    last_vector = id;
    last_address = e->cr2;
    e->groups = ABI_EVENT_GROUP_IP;
    e->rip = e->gpr[3];
    return sizeof(struct abi_event) / 8;
}

/*
 * The attacker's program: position independent, run from a copy in its own space. Its data page (at RDI, its UTCB) has in user[0] the
 * kind of access and in user[1] the address or number; user[2] gets a result, user[3] the count of rounds.
 */
extern char attacker_start[], attacker_end[];
__asm__(".pushsection .text\n"
        "attacker_start:\n"
        "    mov %rdi, %r15\n"
        "1:  lea 9f(%rip), %rbx\n"
        "    mov 3728(%r15), %rax\n"   // user[0]
        "    mov 3736(%r15), %rsi\n"   // user[1]
        "    mov %rsi, %rdx\n"
        "    cmp $1, %eax\n"
        "    je 2f\n"
        "    cmp $2, %eax\n"
        "    je 3f\n"
        "    cmp $3, %eax\n"
        "    je 4f\n"
        "    cmp $4, %eax\n"
        "    je 5f\n"
        "    cmp $5, %eax\n"
        "    je 6f\n"
        "    jmp 9f\n"
        "2:  mov (%rsi), %rcx\n"       // read memory
        "    mov %rcx, 3744(%r15)\n"
        "    jmp 9f\n"
        "3:  movq $0x41, (%rsi)\n"     // write memory
        "    movq $1, 3744(%r15)\n"
        "    jmp 9f\n"
        "4:  in %dx, %al\n"            // port
        "    movq $1, 3744(%r15)\n"
        "    jmp 9f\n"
        "5:  jmp *%rsi\n"              // execute
        "6:  mov %rsi, %rcx\n"         // privileged instruction
        "    rdmsr\n"
        "    movq $1, 3744(%r15)\n"
        "9:  incq 3752(%r15)\n"
        "    mov $0x10e, %edi\n"
        "    xor %esi, %esi\n"
        "    syscall\n"
        "    jmp 1b\n"
        "attacker_end:\n"
        ".popsection\n");
_Static_assert(offsetof(struct abi_utcb, user) == 3728, "offsets in the attacker's program");

static bool start_attacker(uint64_t s, uint64_t frame)
{
    uint64_t events = sel_take(ABI_EVENT_COUNT);
    if (!child_create(s, 200) ||
        delegate(ABI_SEL_PHYS, OWN_HST, frame, TEST_MEMORY / PAGE, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_W | ABI_PERM_MEM_X, 0))
        return false;
    for (char *from = attacker_start, *to = (char *)TEST_MEMORY; from < attacker_end; from++, to++)
        *to = *from;
    if (delegate(OWN_HST, s + 2, TEST_MEMORY / PAGE, CODE / PAGE, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_X, 0) ||
        create_local(s + 3, OWN_PD, utcb_address(0), 0, server_stack(warden), ~0ull) ||
        create_sm(s + 6, OWN_PD, 0) || delegate(OWN_OBJ, s + 1, s + 6, 0, 1, ABI_PERM_SM_DOWN, 0))
        return false;
    for (unsigned i = 0; i < ABI_EVENT_COUNT; i++) {
        struct call c = {.rsi = i, .rdx = ABI_EVENT_GROUP_GPR | ABI_EVENT_GROUP_IP};
        if (create_pt(events + i, OWN_PD, s + 3, (uint64_t)portal_entry, i) ||
            call_raw(call_id(ABI_CTRL_PT, 0, events + i), &c) ||
            delegate(OWN_OBJ, s + 1, events + i, 100 + i, 1, ABI_PERM_PT_EVENT, 0))
            return false;
    }
    return true;
}

/* The attacker's UTCB, seen through nothing: orders go by a page that is shared with it. */
static struct abi_utcb *orders;

static uint64_t attack(uint64_t kind, uint64_t address)
{
    uint64_t round = orders->user[3], before = faults;
    orders->user[0] = kind;
    orders->user[1] = address;
    orders->user[2] = 0;
    __asm__ volatile("" : : : "memory");
    sm_up(resume_sm);
    for (unsigned i = 0; i < 100 && *(volatile uint64_t *)&orders->user[3] == round; i++)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(500), 0);
    check(orders->user[3] == round + 1);
    check_is(orders->user[2], 0);
    return faults - before;
}

void suite_isolation(void)
{
    uint64_t s = sel_take(8), frame = frames_take(2);
    check(start_attacker(s, frame));
    resume_sm = s + 6;
    /* A page shared with the attacker, at 0x600000 there, carries the orders; it begins with RDI = that page, not its UTCB. */
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame + 1, TEST_MEMORY / PAGE + 1, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_W, 0), ABI_OK);
    orders = (struct abi_utcb *)(TEST_MEMORY + PAGE);
    for (unsigned i = 0; i < 512; i++)
        ((uint64_t *)orders)[i] = 0;
    check_is(delegate(OWN_HST, s + 2, TEST_MEMORY / PAGE + 1, 0x600, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_W, 0), ABI_OK);
    /* `mov %rdi, %r15` is three bytes: entered behind it, the first fault's answer sets nothing, so R15 comes from a stub. */
    static const uint8_t stub[] = {0x41, 0xbf, 0x00, 0x00, 0x60, 0x00, 0xe9}; // mov $0x600000, %r15d; jmp
    uint8_t *at = (uint8_t *)TEST_MEMORY + 2048;
    for (unsigned i = 0; i < sizeof stub; i++)
        at[i] = stub[i];
    int32_t distance = 3 - (2048 + (int32_t)sizeof stub + 4);
    *(int32_t *)(void *)(at + sizeof stub) = distance;
    check_is(create_thread(s + 4, s, 0x700000, 0, 0, 100, CODE + 2048), ABI_OK);
    check_is(create_sc(s + 5, s, s + 4, ABI_PRIO_MAX, 10000), ABI_OK);
    sm_down(ABI_SEL_FREE, 0, tsc() + ticks(2000), 0);
    check_is(orders->user[3], 1);

    static const uint64_t unmapped[] = {0,          0x1000,     0x401000, 0x5ff000, ABI_INFO_ADDRESS, ABI_ROOT_UTCB,
                                        0x10000000, 0x20000000, ABI_USER_END - PAGE};
    for (unsigned i = 0; i < sizeof unmapped / sizeof unmapped[0]; i++) {
        check_is(attack(1, unmapped[i]), 1);
        check_is(last_vector, 14);
        check_is(attack(2, unmapped[i]), 1);
    }
    check_is(attack(2, CODE), 1); // its text is not writable
    check_is(attack(4, 0x600000), 1); // read and write is not execute
    static const uint64_t kernel[] = {0xffffffff80000000ull, 0xffffffff80200000ull, 0xffff800000000000ull,
                                      0xffff900000000000ull, 0xffffffffffffe000ull, 0xfffffffffee00000ull,
                                      0xffffffff80100000ull, 0xffffc00000000000ull};
    for (unsigned i = 0; i < sizeof kernel / sizeof kernel[0]; i++)
        for (unsigned kind = 1; kind <= 4; kind++)
            if (kind != 3) {
                check_is(attack(kind, kernel[i]), 1);
                check(last_vector == 14 || last_vector == 13);
            }
    for (unsigned port = 0; port < 0x10000; port += port < 0x500 ? 1 : 127)
        if (attack(3, port) != 1) {
            check_is(port, 0x10000);
            break;
        }
    check_is(attack(5, 0xc0000080), 1); // EFER
    check_is(last_vector, 13);
    check_is(attack(5, 0x1b), 1);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, ABI_SEL_FREE + 512, 512, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, TEST_MEMORY / PAGE, 2, ABI_REVOKE_SELF), ABI_OK);
}
