/* SPDX-License-Identifier: MIT */
/*
 * Does one forbidden thing, named by its label after "crash-". It must end in the exception that the test's list expects, and nothing else.
 */
#include "framework/component.h"
#include "framework/io.h"
#include "framework/thread_self.h"
#include "lib/string.h"

static volatile uint64_t *const kernel_image = (volatile uint64_t *)0xffffffff80200000ull;
static volatile uint64_t *const core_window = (volatile uint64_t *)0x230000000000ull;
static const uint64_t constant = 1;
static uint64_t data[2];

static void kernel_read(void) { (void)*kernel_image; }
static void kernel_write(void) { *kernel_image = 0; }
static void core_read(void) { (void)*core_window; }
static void null_write(void) { __asm__ volatile("movq $0, 8"); }
static void text_write(void) { *(volatile uint8_t *)(uint64_t)text_write = 0xc3; }
static void constant_write(void) { *(volatile uint64_t *)(uint64_t)&constant = 2; }
static void info_write(void) { *(volatile uint64_t *)ABI_INFO_ADDRESS = 0; }
static void data_execute(void) { data[0] = 0xc3c3c3c3; ((void (*)(void))(uint64_t)data)(); }
static void port_in(void) { (void)in8(0x3f8); }
static void port_out(void) { out8(0x64, 0xfe); }
static void halt(void) { __asm__ volatile("hlt"); }
static void interrupts_off(void) { __asm__ volatile("cli"); }
static void msr_read(void) { __asm__ volatile("rdmsr" : : "c"(0xc0000080) : "rax", "rdx"); }
static void control_register(void) { uint64_t cr3; __asm__ volatile("mov %%cr3, %0" : "=r"(cr3)); }
static void descriptor_table(void) { uint16_t limit[5] = {0}; __asm__ volatile("lidt %0" : : "m"(limit)); }
static void divide(void) { __asm__ volatile("xor %%ecx, %%ecx\n\tdiv %%ecx" : : : "eax", "ecx", "edx", "cc"); }
static void undefined(void) { __builtin_trap(); }
static void far_jump(void) { __asm__ volatile("jmp *%0" : : "r"(0xdead000000000000ull)); }
static void stack_gone(void) { __asm__ volatile("xor %esp, %esp\n\tpush %rax"); }

static const struct {
    const char *name;
    void (*act)(void);
} acts[] = {
    {"kernel-read", kernel_read}, {"kernel-write", kernel_write}, {"core-read", core_read}, {"null-write", null_write},
    {"text-write", text_write}, {"constant-write", constant_write}, {"info-write", info_write}, {"data-execute", data_execute},
    {"port-in", port_in}, {"port-out", port_out}, {"halt", halt}, {"interrupts-off", interrupts_off}, {"msr-read", msr_read},
    {"control-register", control_register}, {"descriptor-table", descriptor_table}, {"divide", divide}, {"undefined", undefined},
    {"far-jump", far_jump}, {"stack-gone", stack_gone},
};

int main(void)
{
    const char *label = component_info()->label, *word;

    while ((word = strchr(label, ' ')) != NULL) // "parent -> crash-..."
        label = word + 1;
    for (unsigned i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(label + strlen("crash-"), acts[i].name) == 0) {
            acts[i].act();
            log_print("survived %s", acts[i].name);
            return 1;
        }
    log_print("does not know what to do");
    return 2;
}
