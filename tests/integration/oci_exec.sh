#!/bin/bash
# exec: a further process in a container, with the same protection as the first.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_output_and_exit_code() {
	start_sh 'sleep 60'
	local code=0
	assert_eq "$(oci exec "$ID" echo hello)" hello
	oci exec "$ID" sh -c 'exit 9' || code=$?
	assert_eq "$code" 9
	assert_eq "$(echo input | oci exec "$ID" cat)" input
	code=0
	oci exec "$ID" sh -c 'kill -9 $$' || code=$?
	assert_eq "$code" 137
}

test_options_behind_the_id_belong_to_the_command() {
	start_sh 'sleep 60'
	assert_eq "$(oci exec "$ID" echo --detach -e)" "--detach -e"
	assert_eq "$(oci exec -- "$ID" echo --cwd)" --cwd
}

test_namespaces_root_and_cgroup_are_the_containers() {
	start_sh 'sleep 60'
	local ns
	for ns in mnt pid net ipc uts cgroup; do
		assert_eq "$(oci exec "$ID" readlink "/proc/self/ns/$ns")" "$(readlink "/proc/$PID/ns/$ns")" "$ns"
	done
	assert_eq "$(oci exec "$ID" ls /bin/busybox)" /bin/busybox
	assert_eq "$(oci exec "$ID" cat /proc/1/cgroup)" "$(oci exec "$ID" cat /proc/self/cgroup)"
}

test_cwd_env_user_groups() {
	start_sh 'sleep 60' '.process.env=["PATH=/bin","A=config"]'
	assert_eq "$(oci exec --cwd /tmp "$ID" pwd)" /tmp
	assert_eq "$(oci exec --env B=1 --env C=2 "$ID" sh -c 'echo $A$B$C')" config12
	assert_eq "$(oci exec -e A=other "$ID" sh -c 'echo $A')" other
	assert_eq "$(oci exec --user 1000 "$ID" id -u)" 1000
	assert_eq "$(oci exec -u 1000:1001 "$ID" sh -c 'id -u; id -g' | tr '\n' ' ')" "1000 1001 "
	assert_contains "$(oci exec --user 1000:1001 --additional-gids 7 --additional-gids 9 "$ID" grep ^Groups /proc/self/status)" "7 9"
}

# Every line of status that says what a process may do.
FINGERPRINT='grep -E "^(Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups)" /proc/self/status; umask; ulimit -n; cat /proc/self/attr/current 2>/dev/null'

test_same_protection_as_the_first_process() {
	local uid caps filter
	for uid in 0 1000; do
		for caps in "" CAP_KILL "CAP_CHOWN CAP_SETUID"; do
			# shellcheck disable=SC2086
			filter=$(caps_filter $caps)
			start_sh "$FINGERPRINT; echo end; sleep 60" "$filter" ".process.user={\"uid\":$uid,\"gid\":$uid}" \
				'.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":77,"hard":88}]' \
				'.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["acct"],"action":"SCMP_ACT_ERRNO"}]}'
			wait_until grep -q end "$BUNDLE/out"
			assert_eq "$(oci exec "$ID" sh -c "$FINGERPRINT; echo end")" "$(cat "$BUNDLE/out")" "uid $uid, caps $caps"
			oci delete --force "$ID"
		done
	done
}

test_capability_option() {
	start_sh 'sleep 60' "$(caps_filter CAP_KILL)" '.process.noNewPrivileges=false'
	local sets
	sets=$(oci exec --cap CAP_CHOWN "$ID" grep ^Cap /proc/self/status)
	assert_contains "$sets" "CapEff:	$(cap_mask 0 5)"
	assert_contains "$sets" "CapInh:	$(cap_mask)"
	assert_contains "$sets" "CapAmb:	$(cap_mask)"
	expect_failure oci exec --cap CAP_NOSUCH "$ID" true
	assert_contains "$ERROR" CAP_NOSUCH
}

test_no_new_privs_option() {
	start_sh 'sleep 60' '.process.noNewPrivileges=false'
	assert_contains "$(oci exec --no-new-privs "$ID" grep NoNewPrivs /proc/self/status)" 1
	assert_contains "$(oci exec "$ID" grep NoNewPrivs /proc/self/status)" 0
}

process_file() {
	jq -n "{user: {uid: 0, gid: 0}, args: [\"sh\", \"-c\", $(json_string "$1")], env: [\"PATH=/bin\"], cwd: \"/\"} | ${2:-.}" \
		>"$TEST_DIR/process.json"
}

test_process_file() {
	start_sh 'sleep 60'
	process_file 'id -u; pwd; grep CapEff /proc/self/status | cut -f2' \
		'.user.uid=5 | .cwd="/tmp" | .capabilities={bounding: ["CAP_KILL"]}'
	assert_eq "$(oci exec --process "$TEST_DIR/process.json" "$ID" | tr '\n' ' ')" "5 /tmp $(cap_mask) "
	process_file true '.args=[]'
	expect_failure oci exec --process "$TEST_DIR/process.json" "$ID"
	expect_failure oci exec --process "$TEST_DIR/none.json" "$ID"
	assert_contains "$ERROR" none.json
}

# What a clone does not hand on must reach the program all the same.
test_scheduler_that_is_reset_on_fork() {
	start_sh 'sleep 60'
	process_file true '.scheduler={policy: "SCHED_FIFO", priority: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"]}
		| .args=["awk", "{ print $40, $41 }", "/proc/self/stat"] | .user.uid=7'
	assert_eq "$(oci exec --process "$TEST_DIR/process.json" "$ID")" "3 1"
}

