#!/bin/bash
# A signal to brig-oci while it makes a container: nothing of it stays, and it ends at once.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# hanging_hook KIND: a filter for a hook of that kind that says it is there and hangs.
hanging_hook() {
	printf '.hooks.%s=[{"path":"/bin/sh","args":["sh","-c","exec 2>/dev/null; echo >/tmp/hangs; echo >%s/hangs; exec sleep 61"],"env":["PATH=/bin:/usr/bin"]}]' \
		"$1" "$TEST_DIR"
}

# interrupt VERB SIGNAL HOOK: the creation that hangs in HOOK is sent SIGNAL.
interrupt() {
	local verb=$1 signal=$2 hook=$3 code=0 pid begin
	rm -f "$TEST_DIR/hangs"
	next_container
	bundle_sh "$BUNDLE" 'sleep 62' "$(hanging_hook "$hook")"
	"$BRIG_OCI" --root "$TEST_DIR/state" "$verb" --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" \
		</dev/null >"$BUNDLE/out" 2>"$BUNDLE/err" &
	pid=$!
	hangs() { [ -e "$TEST_DIR/hangs" ] || [ -e "$BUNDLE/rootfs/tmp/hangs" ]; }
	wait_until hangs
	begin=$SECONDS
	kill -"$signal" "$pid"
	wait "$pid" || code=$?
	assert_eq "$code" 1 "status of $verb in $hook after $signal"
	assert_contains "$(cat "$BUNDLE/err")" "interrupted by SIG$signal"
	assert_eq "$(wc -l <"$BUNDLE/err")" 1 "lines of the error: $(cat "$BUNDLE/err")"
	[ $((SECONDS - begin)) -lt 61 ] || fail "$verb waited for $hook"
	assert_nothing_left "$verb in $hook"
	# It is written when the container is created, and stays like that of one that has ended.
	[ "$hook" = startContainer ] || assert_no_file "$BUNDLE/pid"
	no_hook() { ! grep -qs 'sleep.61' /proc/[0-9]*/cmdline; }
	wait_until no_hook
}

test_every_hook_that_create_waits_for() {
	local hook
	for hook in prestart createRuntime createContainer; do
		interrupt create TERM "$hook"
	done
}

test_every_hook_that_run_waits_for() {
	local hook
	for hook in prestart createRuntime createContainer startContainer; do
		interrupt run INT "$hook"
	done
}

test_every_signal() {
	local signal
	for signal in HUP INT QUIT TERM; do
		interrupt create "$signal" createRuntime
	done
}

test_without_a_cgroup_and_a_pid_namespace() {
	# Only the death of its parent ends a hook that the init runs.
	rm -f "$TEST_DIR/hangs"
	next_container
	bundle_sh "$BUNDLE" 'sleep 62' "$(hanging_hook createContainer)" '.linux.namespaces |= map(select(.type != "pid"))' \
		'.mounts |= map(select(.destination != "/proc"))' '.linux.maskedPaths=[] | .linux.readonlyPaths=[]'
	local pid code=0
	"$BRIG_OCI" --root "$TEST_DIR/state" --cgroup-manager=disabled create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 &
	pid=$!
	wait_until test -e "$TEST_DIR/hangs"
	kill -TERM "$pid"
	wait "$pid" || code=$?
	assert_eq "$code" 1
	no_hook() { ! grep -qs 'sleep.61' /proc/[0-9]*/cmdline; }
	wait_until no_hook
	assert_nothing_left
}

# Poststop hooks run after an interrupted creation; the next signal is for them.
test_a_poststop_hook_that_hangs_takes_a_second_signal() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 62' "$(hanging_hook createRuntime)" \
		"$(hanging_hook poststop | sed "s|$TEST_DIR/hangs|$TEST_DIR/stops|")"
	local pid code=0
	"$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>"$BUNDLE/err" &
	pid=$!
	wait_until test -e "$TEST_DIR/hangs"
	kill -TERM "$pid"
	wait_until test -e "$TEST_DIR/stops"
	kill -TERM "$pid"
	wait "$pid" || code=$?
	assert_eq "$code" 1
	assert_contains "$(cat "$BUNDLE/err")" "interrupted by SIGTERM"
	assert_nothing_left
}

# At any moment: the container is there and whole, or nothing is.
test_at_any_moment_of_create() {
	local i pid code there=0
	bundle_sh "$TEST_DIR/b" 'sleep 62'
	ID=any
	for i in {1..120}; do
		code=0
		"$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$TEST_DIR/b" "$ID" </dev/null >/dev/null 2>"$TEST_DIR/err" &
		pid=$!
		sleep "0.0$(printf %03d $((i * 3 % 400)))"
		kill -TERM "$pid" 2>/dev/null || :
		wait "$pid" || code=$?
		if [ "$code" = 0 ]; then
			there=$((there + 1))
			assert_eq "$(status_of "$ID")" created
			oci delete --force "$ID"
		fi
		assert_nothing_left "signal $i: $(cat "$TEST_DIR/err")"
	done
	[ "$there" -gt 0 ] && [ "$there" -lt 120 ] || fail "the signals came always too early or too late: $there of 120"
}

