#!/bin/bash
# SPDX-License-Identifier: MIT
# The component tests on the release build, two CPUs. Those with assertions: see debug.t.
# timeout: 120
make -s test-components >&2 && exec tests/components/run 2
