#!/bin/bash
# Machines made from a template: one boot for all of them, and yet each is somebody else.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

templates() {
	find /var/cache/brig/vm -maxdepth 1 -name 'template-*' 2>/dev/null | wc -l
}

test_a_container_from_a_template() {
	local code=0 before
	small='.linux.resources.memory = {"limit": 50331648} | .annotations["org.brig.template"] = "true"'
	before=$(templates)
	run_sh 'cat; echo out; exit 42' "$small" >out || code=$?
	assert_eq "$code" 42
	assert_eq "$(tail -n 1 out)" out
	assert_eq "$(templates)" $((before + 1))
	start_sh 'trap "echo got-usr1" USR1; echo ready; while :; do sleep 0.1; done' "$small"
	wait_until grep -q ready "$BUNDLE/out"
	assert_eq "$(templates)" $((before + 1)) "the second start made one more"
	assert_eq "$(echo through | oci exec "$ID" cat)" through
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max)" 50331648
	assert_eq "$(($(oci exec "$ID" date +%s) - $(date +%s) < 60))" 1 "the clock"
	oci kill "$ID" USR1
	wait_until grep -q got-usr1 "$BUNDLE/out"
	oci pause "$ID"
	assert_eq "$(status_of "$ID")" paused
	oci delete --force "$ID"
	assert_nothing_left
}

three_lines() {
	[ "$(wc -l <"$1")" -ge 3 ]
}

# As many as that at once: each has its own of what must not be the same.
test_twenty_at_once() {
	local n=20 i small
	small='.linux.resources.memory = {"limit": 33554432} | .annotations["org.brig.template"] = "true"'
	run_sh 'true' "$small"
	bundle_sh "$TEST_DIR/clone" 'cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; od -An -tx8 -N32 /dev/urandom | tr -d "\n"; echo; sleep 600' "$small"
	for i in $(seq $n); do
		oci create --bundle "$TEST_DIR/clone" "clone-$i" </dev/null >"clone-$i.out" 2>"clone-$i.err" &
	done
	wait
	for i in $(seq $n); do
		oci start "clone-$i" || { cat "clone-$i.err" && fail "clone $i"; }
	done
	for i in $(seq $n); do
		wait_until three_lines "clone-$i.out"
		assert_eq "$(status_of "clone-$i")" running
	done
	for i in 1 2 3; do
		assert_eq "$(for f in clone-*.out; do sed -n "${i}p" "$f"; done | sort -u | wc -l)" $n "line $i of every clone"
	done
	for i in $(seq $n); do
		oci delete --force "clone-$i" &
	done
	wait
	assert_nothing_left
}
