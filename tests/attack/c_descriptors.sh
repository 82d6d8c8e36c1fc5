#!/bin/bash
# Section C: descriptors, the runtime's own binary, processes that join.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_C1_the_binary_cannot_be_rewritten() {
	local hash
	hash=$(sha256sum <"$BRIG_OCI")
	# The entry point is the runtime itself, or a script whose interpreter is. It may run: what
	# counts is that nothing leads from there to the file.
	next_container
	bundle_make "$BUNDLE" '.process.args=["/proc/self/exe","--version"]'
	run oci run --bundle "$BUNDLE" "$ID"
	next_container
	bundle_make "$BUNDLE" '.root.readonly=false' '.process.args=["/evil"]'
	printf '#!/proc/self/exe\n' >"$BUNDLE/rootfs/evil"
	chmod 755 "$BUNDLE/rootfs/evil"
	run oci run --bundle "$BUNDLE" "$ID"
	assert_eq "$(sha256sum <"$BRIG_OCI")" "$hash"
}

test_C1_writer_loop_against_exec() {
	local hash i
	hash=$(sha256sum <"$BRIG_OCI")
	start_sh 'while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || { true >> $p/exe; } 2>/dev/null && echo WROTE $p; done; done' \
		"$(caps_filter CAP_DAC_OVERRIDE CAP_SYS_PTRACE)" '.linux.seccomp=null'
	for i in $(seq "${BRIG_RACE_ROUNDS:-100}"); do
		oci exec "$ID" /bin/true </dev/null >/dev/null 2>&1 || :
	done
	assert_eq "$(sha256sum <"$BRIG_OCI")" "$hash"
}

test_C2_working_directory_through_a_descriptor() {
	host_canary_begin
	local n
	next_container
	bundle_sh "$BUNDLE" 'pwd; cat ../../../../../../..'"$TEST_DIR"'/canary/file'
	for n in $(seq 3 64); do
		bundle_edit "$BUNDLE" ".process.cwd=\"/proc/self/fd/$n\""
		run oci run --bundle "$BUNDLE" "$ID"
		assert_not_contains "$output" precious "descriptor $n"
	done
	host_canary_check
}

test_C2_working_directory_of_exec_through_a_descriptor() {
	host_canary_begin
	start_sh 'sleep 60'
	local n
	for n in $(seq 3 64); do
		run oci exec --cwd "/proc/self/fd/$n" "$ID" cat "../../../../../../..$TEST_DIR/canary/file"
		assert_not_contains "$output" precious "descriptor $n"
	done
	oci delete --force "$ID"
	host_canary_check
}

# What the engine gave the command is nothing for who looks at it from within.
test_C3_arguments_and_environment_of_a_waiting_init() {
	local pid
	next_container
	bundle_make "$BUNDLE" '.process.args=["/bin/sleep","60"]'
	A_TOKEN=precious oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null >/dev/null
	assert_eq "$(oci exec "$ID" cat /proc/1/cmdline | tr -d '\0')" "brig-oci init"
	pid=$(cat "$BUNDLE/pid")
	assert_not_contains "$(tr '\0' '\n' <"/proc/$pid/environ")" precious
	oci delete --force "$ID"
}

test_C2_only_three_descriptors_in_run_and_exec() {
	assert_eq "$(run_sh 'for f in /proc/self/fd/*; do echo ${f##*/}; done' 5<"$0" 17</ | sort -n | head -3 | tr '\n' ' ')" "0 1 2 "
	start_sh 'sleep 60' 5<"$0" 17</
	assert_eq "$(ls "/proc/$PID/fd" | tr '\n' ' ')" "0 1 2 "
	oci exec --detach --pid-file "$TEST_DIR/pid" "$ID" sleep 50 </dev/null >/dev/null 2>&1 5<"$0" 17</
	runs_sleep() { [ "$(readlink "/proc/$(cat "$TEST_DIR/pid")/exe")" = /bin/busybox ]; }
	wait_until runs_sleep
	assert_eq "$(ls "/proc/$(cat "$TEST_DIR/pid")/fd" | tr '\n' ' ')" "0 1 2 "
}

