/* SPDX-License-Identifier: MIT */
/* Fuzz target: lib/xml.h must agree with expat on every document. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/xml_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_verdict verdict = xml_oracle_compare((const char *)data, size);

    if (!verdict.agrees) {
        fprintf(stderr, "ours: status %d, line %u: %s; expat: %s\n", verdict.ours, verdict.our_line,
                verdict.our_message, verdict.expat_message ? verdict.expat_message : "accepted");
        abort();
    }
    return 0;
}
