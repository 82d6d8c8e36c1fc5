#!/bin/bash
# brig's containers with --isolation vm: what people use, with few boots.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TIMEOUT=300
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/microvm.sh"
offer_kernel

# refused WORD OPTION...: nothing is made, and the message names the option
refused() {
	local word=$1
	shift
	assert_status 125 brig create --isolation vm "$@" busybox true
	assert_contains "$errors" "$word"
	assert_contains "$errors" "isolation"
	assert_eq "$(brig ps -aq)" ""
}

test_what_a_machine_cannot_honour() {
	refused --pid --pid host
	refused --ipc --ipc container:other
	refused --cgroupns --cgroupns host
	refused --network --network host
	refused --network --network container:other
	refused --device --device /dev/fuse
	refused --gpus --gpus all
	refused --allow-connect --allow-connect 192.0.2.1:80
	refused --deny-connect --deny-connect 192.0.2.1
	refused apparmor --security-opt apparmor=mine
	refused differ --annotation org.brig.isolation=container
	mknod disk b 7 200
	refused --volume -v "$PWD/disk:/disk"
	assert_status 125 brig create --isolation jail busybox true
	assert_contains "$errors" "container, vm"
	brig create --name box --annotation org.brig.isolation=vm --network none busybox true
	assert_eq "$(brig inspect -f '{{.HostConfig.Isolation}}' box)" vm
	brig rm box
	nothing_left
}

is_healthy() {
	[ "$(brig inspect -f '{{.State.Health.Status}}' box)" = healthy ]
}

test_life_of_a_machine() {
	need_tun
	mkdir share && echo from-host >share/file
	echo hidden | brig secret create word -
	brig network create lan
	brig run -d --name box --isolation vm --init --hostname inside --network lan -p 8080:80 -v "$PWD/share:/share" \
		-v data:/data --secret word --memory 96m --pids-limit 50 --health-cmd 'test -e /share/file' --health-interval 5s \
		busybox sh -c 'trap "echo stopping; exit 7" TERM; mkdir /w; echo served >/w/index.html; httpd -p 80 -h /w
			cat /run/secrets/word; uname -n; echo err >&2; while :; do sleep 0.1; done'
	brig run -d --name plain --network none busybox sleep 600

	# What is told of it.
	assert_eq "$(brig ps --filter isolation=vm --format '{{.Names}} {{.Isolation}}')" 'box vm'
	assert_eq "$(brig ps --filter isolation=container --format '{{.Names}}')" plain
	assert_eq "$(brig inspect -f '{{.HostConfig.Isolation}}' box plain)" $'vm\ncontainer'
	wait_for 120 eval '[ "$(brig logs box 2>/dev/null)" = $'"'hidden\ninside'"' ]'
	assert_eq "$(brig logs box 2>&1 >/dev/null)" err
	wait_for 120 is_healthy

	# Exec, by name of a user too; another kernel; the limits are the machine's own cgroup's.
	local code=0
	assert_ne "$(brig exec box cat /proc/sys/kernel/random/boot_id)" "$(cat /proc/sys/kernel/random/boot_id)"
	assert_eq "$(echo through | brig exec -i -u nobody -w /tmp -e A=b box sh -c 'cat; id -un; pwd; echo $A')" \
		$'through\nnobody\n/tmp\nb'
	brig exec box sh -c 'exit 9' || code=$?
	assert_eq "$code" 9
	assert_eq "$(brig exec box cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)" $'100663296\n50'
	in_terminal '
start("exec", "-it", "box", "sh")
expect("/ # ")
say("echo wid\"\"th $(stty size)\n")
expect("width 30 90")
say("exit 5\n")
assert end() == 5
'

	# Files: volumes both ways, cp to and from what is mounted and what is not.
	brig exec box sh -c 'echo from-guest >/share/new; echo kept >/data/kept; echo root >/etc/made'
	assert_eq "$(cat share/new)" from-guest
	brig cp box:/etc/made made && assert_eq "$(cat made)" root
	echo copied >copied && brig cp copied box:/etc/copied
	assert_eq "$(brig exec box cat /etc/copied)" copied
	brig cp box:/data/kept kept && assert_eq "$(cat kept)" kept

	# The network: a published port, names both ways.
	assert_contains "$(bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3')" served
	assert_eq "$(brig run --rm --network lan busybox wget -q -O- http://box/)" served
	brig run -d --name peer --network lan busybox sh -c 'mkdir /w; echo peer >/w/index.html; exec httpd -f -p 80 -h /w'
	assert_eq "$(brig exec box wget -q -O- http://peer/)" peer
	brig exec box wget -q -O- http://peer/ >/dev/null

	# What it does and uses.
	assert_contains "$(brig top box)" 'httpd -p 80'
	assert_matches "$(brig stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' box)" '/ 96MiB [0-9]+$'
	brig update --memory 64m --cpus 0.5 box
	assert_eq "$(brig exec box cat /sys/fs/cgroup/memory.max)" 67108864

	# Attached while it runs, and stopped as it wants to be.
	timeout 60 "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" attach --no-stdin box >attached &
	sleep 2
	brig stop -t 120 box
	wait $! || :
	assert_contains "$(cat attached)" stopping
	assert_eq "$(brig inspect -f '{{.State.Status}} {{.State.ExitCode}}' box)" 'exited 7'
	brig cp box:/etc/made made
	brig rm -f box peer plain
	brig volume rm data && brig secret rm word && brig network rm lan
	nothing_left
}

has_restarted() {
	[ "$(brig inspect -f '{{.State.Status}} {{.RestartCount}}' box)" = "$1" ]
}

test_streams_and_restarts() {
	local code=0
	echo typed | brig run -i --rm --isolation vm --network none busybox sh -c 'cat; echo err >&2; exit 42' >out 2>err || code=$?
	assert_eq "$code" 42 "$(cat err)"
	assert_eq "$(cat out)" typed
	assert_eq "$(cat err)" err
	assert_status 127 brig run --rm --isolation vm --network none busybox no-such-program
	assert_contains "$errors" no-such-program
	brig run -d --name box --isolation vm --network none --restart on-failure:1 busybox sh -c 'exit 3'
	wait_for 300 has_restarted 'exited 1'
	assert_eq "$(brig inspect -f '{{.State.ExitCode}} {{.State.Error}}' box)" '3 '
	brig rm box
	nothing_left
}

test_the_monitors_machine_dies() {
	local code=0
	brig run -d --name box --isolation vm --network none busybox sleep 600
	assert_runs brig exec box true
	pkill -KILL -P "$(brig inspect -f '{{.State.Pid}}' box)" brig-vmm
	wait_for 60 has_state box exited
	assert_contains "$(brig inspect -f '{{.State.Error}}' box)" 'virtual machine was killed: Killed'
	assert_runs brig rm box
	nothing_left
	# Who waits for it is told, too.
	brig run --name box --rm --isolation vm --network none busybox sh -c 'echo up; sleep 600' >out 2>err &
	wait_for 300 grep -q up out
	pkill -KILL -P "$(brig inspect -f '{{.State.Pid}}' box)" brig-vmm
	wait $! || code=$?
	assert_eq "$code" 137
	assert_contains "$(cat err)" 'virtual machine was killed: Killed'
	nothing_left
}
