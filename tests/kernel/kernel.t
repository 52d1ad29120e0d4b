#!/bin/bash
# SPDX-License-Identifier: MIT
# The microhypervisor's tests in QEMU: with assertions on one and four CPUs, and the release build on two; random hypercalls by the hundred
# thousand. With four CPUs in turn on one thread a call is many times as fast as with a thread each, which test races better.
# timeout: 900
. tests/tap.sh
. tests/qemu.sh

suites "debug, 1 CPU" 300 debug "build/debug/bin/ktest ktest calls=200000 least=300" -smp 1
suites "debug, 4 CPUs" 300 debug build/debug/bin/ktest -smp 4
suites "release, 2 CPUs" 300 release build/release/bin/ktest -smp 2
qemu_machine=("${qemu_machine[@]/thread=multi/thread=single}")
suites "debug, 4 CPUs in turn" 300 debug "build/debug/bin/ktest ktest suite=14 calls=200000 least=300" -smp 4
tap_end