test_C2_descriptors_while_created() {
	create_sh 'sleep 60' 17</
	local fd target
	for fd in "/proc/$PID/fd"/*; do
		target=$(readlink "$fd")
		case $target in
		/dev/null | pipe:* | socket:* | anon_inode:* | "$BUNDLE"/out | "$BUNDLE"/err | "$TEST_DIR"/state/*) ;;
		# The private procfs, which is mounted nowhere.
		/) assert_eq "$(stat -Lfc %T "$fd")" proc "created holds a /" ;;
		/*) [ ! -d "$fd/." ] || fail "a directory of the host is open: $target" ;;
		esac
	done
}

test_C3_not_dumpable_while_it_joins() {
	start_sh 'sleep 60'
	command -v strace >/dev/null || skip "no strace"
	strace -f -qq -e trace=prctl,setns,execve,execveat -o "$TEST_DIR/trace" "$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" true </dev/null
	local dumpable join
	dumpable=$(grep -n 'PR_SET_DUMPABLE, \(0\|SUID_DUMP_DISABLE\)' "$TEST_DIR/trace" | head -1 | cut -d: -f1)
	join=$(grep -n 'setns(' "$TEST_DIR/trace" | head -1 | cut -d: -f1)
	[ -n "$dumpable" ] && [ -n "$join" ] && [ "$dumpable" -lt "$join" ] || fail "dumpable at ${dumpable:-never}, setns at ${join:-never}"
}

# steal_from_exec FILTER…: a first process with CAP_SYS_PTRACE in the host's user namespace looks at
# whatever joins it.
steal_from_exec() {
	local stealer i
	stealer=$(tool stealer) || skip "no stealer"
	next_container
	bundle_make "$BUNDLE" '.process.args=["/stealer"]' '.process.noNewPrivileges=false' "$@"
	cp "$stealer" "$BUNDLE/rootfs/stealer"
	oci create --bundle "$BUNDLE" "$ID" >"$BUNDLE/out" 2>&1 </dev/null
	oci start "$ID"
	wait_until grep -q ready "$BUNDLE/out"
	for i in $(seq "${BRIG_EXEC_ROUNDS:-300}"); do
		BRIG_SECRET=1 timeout 10 "$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" /bin/true </dev/null >/dev/null ||
			fail "exec number $i failed"
	done
	oci delete --force "$ID"
	assert_eq "$(grep STOLEN "$BUNDLE/out" | head -n 3 || :)" ""
}

test_C3_ptrace_and_pidfd_getfd_against_exec() {
	steal_from_exec "$(caps_filter CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYS_ADMIN)" '.linux.seccomp=null'
}

test_C3_against_exec_with_no_new_privileges() {
	steal_from_exec "$(caps_filter CAP_SYS_PTRACE CAP_DAC_READ_SEARCH)" '.process.noNewPrivileges=true' \
		'.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["acct","clone"],"action":"SCMP_ACT_ERRNO"}]}'
}

# The filter has to be loaded while there is CAP_SYS_ADMIN.
test_C3_against_exec_with_a_filter_like_an_engines() {
	steal_from_exec "$(caps_filter CAP_SYS_PTRACE CAP_DAC_READ_SEARCH)" \
		'.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
			{"names":["clone"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":33554432,"op":"SCMP_CMP_GE"}]}]}'
}

test_C4_the_hosts_terminal_is_out_of_reach() {
	# Without a terminal of its own there is no controlling terminal to inject into.
	assert_eq "$(run_sh 'cat /dev/tty 2>&1 | head -c 0; { true < /dev/tty; } 2>/dev/null || echo none')" none
	command -v script >/dev/null || skip "no script"
	next_container
	bundle_sh "$BUNDLE" '{ true < /dev/tty; } 2>/dev/null && echo HAS_TTY; awk "{ print \$7 }" /proc/self/stat'
	script -qec "$BRIG_OCI --root $TEST_DIR/state run --bundle $BUNDLE $ID" /dev/null </dev/null >"$TEST_DIR/typed" 2>&1 || :
	assert_not_contains "$(cat "$TEST_DIR/typed")" HAS_TTY
}
