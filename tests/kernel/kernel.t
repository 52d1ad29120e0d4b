#!/bin/bash
# SPDX-License-Identifier: MIT
# The microhypervisor's tests in QEMU: with assertions on one and four CPUs, and the release build on two.
# timeout: 900
. tests/tap.sh
. tests/qemu.sh

suites "debug, 1 CPU" 300 debug build/debug/bin/ktest -smp 1
suites "debug, 4 CPUs" 300 debug build/debug/bin/ktest -smp 4
suites "release, 2 CPUs" 300 release build/release/bin/ktest -smp 2
tap_end
