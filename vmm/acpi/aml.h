/* SPDX-License-Identifier: MIT */
/*
 * A small AML writer (ACPI 6.3, chapter 20): byte code goes into a buffer that the caller owns.
 *
 * Objects with a package length (scope, device, method, package, resource buffer) are opened by
 * their function and closed, innermost first, by aml_close(). Running out of room, nesting too
 * deeply or giving a malformed name sets `failed`, after which nothing more is written: the caller
 * tests it once, at the end, with aml_finish(). Names are given as in ASL with every segment
 * spelled out or shorter ("\\_SB.PCI0"); they are padded with '_'.
 */
#ifndef VMM_ACPI_AML_H
#define VMM_ACPI_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH 8u

struct aml_open {
    size_t  length_at; // where the package length goes
    size_t  size_at;   // resource buffers: where the buffer size goes, else 0
};

struct aml {
    uint8_t        *buf;
    size_t          cap, len;
    struct aml_open open[AML_DEPTH];
    unsigned        depth;
    bool            failed;
};

void aml_init(struct aml *a, uint8_t *buf, size_t cap);
/* True if all was written and everything opened was closed. */
bool aml_finish(const struct aml *a);

void aml_close(struct aml *a);
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned args, bool serialized);
void aml_package(struct aml *a, uint8_t elements);
void aml_if(struct aml *a);

/* Name(NAME, ...): the value must follow. */
void aml_name(struct aml *a, const char *name);
void aml_path(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *text);
/* An EISA identifier such as "PNP0A03", as its 32-bit integer. */
void aml_eisaid(struct aml *a, const char *id);
void aml_name_integer(struct aml *a, const char *name, uint64_t value);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);
/* One byte of byte code: for the few operators that have no function here. */
void aml_op(struct aml *a, uint8_t op);

#define AML_OP_RETURN 0xa4u
#define AML_OP_STORE  0x70u
#define AML_OP_ARG0   0x68u
#define AML_OP_AND    0x7bu
#define AML_OP_LNOT   0x92u
#define AML_OP_LEQUAL 0x93u
#define AML_OP_ELSE   0xa1u

/* Regions and fields: an operation region over `space`, then one field list of named bit widths. */
#define AML_SPACE_PCI_CONFIG 2u
void aml_region(struct aml *a, const char *name, uint8_t space, uint64_t offset, uint64_t length);
void aml_field_byte(struct aml *a, const char *region); // opens; byte access, preserve
void aml_field_unit(struct aml *a, const char *name, unsigned bits); // at most 63 bits

/* Resource descriptors (ACPI 6.3, section 6.4), between aml_resources() and aml_close(). */
void aml_resources(struct aml *a);
void aml_res_io(struct aml *a, uint16_t first, uint16_t last, uint8_t align, uint8_t length);
void aml_res_irq(struct aml *a, uint16_t mask);                      // edge, active high, exclusive
void aml_res_irq_shared_level(struct aml *a, uint16_t mask);         // level, active low, shared
void aml_res_dma(struct aml *a, uint8_t mask);
void aml_res_memory32(struct aml *a, bool writable, uint32_t base, uint32_t length);
void aml_res_bus(struct aml *a, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_res_memory_window(struct aml *a, uint32_t first, uint32_t last);
void aml_res_memory64_window(struct aml *a, uint64_t first, uint64_t last);

#endif
