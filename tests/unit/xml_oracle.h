/* SPDX-License-Identifier: MIT */
/*
 * lib/xml.h against expat: both read the same document, and their events (with lines, names,
 * values and the text joined) or their verdicts must agree. Where lib/xml.h documents a deviation
 * nothing is claimed: XML_UNSUPPORTED and XML_LIMIT agree with anything. A name outside of ASCII
 * may be accepted by us and refused by expat, which holds to the narrower tables of XML's fourth
 * edition.
 */
#ifndef TESTS_UNIT_XML_ORACLE_H
#define TESTS_UNIT_XML_ORACLE_H

#include "lib/xml.h"

struct xml_verdict {
    bool agrees;
    enum xml_status ours;
    const char *our_message;
    unsigned our_line;
    const char *expat_message; // NULL if expat accepts the document
};

struct xml_verdict xml_oracle_compare(const char *document, size_t size);

#endif
