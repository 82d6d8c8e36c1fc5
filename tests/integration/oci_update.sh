#!/bin/bash
# where: host
# update: what it reads, what it refuses, and when; the values themselves are in oci_cgroup.sh.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_nothing_to_change_is_no_error() {
	create_sh 'sleep 60'
	assert_runs oci update --resources - "$ID" <<<'{}'
	assert_eq "$output$errors" ""
	oci start "$ID"
	assert_runs oci update "$ID"
	oci pause "$ID"
	assert_runs oci update --resources=- "$ID" <<<'{"memory":{},"cpu":{}}'
	assert_eq "$(status_of "$ID")" paused
}

test_needs_a_container_that_lives() {
	expect_failure oci update --pids-limit 7 none
	assert_contains "$ERROR" "does not exist"
	start_sh 'exit 0'
	wait_status "$ID" stopped
	expect_failure oci update --pids-limit 7 "$ID"
	assert_contains "$ERROR" "container not running"
}

test_needs_a_cgroup() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	oci --cgroup-manager disabled create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	expect_failure oci update --pids-limit 7 "$ID"
	assert_contains "$ERROR" "needs a cgroup"
}

test_files_are_checked() {
	create_sh 'sleep 60'
	expect_failure oci update --resources "$TEST_DIR/none" "$ID"
	assert_contains "$ERROR" "$TEST_DIR/none"
	echo '{"pids":{"limit":"seven"}}' >"$TEST_DIR/r.json"
	expect_failure oci update --resources "$TEST_DIR/r.json" "$ID"
	assert_contains "$ERROR" pids.limit
	echo '{"memory":' >"$TEST_DIR/r.json"
	expect_failure oci update --resources "$TEST_DIR/r.json" "$ID"
	assert_contains "$ERROR" r.json
	echo '{}' >"$TEST_DIR/r.json"
	expect_failure oci update --resources "$TEST_DIR/r.json" --pids-limit 7 "$ID"
	assert_contains "$ERROR" "not both"
}

test_values_are_checked() {
	create_sh 'sleep 60'
	expect_failure oci update --memory much "$ID"
	assert_contains "$ERROR" --memory
	expect_failure oci update --blkio-weight 5000 "$ID"
	assert_contains "$ERROR" "between 10 and 1000"
	expect_failure oci update --cpu-rt-period 1000000 "$ID"
	assert_contains "$ERROR" realtime
	expect_failure oci update --cpu-rt-runtime 1000 "$ID"
	assert_contains "$ERROR" realtime
	expect_failure oci update --memory-swap 1m "$ID"
	assert_contains "$ERROR" memory.swap
	# Accepted, and without effect: cgroup v2 counts it as memory.
	assert_runs oci update --kernel-memory 64m --kernel-memory-tcp 64m "$ID"
	assert_eq "$errors" ""
}

test_devices_take_the_place_of_the_earlier_ones() {
	start_sh 'mknod /tmp/mem c 1 11; while :; do { head -c 0 /tmp/mem && echo opened || echo refused; } 2>/dev/null; sleep 0.05; done' \
		'.linux.resources={"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":11,"access":"rm"}]}' \
		"$(caps_filter CAP_MKNOD CAP_SYSLOG)"
	wait_until grep -q opened "$BUNDLE/out"
	oci update --resources - "$ID" <<<'{"devices":[{"allow":false,"access":"rwm"}]}'
	# From the first refusal on there is nothing else.
	wait_until grep -q refused "$BUNDLE/out"
	: >"$BUNDLE/out"
	wait_until grep -q refused "$BUNDLE/out"
	assert_not_contains "$(cat "$BUNDLE/out")" opened
	# What says nothing of devices leaves them as they are.
	oci update --resources - "$ID" <<<'{}'
	: >"$BUNDLE/out"
	wait_until grep -q refused "$BUNDLE/out"
	# Every container keeps these.
	assert_eq "$(oci exec "$ID" sh -c 'echo x > /dev/null && echo null' </dev/null)" null
}
