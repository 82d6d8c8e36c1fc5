#!/bin/bash
# brig-oci with virtual machines as containers: what engines rely on, with few boots.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_run_exit_codes_streams_and_kernel() {
	local code=0
	run_sh 'cat; echo out; echo err >&2; cat /proc/sys/kernel/random/boot_id; exit 42' >out 2>err || code=$?
	assert_eq "$code" 42
	assert_eq "$(head -n 1 out)" out
	assert_eq "$(cat err)" err
	assert_ne "$(tail -n 1 out)" "$(cat /proc/sys/kernel/random/boot_id)" "the kernel"
	assert_nothing_left
}

# What a guest writes to a volume is written by the host for it, in the container's cgroup.
test_io_limits_hold_for_what_the_guest_writes() {
	local before device
	block_device
	device="\"major\":${DEVICE%:*},\"minor\":${DEVICE#*:}"
	mkfs.ext4 -q "$DISK"
	mkdir "$TEST_DIR/volume" && mount "$DISK" "$TEST_DIR/volume"
	create_sh 'dd if=/dev/zero of=/volume/file bs=256k count=16 conv=fsync; echo wrote' \
		'.mounts += [{"destination":"/volume","type":"bind","source":"'"$TEST_DIR"'/volume","options":["bind"]}]' \
		".linux.resources.blockIO={\"throttleWriteBpsDevice\":[{$device,\"rate\":1048576}]}"
	# 4 MiB at 1 MiB a second: never sooner.
	before=$SECONDS
	oci start "$ID"
	wait_status "$ID" stopped
	assert_contains "$(cat "$BUNDLE/out")" wrote
	[ $((SECONDS - before)) -ge 3 ] || fail "wrote faster than it may"
	oci delete "$ID"
	umount "$TEST_DIR/volume"
	assert_nothing_left
}

# holder PID FILE: the descriptors under which it has FILE open
holder() {
	local fd
	for fd in "/proc/$1/fd/"*; do
		[ "$(readlink "$fd")" != "$2" ] || echo "${fd##*/}"
	done
}

# The monitor writes into the pipe that the engine gave, and the attendant sleeps meanwhile. A file stays with it.
test_output_goes_past_the_attendant() {
	local pipe fd vmm before after reader
	mkfifo in
	next_container
	bundle_sh "$BUNDLE" 'echo ready >&2; read x; head -c 16777216 /dev/zero; echo wrote >&2; read x; echo last; exit 7'
	oci create --bundle "$BUNDLE" --pid-file pid "$ID" 0<>in 2>err | wc -c >size &
	reader=$!
	exec 8<>in
	wait_until test -s pid
	PID=$(cat pid) pipe=$(readlink "/proc/$reader/fd/0") vmm=$(pgrep -P "$(cat pid)" -f brig-vmm)
	assert_eq "$(holder "$PID" "$pipe")" '' "the attendant's descriptors of the pipe"
	fd=$(holder "$vmm" "$pipe")
	assert_eq "$(($(awk '/flags/ { print $2 }' "/proc/$vmm/fdinfo/$fd") & 04003))" $((04001)) "not O_WRONLY and O_NONBLOCK alone"
	assert_eq "$(holder "$vmm" "$PWD/err")" '' "the monitor's descriptors of a file"
	oci start "$ID"
	wait_until grep -q ready err
	before=$(awk '/^voluntary/ { print $2 }' "/proc/$PID/status")
	echo go >&8
	wait_until grep -q wrote err
	after=$(awk '/^voluntary/ { print $2 }' "/proc/$PID/status")
	echo "the attendant slept $((after - before)) times while 16 MiB passed"
	[ $((after - before)) -le 8 ] || fail "it has $((after - before)) sleeps"
	echo end >&8
	exec 8<&-
	wait_status "$ID" stopped
	wait "$reader"
	assert_eq "$(cat size)" 16777221 # with the last bytes
	oci delete "$ID"

	# A process of exec that leaves another behind, which writes on, and whose reader goes away.
	start_sh 'sleep 600'
	assert_eq "$(oci exec "$ID" sh -c '(sleep 2; echo late) & echo early' </dev/null | tr '\n' ' ')" 'early late '
	assert_eq "$(oci exec "$ID" sh -c 'yes; echo $? >/status' </dev/null | head -n 1)" y
	wait_until oci exec "$ID" test -s /status
	assert_eq "$(oci exec "$ID" cat /status | cat)" 141
	oci delete --force "$ID"
	assert_nothing_left
}

