#!/bin/bash
# seccomp: actions, errno, arguments, architectures, notification.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# seccomp_filter RULES [MEMBERS]: everything else is allowed
seccomp_filter() {
	printf '.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[%s]%s}' "$1" "${2:+,$2}"
}

test_filter_is_on() {
	assert_contains "$(run_sh 'grep Seccomp: /proc/self/status' \
		"$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO"}')")" 2
	assert_contains "$(run_sh 'grep Seccomp: /proc/self/status' 'del(.linux.seccomp)')" 0
}

test_errno_and_its_value() {
	assert_contains "$(run_sh 'mkdir /tmp/d 2>&1 || :' \
		"$(seccomp_filter '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}')")" "not permitted"
	assert_contains "$(run_sh 'mkdir /tmp/d 2>&1 || :' \
		"$(seccomp_filter '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}')")" "No space left"
}

test_kill_process() {
	local code=0
	run_sh 'mkdir /tmp/d; exit 0' "$(seccomp_filter '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL_PROCESS"}')" \
		>/dev/null 2>&1 || code=$?
	[ ! -e "$BUNDLE/rootfs/tmp/d" ] || fail "made"
}

test_every_action() {
	local action wanted
	while read -r action wanted; do
		assert_eq "$(run_sh 'mkdir /tmp/d 2>/tmp/error; echo $? $(cut -d : -f 3 /tmp/error)' \
			"$(seccomp_filter "{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_$action\"}")" 2>/dev/null)" "$wanted" "$action"
	done <<-EOF
		KILL 159 Bad system call
		KILL_THREAD 159 Bad system call
		KILL_PROCESS 159 Bad system call
		TRAP 159 Bad system call
		ERRNO 1 Operation not permitted
		TRACE 1 Function not implemented
		ALLOW 0
		LOG 0
	EOF
}

# Of the modes 0400, 0600 and 0700, which are 256, 384 and 448
test_every_comparison() {
	local op values wanted
	[ "$(uname -m)" = x86_64 ] || skip "chmod is a system call of its own only on some architectures"
	while read -r op values wanted; do
		assert_eq "$(run_sh 'for mode in 400 600 700; do chmod $mode /tmp/f 2>/dev/null || echo $mode; done' \
			'.process.cwd = "/tmp" | .process.args[2] |= "touch /tmp/f;" + .' \
			"$(seccomp_filter "{\"names\":[\"chmod\"],\"action\":\"SCMP_ACT_ERRNO\",
				\"args\":[{\"index\":1,$values,\"op\":\"SCMP_CMP_$op\"}]}")" | tr '\n' ' ')" "$wanted " "$op"
	done <<-EOF
		NE "value":384 400 700
		LT "value":384 400
		LE "value":384 400 600
		EQ "value":384 600
		GE "value":384 600 700
		GT "value":384 700
		MASKED_EQ "value":192,"valueTwo":128 600
	EOF
}

test_argument_condition() {
	# kill(…, 12) is refused and kill(…, 10) is not.
	assert_eq "$(run_sh 'trap "" USR1 USR2; kill -12 $$ 2>/dev/null || echo refused; kill -10 $$ && echo sent' \
		"$(seccomp_filter '{"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":12,"op":"SCMP_CMP_EQ"}]}')" |
		tr '\n' ' ')" "refused sent "
}

test_default_action_with_errno() {
	# An allow list for busybox would be long: the default is an errno, and all but one are allowed.
	local code=0
	run_sh true '.linux.seccomp={"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}' \
		>/dev/null 2>&1 || code=$?
	assert_ne "$code" 0
}

test_runtime_does_not_need_what_is_denied() {
	# The filter comes last; behind it are only close_range and the exec itself.
	assert_eq "$(run_sh 'echo alive' '.process.noNewPrivileges=true' \
		"$(seccomp_filter '{"names":["mount","pivot_root","setns","unshare","capset","setresuid","setgroups","openat2","move_mount","umount2","clone3","fsopen"],"action":"SCMP_ACT_KILL_PROCESS"}')")" alive
}

test_multiple_architectures() {
	[ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
	assert_contains "$(run_sh 'grep Seccomp: /proc/self/status' \
		"$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO"}' '"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"]')")" 2
}

test_unknown_names() {
	expect_failure run_sh true "$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_NOSUCH"}')"
	assert_contains "$ERROR" SCMP_ACT_NOSUCH
	expect_failure run_sh true "$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO"}' '"architectures":["SCMP_ARCH_VAX"]')"
	assert_contains "$ERROR" SCMP_ARCH_VAX
	expect_failure run_sh true "$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO"}' '"flags":["SECCOMP_FILTER_FLAG_NOSUCH"]')"
	assert_contains "$ERROR" SECCOMP_FILTER_FLAG_NOSUCH
	expect_failure run_sh true "$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}')"
	expect_failure run_sh true "$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_NO"}]}')"
	assert_contains "$ERROR" SCMP_CMP_NO
}

test_unknown_system_call_is_an_error() {
	expect_failure run_sh true "$(seccomp_filter '{"names":["no_such_call"],"action":"SCMP_ACT_ERRNO"}')"
	assert_contains "$ERROR" no_such_call
}

test_flags() {
	local flag
	for flag in SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_TSYNC; do
		assert_contains "$(run_sh 'grep Seccomp: /proc/self/status' \
			"$(seccomp_filter '{"names":["acct"],"action":"SCMP_ACT_ERRNO"}' "\"flags\":[\"$flag\"]")")" 2 "$flag"
	done
}

test_listener() {
	local notify
	notify=$(tool notify) || skip "no notify"
	"$notify" "$TEST_DIR/socket" >"$TEST_DIR/got" &
	local listener=$!
	wait_until test -S "$TEST_DIR/socket"
	assert_eq "$(run_sh 'mkdir /tmp/d 2>&1 | grep -o "No message of desired type"' \
		"$(seccomp_filter '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_NOTIFY"}' \
			"\"listenerPath\":\"$TEST_DIR/socket\",\"listenerMetadata\":\"some data\"")")" "No message of desired type"
	kill "$listener"
	wait "$listener" || :
	assert_eq "$(jq -r .metadata "$TEST_DIR/got")" "some data"
	assert_eq "$(jq -r '.fds[0]' "$TEST_DIR/got")" seccompFd
	assert_matches "$(jq -r .state.status "$TEST_DIR/got")" '^creat(ing|ed)$'
}

test_listener_of_an_annotation() {
	local notify
	notify=$(tool notify) || skip "no notify"
	"$notify" "$TEST_DIR/socket" >"$TEST_DIR/got" &
	local listener=$!
	wait_until test -S "$TEST_DIR/socket"
	run_sh 'mkdir /tmp/d' ".annotations = {\"run.oci.seccomp.receiver\": \"$TEST_DIR/socket\"}" \
		"$(seccomp_filter '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_NOTIFY"}' "\"listenerPath\":\"$TEST_DIR/none\"")" 2>/dev/null || :
	kill "$listener"
	wait "$listener" || :
	assert_eq "$(jq -r '.fds[0]' "$TEST_DIR/got")" seccompFd
}

test_listener_that_is_not_there() {
	next_container
	bundle_sh "$BUNDLE" true "$(seccomp_filter '{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}' "\"listenerPath\":\"$TEST_DIR/none\"")"
	expect_failure timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "$TEST_DIR/none"
	assert_nothing_left
}

test_notify_without_a_listener_path_is_refused() {
	expect_failure run_sh true "$(seccomp_filter '{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}')"
	assert_contains "$ERROR" listenerPath
}
