#!/bin/bash
# where: host
# events where cgroups have no controllers: shape, links, intervals, end; numbers are in oci_events.sh.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

events() {
	timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" events "$@"
}

test_one_line_with_every_member() {
	start_sh 'sleep 60'
	assert_runs oci events --stats "$ID"
	assert_eq "$errors" ""
	assert_eq "$(wc -l <<<"$output")" 1
	assert_eq "$(jq -c '[.type, .id == "'"$ID"'", (.data | keys)]' <<<"$output")" \
		'["stats",true,["blkio","cpu","cpuset","hugetlb","intel_rdt","memory","network_interfaces","pids"]]'
	assert_eq "$(jq -c '.data.cpu.usage | keys' <<<"$output")" '["kernel","total","user"]'
	[ ! -e /proc/pressure/cpu ] ||
		assert_eq "$(jq -c '.data.cpu.psi.some | keys' <<<"$output")" '["avg10","avg300","avg60","total"]'
}

test_links_are_those_of_the_container() {
	start_sh 'sleep 60' "$(namespace_filter network)"
	ip link add brig0 type dummy 2>/dev/null || ip link add brig0 type veth peer name brig1 || skip "no links can be made here"
	ip link set brig0 netns "$PID"
	nsenter --net="/proc/$PID/ns/net" ip link set brig0 up
	assert_eq "$(oci events --stats "$ID" | jq -c '[.data.network_interfaces[].Name]')" '["brig0"]'
	assert_eq "$(oci events --stats "$ID" | jq -c '.data.network_interfaces[0].RxBytes')" 0
	oci delete --force "$ID"
	# The host's links are not the container's.
	start_sh 'sleep 60' '.linux.namespaces |= map(select(.type != "network"))'
	assert_eq "$(oci events --stats "$ID" | jq -c .data.network_interfaces)" '[]'
}

test_intervals_and_the_end() {
	start_sh 'sleep 600'
	(events --interval 200ms "$ID") >"$TEST_DIR/events" 2>"$TEST_DIR/errors" &
	several() { [ "$(wc -l <"$TEST_DIR/events")" -ge 3 ]; }
	wait_until several
	oci kill "$ID" KILL
	wait $! || fail "events: status $?"
	assert_eq "$(cat "$TEST_DIR/errors")" ""
	assert_eq "$(head -1 "$TEST_DIR/events" | jq -r .type)" stats
	assert_eq "$(tail -1 "$TEST_DIR/events" | jq -c .)" "{\"type\":\"exit\",\"id\":\"$ID\"}"
}

test_ends_at_once_when_the_container_is_killed_or_nobody_reads() {
	start_sh 'sleep 60'
	(events --interval 1h "$ID") >"$TEST_DIR/events" &
	wait_until grep -q stats "$TEST_DIR/events"
	oci kill "$ID" KILL
	wait_until grep -q exit "$TEST_DIR/events"
	start_sh 'sleep 60'
	set +o pipefail
	events --interval 1h "$ID" | head -1 >"$TEST_DIR/events"
	assert_ne "${PIPESTATUS[0]}" 124 "still there after the reader had gone"
}

test_works_while_paused() {
	start_sh 'sleep 60'
	oci pause "$ID"
	assert_runs oci events --stats "$ID"
}

test_sleeps_between() {
	start_sh 'sleep 60'
	timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" events --interval 1h "$ID" >/dev/null &
	local pid=$!
	sleep 1
	# User and system time of timeout's child, in ticks of 10 ms.
	local ticks
	ticks=$(awk '{ print $14 + $15 }' "/proc/$(pgrep -P "$pid")/stat")
	[ "$ticks" -lt 20 ] || fail "used $ticks ticks in a second of doing nothing"
	kill "$pid"
	wait "$pid" || :
}

test_refusals() {
	expect_failure oci events --stats none
	assert_contains "$ERROR" "does not exist"
	start_sh 'exit 0'
	wait_status "$ID" stopped
	expect_failure oci events "$ID"
	assert_contains "$ERROR" "container not running"
	local value
	for value in 0 -1s 5x 1.2.3s s 5s5 25h ''; do
		expect_failure oci events --interval="$value" "$ID"
		assert_contains "$ERROR" "--interval" "$value"
	done
}
