#!/bin/bash
# SPDX-License-Identifier: MIT
# Sessions by route: labels, what is denied, servers that start later, end, fault or never answer; the clock.
# timeout: 100
. tests/tap.sh
. tests/machine.sh

bin=build/release cpus=2 rtc=2031-05-06T07:08:09
make -s test-sessions >&2 || exit 1

# The client comes before its servers.
cat >"$tap_temporary/config" <<END
<config>
  <start name="asker" binary="test-asker" ram="1M"> <config a="1"/>
    <route>
      <service name="echo" label="one"> <child name="server"/> </service>
      <service name="echo" label="two"> <child name="server" label="fixed"/> </service>
      <service name="unprovided"> <child name="server"/> </service>
      <service name="unknown"> <child name="nobody"/> </service>
      <service name="quit"> <child name="quitter"/> </service>
      <service name="never"> <child name="absent"/> </service>
      <service name="crash"> <child name="crasher"/> </service>
      <service name="sleep"> <child name="sleeper"/> </service>
      <service name="rtc"> <child name="rtc"/> </service>
      <service name="ROM" label="data"> <parent label="config"/> </service>
      <service name="ROM" label="gone"> <parent/> </service>
      <service name="IO_PORT" base="0x80" size="1"> <parent/> </service>
    </route>
  </start>
  <start name="server" binary="test-server" ram="1M"> <provides> <service name="echo"/> </provides> </start>
  <start name="quitter" binary="test-server" ram="1M"> <provides> <service name="quit"/> </provides> </start>
  <start name="crasher" binary="test-server" ram="1M" restart="always"> <provides> <service name="crash"/> </provides> </start>
  <start name="sleeper" binary="test-server" ram="1M"> <provides> <service name="sleep"/> </provides> </start>
  <start name="absent" binary="test-absent"> <provides> <service name="never"/> </provides> </start>
  <start name="rtc" ram="1M"> <provides> <service name="rtc"/> </provides>
    <route> <service name="IO_PORT" base="0x70" size="2"> <parent/> </service> </route>
  </start>
</config>
END

boot test-asker test-server rtc
await 60 'the client comes to its end' logged '^\[init\] asker \(exited\|faulted\)'
components_tap asker
says '^\[init\] asker faulted: exception 13 at' 'a port is gone with its session'
says '^\[server\] service echo label asker/one word 77' 'the server sees client and label'
says '^\[server\] service echo label fixed word 77' 'or the label of the route'
is "$(count '^\[server\] service')" 3 'and nothing else'
says '^\[init\] asker: no route for service echo, label "three"' 'what has no route is reported'
says '^\[init\] asker: server does not provide unprovided' 'what is not provided is reported'
says '^\[init\] asker: IO_PORT 3f8, 1 is outside of its route' 'what is outside of the route is reported'
says '^\[init\] quitter exited with 5' 'the exit code is reported'
! logged '^\[init\] quitter will be restarted' && [ "$(count '^\[init\] quitter started')" = 1 ]
report $? 'without a policy there is no restart'
is "$(count '^\[init\] crasher faulted: exception 6')" 2 'each fault is reported'
says '^\[init\] crasher will be restarted in 200 ms' 'the second restart waits longer'
says '^\[init\] absent cannot be started: not found' 'a binary that there is not is reported'
stop

# What init says to a configuration that it does not take. wrong NAME PATTERN <CONFIG
wrong()
{
    cat >"$tap_temporary/config"
    boot test-server
    await 20 "$1" logged "$2"
    ! logged ' started$'
    report $? "$1: nothing is started"
    stop
}
wrong 'an unknown attribute' '^\[init\] config: line 2: <start> has no attribute memory' <<END
<config>
  <start name="server" memory="1M"/>
</config>
END
wrong 'an unknown element' '^\[init\] config: line 3: .*<allow>' <<END
<config>
  <start name="server" binary="test-server">
    <allow/>
  </start>
</config>
END
wrong 'two of one name' '^\[init\] config: line 3: there are two <start name="server">' <<END
<config>
  <start name="server" binary="test-server"/>
  <start name="server" binary="test-server"/>
</config>
END
wrong 'an end too early' '^\[init\] config: line [23]: ' <<END
<config>
  <start name="server" binary="test-server">
END
[ $tap_failed = 0 ] || tail -n 60 "$tap_temporary/log" >&2
tap_end
