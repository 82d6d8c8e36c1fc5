#!/bin/bash
# where: vm
# events: statistics once and in intervals, out-of-memory notices.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_stats_have_every_section() {
	need_cgroup_controller memory
	start_sh 'sleep 60' '.linux.resources={"memory":{"limit":67108864},"pids":{"limit":50}}'
	run oci events --stats "$ID"
	assert_eq "$status" 0
	assert_eq "$errors" ""
	assert_eq "$(jq -r .type <<<"$output")" stats
	assert_eq "$(jq -r .id <<<"$output")" "$ID"
	local section
	for section in cpu memory pids blkio hugetlb; do
		assert_ne "$(jq -r ".data.$section | type" <<<"$output")" null "$section"
	done
	assert_eq "$(jq -r .data.memory.usage.limit <<<"$output")" 67108864
	assert_eq "$(jq -r .data.pids.limit <<<"$output")" 50
	assert_eq "$(jq -r .data.pids.current <<<"$output")" 1
	[ "$(jq -r .data.memory.usage.usage <<<"$output")" -gt 0 ] || fail "no memory is used"
}

test_cpu_usage_grows() {
	start_sh 'while :; do :; done'
	local first
	first=$(oci events --stats "$ID" | jq .data.cpu.usage.total)
	grew() { [ "$(oci events --stats "$ID" | jq .data.cpu.usage.total)" -gt "$first" ]; }
	wait_until grew
}

test_pressure_and_peak() {
	start_sh 'sleep 60'
	local stats
	stats=$(oci events --stats "$ID")
	[ ! -e /proc/pressure/cpu ] || assert_ne "$(jq -r .data.cpu.psi <<<"$stats")" null
	[ ! -e "$(echo /sys/fs/cgroup/*/memory.peak | cut -d' ' -f1)" ] ||
		[ "$(jq -r .data.memory.usage.max <<<"$stats")" -gt 0 ] || fail "no peak"
}

test_intervals_and_the_end_of_the_container() {
	start_sh 'sleep 600'
	"$BRIG_OCI" --root "$TEST_DIR/state" events --interval 200ms "$ID" >"$TEST_DIR/events" &
	several() { [ "$(wc -l <"$TEST_DIR/events")" -ge 3 ]; }
	wait_until several
	oci kill "$ID" KILL
	wait $! || fail "events: status $?"
	assert_eq "$(jq -rs '.[0].type' "$TEST_DIR/events")" stats
}

test_out_of_memory_is_an_event() {
	need_cgroup_controller memory
	create_sh 'head -c 64m /dev/zero | tail -c 64m > /dev/null; sleep 600' \
		'.linux.resources={"memory":{"limit":8388608,"swap":8388608}}'
	"$BRIG_OCI" --root "$TEST_DIR/state" events --interval 5s "$ID" >"$TEST_DIR/events" &
	local listener=$!
	wait_until grep -q stats "$TEST_DIR/events"
	oci start "$ID"
	wait_until grep -q '"oom"' "$TEST_DIR/events"
	kill "$listener" 2>/dev/null || :
}

test_of_nothing() {
	expect_failure oci events --stats none
	assert_contains "$ERROR" "does not exist"
	start_sh 'exit 0'
	wait_status "$ID" stopped
	expect_failure oci events --stats "$ID"
	assert_contains "$ERROR" "not running"
}
