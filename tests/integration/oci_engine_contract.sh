#!/bin/bash
# How engines call a runtime, word for word, and what they read of its answers.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# As conmon: --log-format=json with a log file, options in its order.
conmon_runtime() {
	"$BRIG_OCI" --root="$TEST_DIR/state" --log-format=json --log "$TEST_DIR/log" "$@"
}

# As containerd's shim.
shim_runtime() {
	"$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log.json" --log-format json "$@"
}

# one_log_line FILE: the whole file is one JSON object with the message, which is put into MESSAGE.
one_log_line() {
	assert_eq "$(wc -l <"$1")" 1 "lines of the log: $(cat "$1")"
	assert_eq "$(jq -rs length "$1")" 1
	assert_eq "$(jq -r .level "$1")" error
	date -d "$(jq -r .time "$1")" >/dev/null || fail "time is no date"
	MESSAGE=$(jq -r .msg "$1")
}

silent() {
	run "$@"
	[ "$status" = 0 ] || fail "status $status of: $*: $errors"
	assert_eq "$errors" "" "standard error of: $*"
}

test_podman_through_conmon() {
	next_container
	bundle_sh "$BUNDLE" 'trap "exit 0" TERM; while :; do sleep 0.05; done'
	conmon_runtime create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" --no-new-keyring "$ID" </dev/null >"$BUNDLE/out" 2>&1
	assert_eq "$(cat "$BUNDLE/out")" ""
	[ ! -s "$TEST_DIR/log" ] || fail "logged on success: $(cat "$TEST_DIR/log")"
	silent "$BRIG_OCI" --root="$TEST_DIR/state" start "$ID"
	silent "$BRIG_OCI" --root="$TEST_DIR/state" state "$ID"
	assert_eq "$(jq -r .status <<<"$output")" running
	jq -n '{user: {uid: 0, gid: 0}, args: ["touch", "/tmp/execed"], env: ["PATH=/bin"], cwd: "/"}' >"$TEST_DIR/process"
	conmon_runtime exec --pid-file "$TEST_DIR/pid" --process "$TEST_DIR/process" --detach "$ID" </dev/null
	wait_until test -e "$BUNDLE/rootfs/tmp/execed"
	silent "$BRIG_OCI" --root="$TEST_DIR/state" kill "$ID" 15
	wait_status "$ID" stopped
	silent "$BRIG_OCI" --root="$TEST_DIR/state" delete --force "$ID"
	assert_nothing_left
}

test_podman_flags_in_front() {
	next_container
	bundle_sh "$BUNDLE" true
	silent "$BRIG_OCI" --cgroup-manager disabled --log-format=json --log "$TEST_DIR/log" --root "$TEST_DIR/state" \
		create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" --no-pivot --preserve-fds 0 "$ID"
	oci delete --force "$ID"
	# With the whole of crun's and runc's global options.
	silent "$BRIG_OCI" --rootless auto --criu /usr/sbin/criu --root "$TEST_DIR/state" list -q
	silent "$BRIG_OCI" --debug --log-level error --cgroup-manager=cgroupfs --root "$TEST_DIR/state" list -q
}

test_containerd_shim() {
	next_container
	bundle_sh "$BUNDLE" 'trap "exit 0" TERM; while :; do sleep 0.05; done' '.linux.cgroupsPath="/brig-shim"'
	shim_runtime create --bundle "$BUNDLE" --pid-file "$BUNDLE/init.pid" --no-new-keyring "$ID" </dev/null >"$BUNDLE/out" 2>&1
	assert_eq "$(cat "$BUNDLE/out")" ""
	shim_runtime start "$ID"
	# The shim merges the two streams before it parses.
	assert_eq "$(shim_runtime ps --format json "$ID" 2>&1 | jq -r type)" array
	assert_eq "$(shim_runtime state "$ID" 2>&1 | jq -r .id)" "$ID"
	jq -n '{user: {uid: 0, gid: 0}, args: ["true"], env: ["PATH=/bin"], cwd: "/"}' >"$TEST_DIR/process"
	shim_runtime exec --process "$TEST_DIR/process" --detach --pid-file "$TEST_DIR/exec.pid" "$ID" </dev/null
	assert_matches "$(cat "$TEST_DIR/exec.pid")" '^[0-9]+$'
	shim_runtime pause "$ID"
	shim_runtime resume "$ID"
	echo '{"pids":{"limit":0}}' | shim_runtime update --resources=- "$ID" 2>"$TEST_DIR/update" ||
		assert_contains "$(cat "$TEST_DIR/update")" pids
	: >"$TEST_DIR/log.json"
	shim_runtime kill --all "$ID" 9
	wait_status "$ID" stopped
	shim_runtime delete "$ID"
	[ ! -s "$TEST_DIR/log.json" ] || fail "logged: $(cat "$TEST_DIR/log.json")"
	assert_nothing_left
}