test_life_of_a_container() {
	local pid held
	: >left-open
	mkdir "$TEST_DIR/volume" && echo from-host >"$TEST_DIR/volume/file"
	create_sh 'trap "echo got-usr1" USR1; echo ready; while :; do sleep 0.1; done' \
		'.mounts += [{"destination":"/ro","type":"bind","source":"'"$TEST_DIR"'/volume","options":["rbind","ro"]},
			{"destination":"/rw","type":"bind","source":"'"$TEST_DIR"'/volume","options":["bind"]}]' \
		'.linux.resources.memory = {"limit": 67108864}' '.linux.resources.pids = {"limit": 20}' \
		'.hostname = "in-a-vm"' 9<left-open
	for pid in "$PID" $(pgrep -P "$PID"); do
		held=$(readlink "/proc/$pid/fd/"*)
		assert_contains "$held" socket:
		assert_not_contains "$held" left-open "descriptors of $(cat "/proc/$pid/comm")"
	done
	assert_eq "$(status_of "$ID")" created
	assert_eq "$(oci state "$ID" | jq .pid)" "$PID"
	oci start "$ID"
	wait_until grep -q ready "$BUNDLE/out"
	assert_eq "$(status_of "$ID")" running

	# Exec: streams, exit codes, signals, errors, isolation inside.
	local code=0
	assert_eq "$(echo through | oci exec "$ID" cat)" through
	oci exec "$ID" sh -c 'exit 9' || code=$?
	assert_eq "$code" 9
	code=0
	oci exec "$ID" sh -c 'kill -9 $$' || code=$?
	assert_eq "$code" 137
	expect_failure oci exec "$ID" no-such-program
	assert_eq "$CODE" 127
	assert_contains "$ERROR" 'exec: "no-such-program": executable file not found in $PATH'
	assert_eq "$(oci exec --user 5:6 --cwd /tmp --env A=b "$ID" sh -c 'id -u; id -g; pwd; echo $A' | tr '\n' ' ')" '5 6 /tmp b '
	assert_eq "$(oci exec "$ID" hostname)" in-a-vm
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max | tr '\n' ' ')" '67108864 20 '
	assert_contains "$(oci exec "$ID" grep NoNewPrivs /proc/self/status)" 1
	head -c 5M /dev/urandom >big
	assert_eq "$(oci exec "$ID" cat <big | md5sum)" "$(md5sum <big)"

	# It ends with who stands for it on the host, however that one ended.
	oci exec --detach --pid-file exec.pid "$ID" sleep 4711 </dev/null >/dev/null 2>&1
	assert_contains "$(oci ps "$ID")" 'sleep 4711'
	kill -KILL "$(cat exec.pid)"
	ended_inside() { [[ $(oci ps "$ID") != *'sleep 4711'* ]]; }
	wait_until ended_inside

	# Volumes: what one side writes the other reads; read-only ones stay so.
	assert_eq "$(oci exec "$ID" cat /ro/file)" from-host
	oci exec "$ID" sh -c 'echo from-guest >/rw/new'
	assert_eq "$(cat "$TEST_DIR/volume/new")" from-guest
	code=0
	oci exec "$ID" sh -c 'echo x >/ro/file' 2>/dev/null || code=$?
	assert_ne "$code" 0 "wrote to a read-only volume"

	# A terminal of the engine's.
	jq -n '{user:{uid:0,gid:0},args:["sh","-c","tty; stty size"],env:["PATH=/bin"],cwd:"/",terminal:true,consoleSize:{height:20,width:90},
		apparmorProfile:"of-the-host"}' >process.json
	"$(tool recvtty)" "$TEST_DIR/console" >screen &
	local receiver=$!
	wait_until test -S "$TEST_DIR/console"
	oci exec --detach --console-socket "$TEST_DIR/console" --process process.json --pid-file exec.pid "$ID"
	wait "$receiver"
	assert_contains "$(cat screen)" /dev/pts/0
	assert_contains "$(cat screen)" '20 90'

	# What is told of it.
	assert_contains " $(oci ps --format json "$ID" | jq -r 'join(" ")') " " $PID "
	assert_contains "$(oci ps "$ID")" 'sleep 0.1'
	assert_eq "$(oci events --stats "$ID" | jq .data.memory.usage.limit)" 67108864
	oci update --memory 33554432 "$ID"
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max)" 33554432
	expect_failure oci update --memory 4294967296 "$ID"
	assert_contains "$ERROR" memory.limit

	# Device rules are the guest's.
	oci exec --cap CAP_MKNOD --cap CAP_SYSLOG "$ID" mknod /dev/log-of-the-kernel c 1 11
	open_it() { oci exec --cap CAP_SYSLOG "$ID" sh -c 'head -c 0 /dev/log-of-the-kernel' </dev/null >/dev/null 2>&1; }
	! open_it || fail "opened a device that nobody allowed"
	oci update --resources - "$ID" <<<'{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}'
	open_it || fail "may not open what is allowed"
	oci update --resources - "$ID" <<<'{"devices":[{"allow":false,"access":"rwm"}]}'
	! open_it || fail "opened a device that is not allowed any more"
	oci exec "$ID" sh -c 'echo x >/dev/null'

	# Paused: nothing of it runs, signals wait, and it is told of and changed as ever.
	oci pause "$ID"
	assert_eq "$(status_of "$ID")" paused
	expect_failure oci exec "$ID" true
	assert_contains "$ERROR" paused
	expect_failure oci pause "$ID"
	oci kill "$ID" USR1
	oci update --memory 50331648 "$ID"
	assert_contains "$(oci ps "$ID")" 'sleep 0.1'
	assert_eq "$(oci events --stats "$ID" | jq .data.memory.usage.limit)" 50331648
	assert_eq "$(status_of "$ID")" paused
	assert_eq "$(grep -c got-usr1 "$BUNDLE/out")" 0 "a paused container ran"
	local before
	before=$(busybox awk '{ print $14 + $15 }' "/proc/$(pgrep -P "$PID" -f brig-vmm)/stat")
	sleep 1
	assert_eq "$(busybox awk '{ print $14 + $15 }' "/proc/$(pgrep -P "$PID" -f brig-vmm)/stat")" "$before" \
		"the processors ran"
	oci resume "$ID"
	assert_eq "$(status_of "$ID")" running
	wait_until grep -q got-usr1 "$BUNDLE/out"
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max)" 50331648

	# The end, also of one that is paused.
	assert_eq "$(ps -o uid= -p "$PID" | tr -d ' ' | grep -c '^0$')" 0 "the attendant is root"
	oci pause "$ID"
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_nothing_left
}

