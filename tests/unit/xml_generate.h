/* SPDX-License-Identifier: MIT */
/* A generator of random XML documents: well-formed ones, and ways to break them. */
#ifndef TESTS_UNIT_XML_GENERATE_H
#define TESTS_UNIT_XML_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#define XML_GENERATE_MAX 16384

/* Write a well-formed document (no DTD, UTF-8, within the parser's limits). Returns its size. */
size_t xml_generate(char document[XML_GENERATE_MAX], uint64_t *seed);

/* Write a random sequence of XML's tokens, seldom a document. */
size_t xml_generate_tokens(char document[XML_GENERATE_MAX], uint64_t *seed);

/* Change, remove, double or insert a few bytes or tokens. Returns the new size. */
size_t xml_mutate(char document[XML_GENERATE_MAX], size_t size, uint64_t *seed);

#endif
