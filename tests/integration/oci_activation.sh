#!/bin/bash
# where: host
# What a service manager hands over: descriptors and the notification socket.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_descriptors_come_before_those_that_are_preserved() {
	echo one >"$TEST_DIR/one" && echo two >"$TEST_DIR/two"
	next_container
	bundle_sh "$BUNDLE" 'cat <&3; cat <&4; echo "$LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES"; ls /proc/self/fd | wc -l' "$(namespace_filter pid)"
	# LISTEN_PID names the process that the shell becomes.
	assert_runs bash -c 'LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$ exec "$@"' bash \
		"$BRIG_OCI" --root "$TEST_DIR/state" run --preserve-fds 1 --bundle "$BUNDLE" "$ID" 3<"$TEST_DIR/one" 4<"$TEST_DIR/two"
	assert_eq "$(head -3 <<<"$output" | tr '\n' ' ')" "one two 1 1 web "
}

test_descriptors_of_another_process_stay_out() {
	next_container
	bundle_sh "$BUNDLE" 'echo "<$LISTEN_FDS>"; [ ! -e /proc/self/fd/3 ] || readlink /proc/self/fd/3'
	assert_runs env LISTEN_FDS=1 LISTEN_PID=1 "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" 3<"$BUNDLE/config.json"
	assert_not_contains "$output" config.json
	assert_contains "$output" "<>"
}

test_descriptors_that_are_not_open() {
	next_container
	bundle_sh "$BUNDLE" true
	expect_failure env LISTEN_FDS=5 "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" LISTEN_FDS
	assert_nothing_left
}

test_notify_socket_is_reached() {
	perl -MSocket -e '
		socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, sockaddr_un($ARGV[0])) or die;
		alarm 20; recv($s, my $m, 4096, 0) // die; print "$m\n"' "$TEST_DIR/notify" >"$TEST_DIR/message" &
	wait_until test -S "$TEST_DIR/notify"
	touch "$TEST_DIR/neighbour"
	next_container
	mkdir -p "$BUNDLE/rootfs/usr/share"
	bundle_sh "$BUNDLE" 'echo "$NOTIFY_SOCKET"; ls /run/notify; sleep 60'
	NOTIFY_SOCKET=$TEST_DIR/notify "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" \
		</dev/null >"$BUNDLE/out" 2>&1
	oci start "$ID"
	wait_until grep -q notify.sock "$BUNDLE/out"
	wait_until eval '[ "$(wc -l <"$BUNDLE/out")" = 2 ]'
	assert_eq "$(tr '\n' ' ' <"$BUNDLE/out")" "/run/notify/notify.sock notify.sock "
	perl -MSocket -e '
		socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die;
		send($s, "READY=1", 0, sockaddr_un($ARGV[0])) or die "$!"' "/proc/$(cat "$BUNDLE/pid")/root/run/notify/notify.sock"
	wait_until grep -q READY=1 "$TEST_DIR/message"
}

test_notify_socket_that_is_none() {
	next_container
	bundle_sh "$BUNDLE" 'echo "<$NOTIFY_SOCKET>"; ls -d /run/notify || echo none'
	assert_runs env NOTIFY_SOCKET="$TEST_DIR/missing" "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID"
	assert_contains "$output" "<>"
	assert_contains "$output" none
}