test_the_machine_dies() {
	start_sh 'echo ready; sleep 600'
	wait_until grep -q ready "$BUNDLE/out"
	pkill -KILL -P "$PID" -f brig-vmm
	wait_status "$ID" stopped
	assert_contains "$(oci state "$ID" | jq -r .reason)" 'was killed: Killed'
	oci delete "$ID"
	assert_nothing_left
}

test_network_is_taken_over() {
	need_tun
	ip netns add guest
	ip link add host0 type veth peer name eth0 netns guest address 02:00:00:00:12:34
	ip addr add 10.99.0.1/24 dev host0 && ip link set host0 up
	ip -n guest link set lo up && ip -n guest link set eth0 up mtu 1400
	ip -n guest addr add 10.99.0.2/24 dev eth0
	ip -n guest route add default via 10.99.0.1
	start_sh 'ip addr show eth0; ip route; echo ready; nc -l -p 80 -e echo from-the-guest; sleep 600' \
		'.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/guest" else . end)' \
		'.hooks.createContainer = [{"path": "/bin/sh", "args": ["sh", "-c", "ip addr show eth0 >'"$TEST_DIR"'/hook"], "env": ["PATH='"$PATH"'"]}]'
	wait_until grep -q ready "$BUNDLE/out"
	assert_contains "$(cat hook)" 10.99.0.2/24 "the network of createContainer hooks"
	assert_contains "$(cat "$BUNDLE/out")" 02:00:00:00:12:34
	assert_contains "$(cat "$BUNDLE/out")" 10.99.0.2/24
	assert_contains "$(cat "$BUNDLE/out")" 'mtu 1400'
	assert_contains "$(cat "$BUNDLE/out")" 'default via 10.99.0.1'
	assert_eq "$(busybox nc -w 10 10.99.0.2 80 </dev/null)" from-the-guest
	busybox nc -l -p 81 -e echo from-the-host &
	assert_eq "$(oci exec "$ID" nc -w 20 10.99.0.1 81 </dev/null)" from-the-host
	oci delete --force "$ID"
	ip netns del guest
	assert_nothing_left
}
