#!/bin/bash
# Every bad input: one line that names the object, the exit code that engines expect, nothing left.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# refused WORD FILTER…: create fails, its line has WORD, and nothing is left.
refused() {
	local word=$1
	shift
	next_container
	bundle_sh "$BUNDLE" true "$@"
	expect_failure oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID"
	assert_contains "$ERROR" "$word" "$*"
	assert_nothing_left "$*"
	[ ! -s "$BUNDLE/pid" ] || fail "a pid file is left: $*"
}

test_malformed_json() {
	next_container
	bundle_make "$BUNDLE"
	local text
	for text in '' '{' '[]' '{"ociVersion":"1.0.2",}' 'null' '{"a":1}{"b":2}' '{"ociVersion":1}' $'{"ociVersion":"1.0.2"\x01}'; do
		printf '%s' "$text" >"$BUNDLE/config.json"
		expect_failure oci create --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" config.json "$text"
	done
	rm "$BUNDLE/config.json"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" config.json
	assert_nothing_left
}

test_a_config_that_is_no_file() {
	next_container
	bundle_make "$BUNDLE"
	rm "$BUNDLE/config.json"
	mkfifo "$BUNDLE/config.json"
	expect_failure timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID"
	assert_ne "$CODE" 124 "hangs on a FIFO"
}

test_missing_members() {
	refused ociVersion 'del(.ociVersion)'
	refused ociVersion '.ociVersion="9.0.0"'
	refused root 'del(.root)'
	refused root.path 'del(.root.path)'
	refused args 'del(.process.args)'
	refused args '.process.args=[]'
	refused cwd 'del(.process.cwd)'
	refused cwd '.process.cwd="not/absolute"'
}

test_wrong_types() {
	refused hostname '.hostname=5'
	refused mounts '.mounts={}'
	refused uid '.process.user.uid="root"'
	refused uid '.process.user.uid=-1'
	refused uid '.process.user.uid=4294967296'
	refused uid '.process.user.uid=1.5'
	refused env '.process.env=[1]'
	refused namespaces '.linux.namespaces="pid"'
}

test_unknown_names() {
	refused CAP_NOSUCH '.process.capabilities.bounding=["CAP_NOSUCH"]'
	refused CAP_SYS_ADMIN, '.process.capabilities.effective=["CAP_SYS_ADMIN,"]'
	refused RLIMIT_NOSUCH '.process.rlimits=[{"type":"RLIMIT_NOSUCH","soft":1,"hard":1}]'
	refused nosuchns '.linux.namespaces += [{"type":"nosuchns"}]'
	refused org.brig.landlok.ro '.annotations={"org.brig.landlok.ro":"/usr"}'
	refused org.brig.isolation '.annotations={"org.brig.isolation":"vn"}'
	refused SCHED_NOSUCH '.process.scheduler={"policy":"SCHED_NOSUCH"}'
	refused IOPRIO_NOSUCH '.process.ioPriority={"class":"IOPRIO_NOSUCH","priority":1}'
	refused nosuchpropagation '.linux.rootfsPropagation="nosuchpropagation"'
	refused NOSUCHDOMAIN '.linux.personality={"domain":"NOSUCHDOMAIN"}'
	refused nosuchfs '.mounts += [{"destination":"/x","type":"nosuchfs","source":"x"}]'
	refused nosuchoption '.mounts += [{"destination":"/x","type":"tmpfs","source":"x","options":["nosuchoption"]}]'
}

test_contradictions() {
	refused 'process.rlimits[0].soft' '.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":9,"hard":5}]'
	refused RLIMIT_NOFILE '.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":1,"hard":5},{"type":"RLIMIT_NOFILE","soft":1,"hard":5}]'
	refused pid '.linux.namespaces += [{"type":"pid"}]'
	refused sysctl '.linux.sysctl={"kernel.nosuch":"1"}'
	refused net.ipv4.ip_forward '.linux.sysctl={"net.ipv4.ip_forward":"1"} | .linux.namespaces |= map(select(.type != "network"))'
	refused devices '.linux.devices=[{"path":"/dev/x","type":"q","major":1,"minor":1}]'
	refused capabilit '.process.capabilities={"ambient":["CAP_KILL"]}'
}

test_rootfs_that_is_not_there() {
	refused nowhere '.root.path="nowhere"'
	refused /dev/null '.root.path="/dev/null"'
	refused bin/busybox '.root.path="rootfs/bin/busybox"'
}

test_mount_sources_that_are_not_there() {
	refused /no/such/source '.mounts += [{"destination":"/x","type":"bind","source":"/no/such/source","options":["bind"]}]'
	refused destination '.mounts += [{"type":"tmpfs","source":"x"}]'
}

test_ids() {
	local id
	next_container
	bundle_sh "$BUNDLE" true
	for id in "" . .. a/b ../x /x "a b" $'a\nb' 'a*' 'ä' "$(printf 'x%.0s' {1..1025})"; do
		expect_failure oci create --bundle "$BUNDLE" "$id"
		expect_failure oci state "$id"
		expect_failure oci delete "$id"
	done
	[ ! -e "$TEST_DIR/x" ] || fail "left the state's directory"
	for id in a A.b_c-d+e 0 "$(printf 'x%.0s' {1..200})"; do
		oci run --bundle "$BUNDLE" "$id"
	done
	assert_nothing_left
}

test_duplicate_id() {
	create_sh 'sleep 60'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "$ID"
	assert_contains "$ERROR" exists
	assert_eq "$(status_of "$ID")" created
	[ -d "/proc/$PID" ] || fail "the first one is gone"
}

