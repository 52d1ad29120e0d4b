#!/bin/bash
# SPDX-License-Identifier: MIT
# The same on the build with assertions, one CPU.
# timeout: 300
exec tests/isolation/attack.t debug 1
