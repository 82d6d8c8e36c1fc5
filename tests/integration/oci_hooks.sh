#!/bin/bash
# Hooks: which, when, where, with what, and what happens when they fail.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

KINDS="prestart createRuntime createContainer startContainer poststart poststop"

# hook_filter KIND SCRIPT [MEMBERS]: a hook that runs SCRIPT with /bin/sh
hook_filter() {
	printf '.hooks.%s += [{"path":"/bin/sh","args":["sh","-c",%s]%s}]' "$1" "$(json_string "$2")" "${3:+,$3}"
}

test_order_and_status() {
	local kind filters=() log=$TEST_DIR/log
	mkdir "$log"
	for kind in $KINDS; do
		# Without jq, which the container does not have for its startContainer hook.
		filters+=("$(hook_filter "$kind" "echo $kind \$(grep -o '\"status\": *\"[a-z]*' | grep -o '[a-z]*\$') >> $log/log")")
	done
	next_container
	bundle_sh "$BUNDLE" "echo program >> $log/log" "${filters[@]}" \
		".mounts += [{\"destination\":\"$log\",\"type\":\"bind\",\"source\":\"$log\",\"options\":[\"bind\"]}]"
	oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	assert_eq "$(tr '\n' ' ' <"$log/log")" "prestart creating createRuntime creating createContainer creating "
	oci start "$ID"
	wait_status "$ID" stopped
	assert_eq "$(tail -n +4 "$log/log" | sort | tr '\n' ' ')" "poststart running program startContainer created "
	assert_eq "$(sed -n 4p "$log/log")" "startContainer created"
	oci delete "$ID"
	assert_eq "$(tail -n 1 "$log/log")" "poststop stopped"
}

test_state_on_standard_input() {
	create_sh 'sleep 60' "$(hook_filter createRuntime "cat > $TEST_DIR/state.json")" '.annotations={"a.b":"c"}'
	assert_eq "$(jq -r .id "$TEST_DIR/state.json")" "$ID"
	assert_eq "$(jq -r .pid "$TEST_DIR/state.json")" "$PID"
	assert_eq "$(jq -r .bundle "$TEST_DIR/state.json")" "$(realpath "$BUNDLE")"
	assert_eq "$(jq -r '.annotations["a.b"]' "$TEST_DIR/state.json")" c
	assert_contains "$(jq -r .ociVersion "$TEST_DIR/state.json")" 1.
}

test_several_run_in_order() {
	create_sh 'sleep 60' "$(hook_filter createRuntime "echo 1 >> $TEST_DIR/log")" \
		"$(hook_filter createRuntime "echo 2 >> $TEST_DIR/log")" "$(hook_filter createRuntime "echo 3 >> $TEST_DIR/log")"
	assert_eq "$(tr '\n' ' ' <"$TEST_DIR/log")" "1 2 3 "
}

test_namespaces_of_each() {
	create_sh 'sleep 60' "$(namespace_filter uts)" \
		"$(hook_filter createRuntime "readlink /proc/self/ns/mnt > $TEST_DIR/runtime")" \
		"$(hook_filter createContainer "readlink /proc/self/ns/mnt > $TEST_DIR/container; readlink /proc/self/ns/uts > $TEST_DIR/uts")"
	assert_eq "$(cat "$TEST_DIR/runtime")" "$(readlink /proc/self/ns/mnt)"
	# createContainer: the container's namespaces, but before pivot_root, so paths of the host.
	assert_eq "$(cat "$TEST_DIR/container")" "$(readlink "/proc/$PID/ns/mnt")"
	assert_eq "$(cat "$TEST_DIR/uts")" "$(readlink "/proc/$PID/ns/uts")"
}

test_network_exists_for_create_runtime() {
	create_sh 'sleep 60' "$(namespace_filter network)" \
		"$(hook_filter createRuntime "pid=\$(jq -r .pid); readlink /proc/\$pid/ns/net > $TEST_DIR/net")"
	assert_eq "$(cat "$TEST_DIR/net")" "$(readlink "/proc/$PID/ns/net")"
}

test_a_failing_hook_stops_creation() {
	local kind
	for kind in prestart createRuntime createContainer; do
		next_container
		bundle_sh "$BUNDLE" "touch $TEST_DIR/ran" "$(hook_filter "$kind" 'cat > /dev/null; exit 3')" \
			"$(hook_filter poststop "cat > /dev/null; echo $kind >> $TEST_DIR/poststop")"
		expect_failure oci create --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" "$kind"
		assert_contains "$ERROR" /bin/sh
		assert_nothing_left "$kind"
	done
}