test_one_of_many_creators_wins() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	local i won=0 pids=()
	for i in 1 2 3 4 5 6 7 8; do
		oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		! wait "$i" || won=$((won + 1))
	done
	assert_eq "$won" 1
	oci delete --force "$ID"
	assert_nothing_left
}

test_missing_executable() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["no-such-program"]'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'executable file not found in $PATH'
	bundle_edit "$BUNDLE" '.process.args=["/no/such/program"]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'no such file or directory'
	assert_contains "$ERROR" /no/such/program
	bundle_edit "$BUNDLE" '.process.args=["/etc/passwd"]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'permission denied'
	assert_nothing_left
}

test_occupied_cgroup() {
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || skip "no cgroup v2 here"
	mkdir -p /sys/fs/cgroup/brig-occupied
	sleep 60 &
	local occupant=$!
	echo "$occupant" >/sys/fs/cgroup/brig-occupied/cgroup.procs
	next_container
	bundle_sh "$BUNDLE" true '.linux.cgroupsPath="/brig-occupied"'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" brig-occupied
	kill -0 "$occupant" || fail "the occupant was killed"
	kill "$occupant"
	wait "$occupant" || :
	rmdir /sys/fs/cgroup/brig-occupied
	assert_nothing_left
}

test_full_disk_for_state() {
	mkdir "$TEST_DIR/small"
	mount -t tmpfs -o size=16k,nr_inodes=4 tmpfs "$TEST_DIR/small"
	head -c 16k /dev/zero >"$TEST_DIR/small/fill" 2>/dev/null || :
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	expect_failure "$BRIG_OCI" --root "$TEST_DIR/small/state" create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "No space left"
	assert_nothing_left
	umount "$TEST_DIR/small"
}

test_unwritable_pid_file_log_and_root() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	expect_failure oci create --bundle "$BUNDLE" --pid-file /nonexistent/pid "$ID"
	assert_contains "$ERROR" /nonexistent/pid
	assert_nothing_left
	expect_failure "$BRIG_OCI" --log /nonexistent/log --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" /nonexistent/log
	expect_failure "$BRIG_OCI" --root /dev/null/state create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" /dev/null/state
	assert_nothing_left
}

test_standard_output_that_is_full() {
	create_sh 'sleep 60'
	local code=0
	oci state "$ID" >/dev/full 2>/dev/null || code=$?
	assert_ne "$code" 0
}

test_command_lines() {
	expect_failure "$BRIG_OCI"
	expect_failure "$BRIG_OCI" nosuchcommand
	assert_contains "$ERROR" nosuchcommand
	expect_failure "$BRIG_OCI" creat x
	assert_contains "$ERROR" '"create"'
	expect_failure "$BRIG_OCI" create --nosuchoption x
	assert_contains "$ERROR" --nosuchoption
	expect_failure "$BRIG_OCI" create
	expect_failure "$BRIG_OCI" create a b
	expect_failure "$BRIG_OCI" --log-format xml list
	assert_contains "$ERROR" xml
	expect_failure "$BRIG_OCI" create --preserve-fds=-1 x
	expect_failure "$BRIG_OCI" create --preserve-fds=99999999999 x
	expect_failure oci kill x NOSUCHSIGNAL
	assert_contains "$ERROR" NOSUCHSIGNAL
	expect_failure oci kill x 65
	expect_failure oci kill x 0
}

test_signal_at_any_moment_of_create() {
	local i sig delay
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	for i in $(seq 40); do
		sig=$([ $((i % 2)) = 0 ] && echo TERM || echo INT)
		delay=$(awk -v i="$i" 'BEGIN { printf "%.4f", i * 0.0003 }')
		timeout --preserve-status -s "$sig" "$delay" "$BRIG_OCI" --root "$TEST_DIR/state" create \
			--bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
		oci delete --force "$ID"
		assert_nothing_left "$sig after $delay s"
	done
}

test_kill_at_any_moment_of_create_then_delete_twice() {
	local i delay
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	for i in $(seq 60); do
		delay=$(awk -v i="$i" 'BEGIN { printf "%.4f", i * 0.0002 }')
		timeout -s KILL "$delay" "$BRIG_OCI" --root "$TEST_DIR/state" create \
			--bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
		oci delete --force "$ID"
		oci delete --force "$ID"
		assert_nothing_left "KILL after $delay s"
	done
}

test_delete_force_of_damaged_state() {
	local file
	create_sh 'sleep 60' '.linux.cgroupsPath="/damaged"'
	find "$TEST_DIR/state" -type f | while read -r file; do
		: >"$file"
	done
	assert_runs oci delete --force "$ID"
	assert_contains "$errors" "may be left"
	# Nothing says any more which cgroup was its.
	echo 1 >/sys/fs/cgroup/damaged/cgroup.kill
	wait_until rmdir /sys/fs/cgroup/damaged
	oci delete --force "$ID"
	[ -z "$(ls "$TEST_DIR/state" 2>/dev/null)" ] || fail "left: $(ls "$TEST_DIR/state")"
}

test_broken_container_does_not_hide_the_others() {
	create_sh 'sleep 60' '.linux.cgroupsPath="/damaged"'
	local first=$ID
	create_sh 'sleep 60'
	find "$TEST_DIR/state/$first" -type f | while read -r file; do
		echo '{' >"$file"
	done
	assert_contains "$(oci list -q 2>/dev/null)" "$ID"
	echo 1 >/sys/fs/cgroup/damaged/cgroup.kill
	wait_until rmdir /sys/fs/cgroup/damaged
}

test_a_terminal_that_nobody_takes() {
	next_container
	bundle_sh "$BUNDLE" true '.process.terminal=true'
	expect_failure oci run --detach --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "--console-socket"
	assert_nothing_left "run --detach with a terminal"
}
