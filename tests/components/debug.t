#!/bin/bash
# SPDX-License-Identifier: MIT
# The component tests on the build with assertions, one CPU.
# timeout: 120
make -s MODE=debug test-components >&2 && MODE=debug exec tests/components/run 1
