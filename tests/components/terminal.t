#!/bin/bash
# SPDX-License-Identifier: MIT
# The terminal multiplexer on the serial line: screens, keys, the log, output without loss, a client that dies, one that keeps to no rule.
# timeout: 120
. tests/tap.sh

bin=build/release
make -s test-terminal build/release/host/bin/qemu-run >&2 || exit 1

cat >"$tap_temporary/config" <<END
<config>
  <start name="uart" ram="1M" priority="100" authority="device">
    <provides> <service name="terminal"/> </provides>
    <route>
      <service name="IO_PORT" base="0x3f8" size="8"> <parent/> </service>
      <service name="IRQ" base="4" size="1"> <parent/> </service>
    </route>
  </start>
  <start name="terminal" ram="4M" priority="90" authority="log">
    <provides> <service name="terminal"/> </provides>
    <route> <service name="terminal"> <child name="uart"/> </service> </route>
  </start>
  <start name="talk1" binary="test-talker" ram="1M" priority="33">
    <route> <service name="terminal"> <child name="terminal"/> </service> </route>
  </start>
  <start name="talk2" binary="test-talker" ram="1M" restart="on-fault" priority="32">
    <route> <service name="terminal"> <child name="terminal"/> </service> </route>
  </start>
  <start name="scribbler" binary="test-scribbler" ram="1M" priority="20">
    <route> <service name="terminal"> <child name="terminal"/> </service> </route>
  </start>
</config>
END

steps=()
expect() { steps+=(--expect "$1"); }
press() { steps+=(--send "$1"); }

expect 'talk1 ready'                 # the first client takes the front
press '\x010'                        # the log
expect '0: log'
expect 'screen 1: talk1'
expect 'screen 2: talk2'
press '\x011'
expect '1: talk1'
press 'hello\r'
expect 'talk1 heard hello'
press '\x01n'                        # the next screen
expect '2: talk2'
expect 'talk2 ready'                 # what it wrote while it was not in front
press 'you\r'
expect 'talk2 heard you'
press '\x010'
expect '[scribbler] scribbled, and again: 2'
press 'nobody\r'
press '\x011'
expect '1: talk1'
expect 'talk1 heard hello'           # again
press 'count 3000\r'
expect 'talk1 line 3000'
press '\x01h'
expect '2 talk2'
press '\x01\x01x\r'                  # the key itself
expect 'talk1 heard ^Ax'
press '\x013'                        # one of the scribbler's
press '\x019'
expect '9: nothing'
press 'nobody\r'
press '\x012'
expect '2: talk2'
press 'die\r'
press '\x010'
expect '[init] talk2 faulted: exception 6'
expect '[init] talk2 will be restarted in 100 ms'
expect '[terminal] screen'
press '\x011'
expect '1: talk1'
press 'still there\r'
expect 'talk1 heard still there'

timeout 100 "$bin/host/bin/qemu-run" "${steps[@]}" --log "$tap_temporary/serial" --errors "$tap_temporary/errors" --timeout 90 \
    --fail 'terminal faulted' --fail 'uart faulted' -- \
    qemu-system-x86_64 -machine q35 -cpu EPYC -accel tcg -smp 2 -m 256 -nodefaults -display none -no-reboot -serial stdio \
    -kernel "$bin/graft.elf32" -initrd "$bin/bin/core console=none,$bin/bin/init,$tap_temporary/config$(
        printf ",$bin/bin/%s" uart terminal test-talker test-scribbler)" 2>"$tap_temporary/output"
status=$?
sed 's/^/# /' "$tap_temporary/output"
is $status 0 'every screen, key and answer came'

tr -d '\r' <"$tap_temporary/serial" | grep -a '^talk1 line' | awk '{ print $3 }' >"$tap_temporary/lines"
seq 3000 >"$tap_temporary/wanted"
# The screen is shown again from its last lines when it comes to the front, so what follows the first 3000 is a repetition.
head -n 3000 "$tap_temporary/lines" | cmp -s - "$tap_temporary/wanted"
report $? '3000 lines without a loss'
is "$(grep -ac 'heard nobody' "$tap_temporary/serial")" 0 'what is typed at the log and at an empty screen goes nowhere'
is "$(tr -d '\r' <"$tap_temporary/serial" | grep -ac '^talk2 heard hello\|^talk1 heard you')" 0 'and what is typed at one screen not to the other'
tap_end
