#!/bin/bash
# Limits that leave next to nothing: what the runtime itself needs must not be charged to the container.
# where: vm
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# limited_true FILTER…: the smallest program there is, with the limits
limited_true() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["/true"]' "$@"
	cp "$(tool true)" "$BUNDLE/rootfs/true"
}

test_a_quarter_of_a_mebibyte_is_enough_for_a_static_program() {
	need_cgroup_controller memory
	limited_true '.linux.resources.memory.limit=262144'
	assert_runs oci run --bundle "$BUNDLE" "$ID" </dev/null
	assert_nothing_left
	limited_true '.linux.resources.memory.limit=262144'
	oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null
	assert_eq "$(cat /sys/fs/cgroup/brig-"$ID"/memory.max)" 262144
	assert_runs oci start "$ID"
	wait_status "$ID" stopped
	assert_eq "$(sed -n 's/^oom_kill //p' /sys/fs/cgroup/brig-"$ID"/memory.events)" 0
	oci delete "$ID"
}

test_one_process_is_enough() {
	need_cgroup_controller pids
	limited_true '.linux.resources.pids.limit=1'
	assert_runs oci run --bundle "$BUNDLE" "$ID" </dev/null
}