# One that counts the runtime's own processes as the user's would refuse it.
test_the_last_process_that_the_limit_allows() {
	start_sh 'exec sleep 60' '.process.user.uid=54321'
	process_file true '.rlimits=[{type: "RLIMIT_NPROC", soft: 2, hard: 2}] | .args=["grep", "Max processes", "/proc/self/limits"] | .user.uid=54321'
	assert_matches "$(oci exec --process "$TEST_DIR/process.json" "$ID")" ' 2 +2 +processes'
}

test_filter_that_forbids_new_processes() {
	start_sh 'exec sleep 60' \
		'.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone","clone3","fork","vfork"],"action":"SCMP_ACT_KILL_PROCESS"}]}'
	assert_eq "$(oci exec "$ID" echo alive)" alive
	assert_matches "$(oci exec "$ID" grep Seccomp: /proc/self/status)" '2$'
}

test_detached_with_pid_file() {
	start_sh 'sleep 60'
	process_file 'sleep 50'
	oci exec --detach --pid-file "$TEST_DIR/pid" --process "$TEST_DIR/process.json" "$ID" </dev/null >/dev/null 2>&1
	local pid
	pid=$(cat "$TEST_DIR/pid")
	assert_eq "$(readlink "/proc/$pid/ns/pid")" "$(readlink "/proc/$PID/ns/pid")"
	kill "$pid"
}

test_terminal() {
	local recvtty
	recvtty=$(tool recvtty) || skip "no recvtty"
	start_sh 'sleep 60'
	process_file 'tty; stty size' '.terminal=true | .consoleSize={height: 20, width: 90}'
	"$recvtty" "$TEST_DIR/console" >"$TEST_DIR/screen" &
	local receiver=$!
	wait_until test -S "$TEST_DIR/console"
	oci exec --detach --console-socket "$TEST_DIR/console" --process "$TEST_DIR/process.json" "$ID"
	wait "$receiver"
	assert_contains "$(cat "$TEST_DIR/screen")" /dev/pts/0
	assert_contains "$(cat "$TEST_DIR/screen")" "20 90"
}

test_preserve_fds() {
	start_sh 'sleep 60'
	assert_eq "$(oci exec --preserve-fds 1 "$ID" sh -c 'cat <&3' 3<<<through)" through
	assert_eq "$(oci exec "$ID" sh -c 'ls /proc/self/fd | wc -l' 3<"$0" 9<"$0")" 4
}

# A descriptor that nobody gave would be one of the runtime's own.
test_preserved_descriptors_have_to_be_there() {
	start_sh 'sleep 60'
	expect_failure oci exec --preserve-fds 2 "$ID" true 3<"$0"
	assert_contains "$ERROR" "--preserve-fds"
	assert_contains "$ERROR" "descriptor 4"
	oci delete --force "$ID"
	next_container
	bundle_sh "$BUNDLE" true
	expect_failure oci run --preserve-fds 1 --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "descriptor 3"
	assert_nothing_left
}

test_refused_unless_running() {
	create_sh 'sleep 60'
	assert_eq "$(status_of "$ID")" created
	oci start "$ID"
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	expect_failure oci exec "$ID" true
	assert_contains "$ERROR" "not running"
}

test_paused_container() {
	start_sh 'sleep 60'
	oci pause "$ID"
	expect_failure oci exec "$ID" true
	assert_contains "$ERROR" paused
	# With the option it starts, and goes on, also to say how that went, when the container does.
	oci exec --ignore-paused --detach "$ID" touch /tmp/after </dev/null >/dev/null 2>&1 &
	sleep 0.3
	assert_no_file "$BUNDLE/rootfs/tmp/after"
	oci resume "$ID"
	wait $!
	wait_until test -e "$BUNDLE/rootfs/tmp/after"
}

test_cgroup_option() {
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || skip "no cgroup v2 here"
	start_sh 'sleep 60' "$(namespace_filter cgroup)"
	expect_failure oci exec --cgroup ../.. "$ID" true
	expect_failure oci exec --cgroup /none "$ID" true
	assert_contains "$ERROR" none
}

test_a_label_where_there_is_no_selinux() {
	[ ! -e /sys/fs/selinux/enforce ] || skip "this machine has SELinux"
	start_sh 'sleep 300'
	expect_failure oci exec --process-label user_u:user_r:user_t:s0 "$ID" true
	assert_contains "$ERROR" SELinux
	oci delete --force "$ID"
}

test_missing_and_unusable_programs() {
	start_sh 'sleep 60'
	expect_failure oci exec "$ID" no-such-program
	assert_contains "$ERROR" 'executable file not found in $PATH'
	expect_failure oci exec "$ID" /no/such/file
	assert_contains "$ERROR" 'no such file or directory'
	expect_failure oci exec "$ID" /etc/passwd
	assert_contains "$ERROR" 'permission denied'
	expect_failure oci exec "$ID" /tmp
	assert_contains "$ERROR" 'is a directory: permission denied'
}

test_bad_users() {
	local user
	start_sh 'sleep 60'
	for user in 4294967296 -1 1x 0x0 1: :1 1:2:3 1:-1 " 1" 99999999999999999999 nobody-here; do
		expect_failure oci exec --user="$user" "$ID" id
		[ ! -s "$TEST_DIR/failed.out" ] || fail "--user=$user ran as $(cat "$TEST_DIR/failed.out")"
	done
}

test_a_hundred_leave_nothing() {
	start_sh 'sleep 1000'
	local i
	for i in $(seq 100); do
		oci exec "$ID" true
	done
	assert_eq "$(oci ps --format json "$ID" | jq length)" 1
	oci delete --force "$ID"
	assert_nothing_left
}