test_a_failing_start_container_hook_stops_the_start() {
	next_container
	bundle_sh "$BUNDLE" 'touch /ran' "$(hook_filter startContainer 'exit 3')"
	oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	expect_failure oci start "$ID"
	assert_contains "$ERROR" startContainer
	[ ! -e "$BUNDLE/rootfs/ran" ] || fail "the program ran"
	wait_status "$ID" stopped
	oci delete --force "$ID"
	assert_nothing_left
}

test_a_failing_poststart_hook_stops_the_container() {
	local filters=("$(hook_filter poststart "cat > /dev/null; exit 3")" "$(hook_filter poststart "touch $TEST_DIR/second")"
		"$(hook_filter poststop "cat > /dev/null; echo end >> $TEST_DIR/poststop")")
	create_sh 'sleep 60' "${filters[@]}"
	expect_failure oci start "$ID"
	assert_contains "$ERROR" "poststart hook 0: /bin/sh: exit status 3"
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
	assert_eq "$(cat "$TEST_DIR/poststop")" end
	assert_nothing_left
	for option in '' --detach; do
		next_container
		bundle_sh "$BUNDLE" 'sleep 60' "${filters[@]}"
		expect_failure oci run $option --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" "poststart hook 0: /bin/sh: exit status 3"
		expect_failure oci state "$ID"
		assert_nothing_left
	done
	assert_eq "$(wc -l <"$TEST_DIR/poststop")" 3
	[ ! -e "$TEST_DIR/second" ] || fail "a hook was run after the one that failed"
}

test_failing_poststop_does_not_keep_the_container() {
	start_sh 'exit 0' "$(hook_filter poststop 'exit 3')" "$(hook_filter poststop "cat > /dev/null; echo second > $TEST_DIR/second")"
	wait_status "$ID" stopped
	oci delete "$ID" 2>/dev/null
	assert_eq "$(cat "$TEST_DIR/second")" second
	assert_nothing_left
}

test_timeout() {
	local before=$SECONDS
	next_container
	bundle_sh "$BUNDLE" true "$(hook_filter createRuntime 'sleep 400' '"timeout":1')"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	[ $((SECONDS - before)) -lt 400 ] || fail "waited for the hook: $((SECONDS - before)) s"
	assert_contains "$ERROR" createRuntime
	assert_nothing_left
	[ -z "$(pgrep -f 'sleep 400' || :)" ] || fail "the hook lives on"
}

test_environment_is_the_hook_s_own() {
	A_HOST_SECRET=1 create_sh 'sleep 60' '.process.env += ["LD_PRELOAD=/evil.so","FROM=container"]' \
		"$(hook_filter createRuntime "env > $TEST_DIR/env; pwd > $TEST_DIR/cwd" '"env":["OWN=1"]')"
	assert_contains "$(cat "$TEST_DIR/env")" OWN=1
	assert_not_contains "$(cat "$TEST_DIR/env")" A_HOST_SECRET
	assert_not_contains "$(cat "$TEST_DIR/env")" LD_PRELOAD
	assert_not_contains "$(cat "$TEST_DIR/env")" FROM=container
	case $(cat "$TEST_DIR/cwd") in
	"$(realpath "$BUNDLE")" | /) ;;
	*) fail "runs in $(cat "$TEST_DIR/cwd")" ;;
	esac
}

test_no_descriptors_but_three() {
	create_sh 'sleep 60' "$(hook_filter createRuntime "ls /proc/self/fd | wc -l > $TEST_DIR/fds")" 5<"$0"
	# 0, 1, 2 and the directory that ls reads.
	assert_eq "$(cat "$TEST_DIR/fds")" 4
}

test_missing_and_relative_hooks() {
	next_container
	bundle_sh "$BUNDLE" true '.hooks.createRuntime=[{"path":"/nonexistent/hook"}]'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" /nonexistent/hook
	next_container
	bundle_sh "$BUNDLE" true '.hooks.createRuntime=[{"path":"bin/sh"}]'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" path
	assert_nothing_left
}

test_hook_that_does_not_read_its_input() {
	create_sh 'sleep 60' "$(hook_filter createRuntime 'exec <&-; exit 0')" \
		'.annotations=([range(3000) | {key: "key.\(.)", value: ("v" * 64)}] | from_entries)'
	assert_eq "$(status_of "$ID")" created
}

test_annotations_take_the_output() {
	next_container
	bundle_sh "$BUNDLE" true "$(hook_filter createRuntime 'echo out; echo err >&2')" "$(hook_filter poststop 'echo end')" \
		".annotations = {\"run.oci.hooks.stdout\": \"$TEST_DIR/out\", \"run.oci.hooks.stderr\": \"$TEST_DIR/err\"}"
	echo before >"$TEST_DIR/out"
	assert_runs oci run --bundle "$BUNDLE" "$ID"
	assert_eq "$output$errors" ""
	assert_eq "$(cat "$TEST_DIR/out" "$TEST_DIR/err")" $'before\nout\nend\nerr'
}
