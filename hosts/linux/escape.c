/* SPDX-License-Identifier: MIT */
/* The escape key of the terminal. */
#include "hosts/linux/escape.h"

enum escape_command escape_key(struct escape *escape, uint8_t key,
                               uint8_t bytes[ESCAPE_BYTES_MAX], size_t *n)
{
    *n = 0;
    if (!escape->prefix && key == ESCAPE_KEY) {
        escape->prefix = true;
        return ESCAPE_NONE;
    }
    if (escape->prefix) {
        escape->prefix = false;
        switch (key) {
        case 'x':
        case 'X':
            return ESCAPE_END;
        case 'p':
        case 'P':
            return ESCAPE_POWER;
        case 'h':
        case 'H':
        case '?':
            return ESCAPE_HELP;
        case ESCAPE_KEY:
            break;
        default:
            bytes[(*n)++] = ESCAPE_KEY;
            break;
        }
    }
    bytes[(*n)++] = key;
    return ESCAPE_NONE;
}
