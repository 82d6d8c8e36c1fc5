#!/bin/bash
# The life of a container: create, start, state, kill, delete, run, list, pause, resume, ps.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_create_does_not_run_the_program() {
	create_sh 'echo ran > /out'
	assert_eq "$(status_of "$ID")" created
	[ ! -e "$BUNDLE/rootfs/out" ] || fail "the program ran before start"
	oci start "$ID"
	wait_status "$ID" stopped
	assert_eq "$(cat "$BUNDLE/rootfs/out")" ran
	oci delete "$ID"
	assert_nothing_left
}

test_state_has_every_field() {
	create_sh 'sleep 60' '.annotations={"org.example.key":"value"}'
	local state
	state=$(oci state "$ID" 2>&1)
	assert_eq "$(jq -r .id <<<"$state")" "$ID"
	assert_eq "$(jq -r .status <<<"$state")" created
	assert_eq "$(jq -r .pid <<<"$state")" "$PID"
	assert_eq "$(jq -r .bundle <<<"$state")" "$(realpath "$BUNDLE")"
	assert_eq "$(jq -r '.annotations["org.example.key"]' <<<"$state")" value
	assert_contains "$(jq -r .ociVersion <<<"$state")" 1.
	assert_eq "$(jq -r .rootfs <<<"$state")" "$(realpath "$BUNDLE/rootfs")"
	date -d "$(jq -r .created <<<"$state")" >/dev/null || fail "created is no date"
	oci start "$ID"
	assert_eq "$(status_of "$ID")" running
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	# The specification leaves pid out, or zero, for a stopped container.
	assert_eq "$(oci state "$ID" | jq -r '.pid // 0')" 0
}

test_pid_file_is_a_bare_number() {
	create_sh 'sleep 60'
	assert_eq "$(cat "$BUNDLE/pid")" "$(tr -dc 0-9 <"$BUNDLE/pid")"
	[ -d "/proc/$PID" ] || fail "no process $PID"
}

test_run_gives_the_exit_code() {
	local code=0
	run_sh 'exit 7' || code=$?
	assert_eq "$code" 7
	assert_nothing_left
	code=0
	# In its own pid namespace it cannot do that to itself.
	run_sh 'kill -9 $$' '.linux.namespaces |= map(select(.type != "pid"))' '.mounts |= map(select(.type != "proc"))' || code=$?
	assert_eq "$code" 137 "killed by a signal"
	assert_eq "$(run_sh 'echo out')" out
	assert_nothing_left
}

test_run_detached_and_keep() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	oci run --detach --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null >/dev/null 2>&1
	assert_eq "$(status_of "$ID")" running
	oci delete --force "$ID"
	next_container
	bundle_sh "$BUNDLE" 'exit 0'
	oci run --keep --bundle "$BUNDLE" "$ID"
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
	assert_nothing_left
}

test_run_passes_signals_on() {
	next_container
	bundle_sh "$BUNDLE" 'trap "exit 33" TERM; echo ready; while :; do sleep 0.1; done'
	# Not through the function: the signal is for the runtime and not for a subshell.
	"$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" >"$BUNDLE/out" </dev/null &
	local runner=$! code=0
	wait_until grep -q ready "$BUNDLE/out"
	kill -TERM "$runner"
	wait "$runner" || code=$?
	assert_eq "$code" 33
	assert_nothing_left
}

test_kill_takes_signals_in_every_form() {
	local form
	for form in 10 USR1 SIGUSR1 sigusr1; do
		start_sh 'trap "echo got; exit" USR1; echo ready; while :; do sleep 0.05; done'
		wait_until grep -q ready "$BUNDLE/out"
		oci kill "$ID" "$form"
		wait_status "$ID" stopped
		assert_contains "$(cat "$BUNDLE/out")" got "kill $form"
		oci delete "$ID"
	done
}

test_kill_default_is_term() {
	start_sh 'trap "echo term; exit" TERM; echo ready; while :; do sleep 0.05; done'
	wait_until grep -q ready "$BUNDLE/out"
	oci kill "$ID"
	wait_status "$ID" stopped
	assert_contains "$(cat "$BUNDLE/out")" term
}