test_cri_o() {
	next_container
	bundle_sh "$BUNDLE" 'while :; do sleep 0.05; done'
	"$BRIG_OCI" --root="$TEST_DIR/state" create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null >/dev/null 2>&1
	silent "$BRIG_OCI" --root="$TEST_DIR/state" start "$ID"
	jq -n '{user: {uid: 0, gid: 0}, args: ["echo", "attached"], env: ["PATH=/bin"], cwd: "/"}' >"$TEST_DIR/process"
	assert_eq "$("$BRIG_OCI" --root="$TEST_DIR/state" exec --process "$TEST_DIR/process" "$ID")" attached
	silent "$BRIG_OCI" --root="$TEST_DIR/state" kill -a "$ID" 9
	wait_status "$ID" stopped
	silent "$BRIG_OCI" --root="$TEST_DIR/state" delete --force "$ID"
}

test_buildkit() {
	next_container
	bundle_sh "$BUNDLE" 'exit 4'
	local code=0
	"$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" --keep "$ID" </dev/null || code=$?
	assert_eq "$code" 4
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
}

test_single_dash_long_options() {
	# containerd writes "restore … -no-subreaper": parsed, then there is nothing to restore from.
	expect_failure oci restore -no-subreaper --bundle "$TEST_DIR" --image-path "$TEST_DIR/none" x
	assert_not_contains "$ERROR" "unknown option"
}

test_checkpoint_and_restore_options_are_known() {
	start_sh 'sleep 60'
	run oci checkpoint --image-path "$TEST_DIR/none/image" --work-path "$TEST_DIR" --leave-running --tcp-established --file-locks "$ID"
	assert_not_contains "$errors" "unknown option"
	run oci restore --bundle "$BUNDLE" --pid-file "$TEST_DIR/p" --detach --image-path "$TEST_DIR/none" --work-path "$BUNDLE" \
		--tcp-established --tcp-close --file-locks --lsm-profile=selinux:l --lsm-mount-context=l other
	assert_ne "$status" 0
	assert_not_contains "$errors" "unknown option"
}

test_version() {
	silent "$BRIG_OCI" --version
	assert_matches "$(sed -n 1p <<<"$output")" '^brig-oci version [0-9]+\.[0-9]+'
	assert_matches "$(sed -n 2p <<<"$output")" '^commit: '
	assert_matches "$(sed -n 3p <<<"$output")" '^spec: 1\.[0-9]+\.[0-9]+'
	assert_matches "$(sed -n 4p <<<"$output")" '^(\+[A-Z0-9_:]+ ?)+$'
	assert_eq "$("$BRIG_OCI" -v)" "$output"
}

test_features() {
	silent "$BRIG_OCI" features
	assert_matches "$(jq -r .ociVersionMin <<<"$output")" '^1\.'
	assert_matches "$(jq -r .ociVersionMax <<<"$output")" '^1\.[23]'
	assert_contains "$(jq -r '.hooks | join(" ")' <<<"$output")" startContainer
	assert_contains "$(jq -r '.mountOptions | join(" ")' <<<"$output")" rro
	assert_contains "$(jq -r '.linux.namespaces | join(" ")' <<<"$output")" cgroup
	assert_contains "$(jq -r '.linux.capabilities | join(" ")' <<<"$output")" CAP_SYS_ADMIN
	assert_contains "$(jq -r '.linux.seccomp.actions | join(" ")' <<<"$output")" SCMP_ACT_NOTIFY
	assert_eq "$(jq -r '.linux.cgroup.v2' <<<"$output")" true
	assert_eq "$(jq -r '.linux.cgroup.v1 // false' <<<"$output")" false
}

