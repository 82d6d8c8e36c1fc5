#!/bin/bash
# How many system calls it takes to run a container: the promise of docs/performance.md. Calls are counted and
# no time is taken, so that a busy machine changes nothing.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../bench/bundle.sh"

# count_calls COMMAND…: of all its processes, into CALLS
count_calls() {
	strace -f -c -U calls,name -o "$TEST_DIR/calls" "$@" </dev/null >/dev/null
	CALLS=$(awk '$2 == "total" { print $1 }' "$TEST_DIR/calls")
	assert_matches "$CALLS" '^[0-9]+$'
}

test_run_takes_at_most_300_system_calls() {
	command -v strace >/dev/null || skip "no strace"
	bench_bundle "$TEST_DIR/bundle" "$(bench_limits) | .linux.cgroupsPath = \"/calls/one\""
	# The first one fills the cache of seccomp filters and makes the cgroup's parent.
	assert_runs oci run --bundle "$TEST_DIR/bundle" warm
	count_calls "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$TEST_DIR/bundle" counted
	rmdir /sys/fs/cgroup/calls
	[ "$CALLS" -le 300 ] || fail "$CALLS system calls: $(cat "$TEST_DIR/calls")"
}