test_kill_all() {
	start_sh 'sleep 61 & sleep 62 & echo ready; wait'
	wait_until grep -q ready "$BUNDLE/out"
	oci kill --all "$ID" KILL
	wait_status "$ID" stopped
	assert_nothing_left_of_pidns
	# Engines call it again on what is stopped.
	oci kill --all "$ID" KILL 2>/dev/null || :
}

assert_nothing_left_of_pidns() {
	wait_until test ! -d "/proc/$PID/task"
}

test_kill_0_only_asks() {
	start_sh 'sleep 60'
	oci kill "$ID" 0
	oci kill --all "$ID" 0
	assert_eq "$(status_of "$ID")" running
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	expect_failure oci kill "$ID" 0
	assert_contains "$ERROR" "container not running"
	expect_failure oci kill "$ID" 00
	assert_contains "$ERROR" "not a signal"
	oci delete "$ID"
}

test_kill_of_a_stopped_container() {
	start_sh 'exit 0'
	wait_status "$ID" stopped
	expect_failure oci kill "$ID" TERM
	assert_contains "$ERROR" "container not running"
}

test_kill_of_a_created_container() {
	create_sh 'sleep 60'
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_nothing_left
}

test_delete_refuses_what_runs() {
	start_sh 'sleep 60'
	expect_failure oci delete "$ID"
	assert_contains "$ERROR" "$ID"
	assert_eq "$(status_of "$ID")" running
	oci delete --force "$ID"
	assert_nothing_left
}

test_delete_force_twice() {
	start_sh 'sleep 60'
	oci delete --force "$ID"
	assert_nothing_left
	assert_eq "$(oci delete --force "$ID" 2>&1)" ""
	oci delete --force never-there
}

test_delete_of_nothing_does_not_exist() {
	expect_failure oci delete nothing-here
	assert_contains "$ERROR" "does not exist"
	expect_failure oci state nothing-here
	assert_contains "$ERROR" "does not exist"
	expect_failure oci kill nothing-here
	assert_contains "$ERROR" "does not exist"
	expect_failure oci start nothing-here
	assert_contains "$ERROR" "does not exist"
}

test_delete_and_kill_by_regex() {
	local first
	create_sh 'sleep 60'
	first=$ID
	create_sh 'sleep 60'
	oci kill --regex '^t-' KILL
	wait_status "$first" stopped
	wait_status "$ID" stopped
	oci delete --regex '^t-'
	assert_eq "$(oci list -q)" ""
}

test_start_twice() {
	start_sh 'sleep 60'
	expect_failure oci start "$ID"
	assert_contains "$ERROR" "$ID"
	assert_eq "$(status_of "$ID")" running
}

test_list() {
	assert_eq "$(oci list --format=json | jq -c .)" "[]"
	create_sh 'sleep 60'
	assert_eq "$(oci list -q)" "$ID"
	assert_eq "$(oci list --format json | jq -r '.[0].id')" "$ID"
	assert_eq "$(oci list -f json | jq -r '.[0].status')" created
	assert_contains "$(oci list)" "$ID"
	assert_contains "$(oci list)" "$PID"
}

test_ps() {
	start_sh 'sleep 60 & echo ready; wait'
	wait_until grep -q ready "$BUNDLE/out"
	local pids
	pids=$(oci ps --format json "$ID" 2>&1)
	assert_eq "$(jq -r type <<<"$pids")" array
	assert_contains " $(jq -r 'join(" ")' <<<"$pids") " " $PID "
	assert_eq "$(jq length <<<"$pids")" 2
	assert_contains "$(oci ps "$ID")" "sleep 60"
}

