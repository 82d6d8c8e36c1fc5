#!/bin/bash
# where: vm
# time-limit: 400
# Open: TCP connections, user namespaces and the engines' options in checkpoint and restore through criu: what goes on counting, and what fails cleanly.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/checkpoint.sh"

test_tcp_established() {
	need_criu
	start_sh 'sleep 10000 | nc -l -p 5000 | while read n; do echo $n >/tmp/m; mv /tmp/m /tmp/n; done &
		i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done |
		while ! nc 127.0.0.1 5000; do sleep 0.1; done'
	wait_for 60 counts_beyond 3
	expect_failure checkpoint
	assert_contains "$ERROR" criu
	assert_contains "$ERROR" onnect
	assert_contains "$ERROR" dump.log
	assert_eq "$(status_of "$ID")" running
	goes_on_from "$(count)"
	rm -r "$IMAGES"
	checkpoint --tcp-established
	local at
	at=$(count)
	oci delete "$ID"
	restore --tcp-established
	goes_on_from "$at"
	oci delete --force "$ID"
	assert_nothing_left
}

test_user_namespace() {
	local at
	chmod 711 "$TEST_DIR"
	need_criu
	next_container
	bundle_sh "$BUNDLE" "$COUNTER" "$(namespace_filter user)" \
		'.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":65536}] | .linux.gidMappings=.linux.uidMappings'
	chown -R 100000:100000 "$BUNDLE/rootfs"
	oci run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	wait_for 30 counts_beyond 3
	checkpoint
	oci delete "$ID"
	at=$(count)
	restore
	goes_on_from "$at"
	assert_eq "$(awk '{print $2}' "/proc/$PID/uid_map")" 100000
	oci delete --force "$ID"
	assert_nothing_left
}

test_command_lines_of_engines() {
	local at
	start_counter
	# podman, then conmon
	"$BRIG_OCI" --root "$TEST_DIR/state" checkpoint --image-path "$IMAGES" --work-path "$BUNDLE" --leave-running "$ID"
	oci delete --force "$ID"
	at=$(count)
	"$BRIG_OCI" --root "$TEST_DIR/state" restore --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" --detach --image-path "$IMAGES" \
		--work-path "$BUNDLE" --tcp-established --file-locks "$ID" </dev/null >/dev/null 2>&1
	assert_file "$BUNDLE/restore.log"
	wait_for 30 counts_beyond 3
	# containerd
	rm -r "$IMAGES" && mkdir "$IMAGES"
	"$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json checkpoint --image-path "$IMAGES" \
		--work-path "$TEST_DIR/work" --tcp-established --ext-unix-sk --file-locks "$ID"
	oci delete "$ID"
	at=$(count)
	"$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json restore --image-path "$IMAGES" --work-path "$TEST_DIR/work" \
		--tcp-established --ext-unix-sk --file-locks --detach --pid-file "$BUNDLE/init.pid" -no-subreaper \
		--bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	goes_on_from "$at"
	assert_matches "$(cat "$BUNDLE/init.pid")" '^[0-9]+$'
	[ ! -s "$TEST_DIR/log" ] || fail "logged: $(cat "$TEST_DIR/log")"
	oci delete --force "$ID"
	assert_nothing_left
}