test_one_json_line_for_a_failure_and_the_same_on_standard_error() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["no-such-program"]'
	expect_failure conmon_runtime create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID"
	one_log_line "$TEST_DIR/log"
	assert_contains "$MESSAGE" 'executable file not found in $PATH'
	assert_contains "$ERROR" "$MESSAGE"
	rm "$TEST_DIR/log"
	expect_failure conmon_runtime kill none 9
	one_log_line "$TEST_DIR/log"
	assert_contains "$MESSAGE" "does not exist"
	rm "$TEST_DIR/log"
	# Also what the command line itself is wrong in.
	expect_failure conmon_runtime create --nosuchoption x
	one_log_line "$TEST_DIR/log"
	assert_contains "$MESSAGE" nosuchoption
}

test_log_message_with_odd_bytes_stays_json() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["/no/\"quoted\"\n\\\u0001\u00e4"]'
	expect_failure conmon_runtime create --bundle "$BUNDLE" "$ID"
	one_log_line "$TEST_DIR/log"
}

test_text_log() {
	run "$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/text" --log-format text state none
	assert_eq "$(wc -l <"$TEST_DIR/text")" 1
	assert_contains "$(cat "$TEST_DIR/text")" "does not exist"
	assert_contains "$errors" "does not exist"
}

test_already_dead_is_told_in_known_words() {
	start_sh 'exit 0'
	wait_status "$ID" stopped
	expect_failure oci kill "$ID" 9
	case $ERROR in
	*"container not running"* | *"no such process"* | *"process already finished"*) ;;
	*) fail "$ERROR" ;;
	esac
}

test_create_returns_when_the_program_holds_the_pipes() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	# A reader of the output sees its end only when the container ends; create must not wait for it.
	mkfifo "$TEST_DIR/pipe"
	sleep 300 <"$TEST_DIR/pipe" &
	local reader=$!
	timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID" >"$TEST_DIR/pipe" 2>&1 </dev/null
	oci delete --force "$ID"
	kill "$reader"
}

test_extra_descriptors_of_the_engine_do_not_get_in() {
	create_sh 'sleep 60' 2>/dev/null
	local fd
	for fd in "/proc/$PID/fd"/*; do
		case ${fd##*/} in 0 | 1 | 2) ;; *)
			case $(readlink "$fd") in
			# The private procfs, which is mounted nowhere.
			/) assert_eq "$(stat -Lfc %T "$fd")" proc "created holds a /" ;;
			/dev/null | /dev/pts* | "$TEST_DIR"/state* | *socket* | *pipe* | anon_inode*) ;;
			*) fail "created holds $(readlink "$fd")" ;;
			esac
			;;
		esac
	done
	oci start "$ID"
	runs_its_program() { [ "$(readlink "/proc/$PID/exe")" = /bin/busybox ]; }
	wait_until runs_its_program
	for fd in "/proc/$PID/fd"/*; do
		case ${fd##*/} in 0 | 1 | 2) ;; *) fail "running holds ${fd##*/}: $(readlink "$fd")" ;; esac
	done
}

test_environment_of_engines_is_nearly_empty() {
	next_container
	bundle_sh "$BUNDLE" 'echo fine'
	assert_eq "$(env -i XDG_RUNTIME_DIR=/run "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" </dev/null)" fine
	assert_eq "$(env -i "$BRIG_OCI" --root "$TEST_DIR/state" list -q)" ""
}

test_help_of_every_command() {
	local verb
	assert_runs "$BRIG_OCI" --help
	for verb in create start state kill delete run exec list ps pause resume update spec features events; do
		assert_contains "$output" "  $verb " "--help"
	done
	for verb in create start state kill delete run exec list ps pause resume update spec features events; do
		silent "$BRIG_OCI" "$verb" --help
		assert_contains "$output" "Usage: brig-oci $verb"
		[ "$(awk '{ if (length($0) > 80) n++ } END { print n + 0 }' <<<"$output")" = 0 ] || fail "$verb --help is wider than 80"
	done
}