test_pause_and_resume() {
	start_sh 'i=0; while :; do i=$((i + 1)); echo $i > /tmp/n; sleep 0.02; done'
	wait_until test -s "$BUNDLE/rootfs/tmp/n"
	oci pause "$ID"
	assert_eq "$(status_of "$ID")" paused
	local before after
	before=$(cat "$BUNDLE/rootfs/tmp/n")
	sleep 0.3
	after=$(cat "$BUNDLE/rootfs/tmp/n")
	assert_eq "$after" "$before" "counted while paused"
	expect_failure oci pause "$ID"
	oci resume "$ID"
	assert_eq "$(status_of "$ID")" running
	counted_on() { [ "$(cat "$BUNDLE/rootfs/tmp/n")" != "$before" ]; }
	wait_until counted_on
	expect_failure oci resume "$ID"
	oci pause "$ID"
	oci delete --force "$ID"
	assert_nothing_left
}

test_config_option_and_relative_bundle() {
	next_container
	bundle_sh "$BUNDLE" 'echo default'
	jq "$(script_filter 'echo other')" "$BUNDLE/config.json" >"$TEST_DIR/other.json"
	assert_eq "$(oci run --config "$TEST_DIR/other.json" --bundle "$BUNDLE" "$ID")" other
	assert_eq "$(cd "$BUNDLE" && oci run "$ID")" default
	assert_eq "$(cd "$TEST_DIR" && oci run -b "$(basename "$BUNDLE")" "$ID")" default
}

test_preserve_fds() {
	next_container
	bundle_sh "$BUNDLE" 'cat <&3; ls /proc/self/fd | tr "\n" " "'
	assert_contains "$(oci run --preserve-fds 1 --bundle "$BUNDLE" "$ID" 3<<<"through three" 4<"$0")" \
		"through three"
	# Without the option nothing above standard error arrives.
	bundle_sh "$TEST_DIR/none" 'ls -l /proc/self/fd | wc -l'
	assert_eq "$(oci run --bundle "$TEST_DIR/none" "$ID" 3<"$0" 7<"$0" </dev/null)" 5 \
		"lines: total, 0, 1, 2 and the directory itself"
}

test_spec_makes_a_bundle_that_runs() {
	mkdir "$TEST_DIR/made"
	(cd "$TEST_DIR/made" && oci spec)
	bundle_make "$TEST_DIR/other"
	mv "$TEST_DIR/other/rootfs" "$TEST_DIR/made/rootfs"
	jq '.process.terminal=false | .process.args=["echo","made"]' "$TEST_DIR/made/config.json" \
		>"$TEST_DIR/c.json"
	mv "$TEST_DIR/c.json" "$TEST_DIR/made/config.json"
	assert_eq "$(oci run --bundle "$TEST_DIR/made" made-1)" made
	# It never overwrites one that is there.
	cd "$TEST_DIR/made"
	expect_failure oci spec
	assert_contains "$ERROR" config.json
	(cd "$TEST_DIR/made" && oci spec --file other.json)
	assert_eq "$(jq .process.args other.json)" "$(oci spec --bundle .. && jq .process.args ../config.json)"
}

test_a_hundred_in_a_row_leave_nothing() {
	next_container
	bundle_sh "$BUNDLE" 'exit 0'
	local i
	for i in $(seq 100); do
		oci run --bundle "$BUNDLE" "$ID"
	done
	assert_nothing_left
}

test_many_at_once() {
	local i pids=()
	bundle_sh "$TEST_DIR/shared" 'sleep 0.2'
	for i in $(seq 16); do
		oci run --bundle "$TEST_DIR/shared" "many-$i" </dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "one of sixteen failed"
	done
	assert_nothing_left
}

test_reaped_processes_of_a_reused_pid_are_not_ours() {
	# A state whose process is gone is stopped, even if its number lives again.
	start_sh 'sleep 60'
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
}

test_absolute_root_does_not_depend_on_the_working_directory() {
	create_sh 'sleep 60'
	mkdir "$TEST_DIR/elsewhere"
	assert_eq "$(cd "$TEST_DIR/elsewhere" && oci list -q)" "$ID"
	assert_eq "$(cd / && oci list -q)" "$ID"
	assert_file "$TEST_DIR/state"
}