# interrupt_start SIGNAL: `start`, which hangs in a hook, is sent SIGNAL; its exit code is in CODE.
interrupt_start() {
	local pid
	CODE=0
	"$BRIG_OCI" --root "$TEST_DIR/state" start "$ID" </dev/null 2>"$BUNDLE/err" &
	pid=$!
	hangs() { [ -e "$TEST_DIR/hangs" ] || [ -e "$BUNDLE/rootfs/tmp/hangs" ]; }
	wait_until hangs
	kill -"$1" "$pid"
	wait "$pid" || CODE=$?
	no_hook() { ! grep -qs 'sleep.61' /proc/[0-9]*/cmdline; }
	wait_until no_hook
}

test_start_that_hangs_in_a_hook() {
	local signal
	for signal in TERM INT; do
		rm -f "$TEST_DIR/hangs"
		create_sh 'sleep 62' "$(hanging_hook startContainer)"
		interrupt_start "$signal"
		assert_eq "$CODE" 1
		assert_contains "$(cat "$BUNDLE/err")" "interrupted by SIG$signal"
		assert_eq "$(wc -l <"$BUNDLE/err")" 1
		# As after every start that failed, it is there to be deleted.
		assert_eq "$(status_of "$ID")" stopped
		oci delete "$ID"
		assert_nothing_left
	done
}

test_start_whose_poststart_hooks_hang() {
	create_sh 'sleep 62' "$(hanging_hook poststart)" '.hooks.poststart += .hooks.poststart'
	interrupt_start TERM
	assert_eq "$CODE" 1
	assert_contains "$(cat "$BUNDLE/err")" "interrupted by SIGTERM"
	assert_eq "$(wc -l <"$BUNDLE/err")" 1
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
	assert_nothing_left
}

# Somebody else is at work on the container: nothing is begun, nothing has to be undone.
test_start_that_waits_for_its_turn() {
	local pid code=0
	create_sh 'sleep 62'
	flock "$TEST_DIR/state/$ID" sleep 63 &
	local other=$!
	is_locked() { ! flock --nonblock "$TEST_DIR/state/$ID" true; }
	wait_until is_locked
	"$BRIG_OCI" --root "$TEST_DIR/state" start "$ID" </dev/null 2>/dev/null &
	pid=$!
	waits() { grep -q flock "/proc/$pid/wchan" || [ "$(awk '{print $3}' "/proc/$pid/stat")" = S ]; }
	wait_until waits
	kill -TERM "$pid"
	wait "$pid" || code=$?
	assert_eq "$code" 143
	pkill -P "$other"
	wait "$other" || :
	assert_eq "$(status_of "$ID")" created
	oci start "$ID"
	oci delete --force "$ID"
	assert_nothing_left
}

# In a frozen container the process that joins gets nowhere.
test_exec_that_hangs() {
	local option pid code before
	start_sh 'sleep 62'
	oci pause "$ID"
	before=$(oci ps --format json "$ID" | jq length)
	for option in --detach --no-new-privs; do
		code=0
		"$BRIG_OCI" --root "$TEST_DIR/state" exec --ignore-paused "$option" "$ID" sleep 61 </dev/null >/dev/null 2>"$BUNDLE/err" &
		pid=$!
		hangs() { [ "$(oci ps --format json "$ID" | jq length)" -gt "$before" ]; }
		wait_until hangs
		kill -TERM "$pid"
		wait "$pid" || code=$?
		[ "$code" -ne 0 ] || fail "exec ended with 0"
		assert_eq "$(cat "$BUNDLE/err")" "brig-oci: interrupted by SIGTERM"
		assert_eq "$(oci ps --format json "$ID" | jq length)" "$before"
	done
	oci resume "$ID"
	assert_eq "$(oci exec "$ID" echo alive)" alive
	oci delete --force "$ID"
	assert_nothing_left
}

# Its execve(2) waits for a supervisor that never answers.
test_exec_that_hangs_at_the_very_last() {
	local pid code=0
	python3 - "$TEST_DIR/supervisor" "$TEST_DIR/hangs" <<-'END' &
		import socket, sys, time
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen()
		init = listener.accept()[0]
		message = listener.accept()[0].recvmsg(65536, socket.CMSG_LEN(4))
		open(sys.argv[2], "w").close()
		time.sleep(60)
	END
	local supervisor=$!
	wait_until test -S "$TEST_DIR/supervisor"
	create_sh 'sleep 62' '.process.noNewPrivileges=true' '.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"'"$TEST_DIR"'/supervisor",
		"syscalls":[{"names":["execveat","execve"],"action":"SCMP_ACT_NOTIFY"}]}'
	"$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" sleep 61 </dev/null >/dev/null 2>"$BUNDLE/err" &
	pid=$!
	wait_until test -e "$TEST_DIR/hangs"
	assert_eq "$(oci ps --format json "$ID" | jq length)" 3
	kill -TERM "$pid"
	wait "$pid" || code=$?
	[ "$code" -ne 0 ] || fail "exec ended with 0"
	assert_eq "$(cat "$BUNDLE/err")" "brig-oci: interrupted by SIGTERM"
	assert_eq "$(oci ps --format json "$ID" | jq length)" 1
	kill "$supervisor"
	oci delete --force "$ID"
	assert_nothing_left
}
