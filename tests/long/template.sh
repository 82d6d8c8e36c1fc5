#!/bin/bash
# Machines made from a template: one boot for all of them, and yet each is somebody else.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

templates() {
	local all
	shopt -s nullglob
	all=(/var/cache/brig/vm/template-*)
	shopt -u nullglob
	echo "${#all[@]}"
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

# netns NAME NUMBER: a network namespace with an interface that the host has the other end of
netns() {
	ip netns add "$1"
	ip link add "host$2" type veth peer name eth0 netns "$1" address "02:00:00:00:00:0$2"
	ip addr add "10.99.$2.1/24" dev "host$2" && ip link set "host$2" up
	ip -n "$1" link set lo up && ip -n "$1" link set eth0 up
	ip -n "$1" addr add "10.99.$2.2/24" dev eth0
}

# One template, two networks: each machine is who its namespace says, to the network and to the host.
test_machines_with_a_network() {
	local before n
	need_tun
	before=$(templates)
	for n in 1 2; do
		netns "clone-$n" "$n"
		create_sh 'cat /sys/class/net/eth0/address; mknod /dev/vsock c $(tr : " " </sys/class/misc/vsock/dev)
			/tools/vsock-cid /dev/vsock; nc -ll -p 80 -e cat /sys/class/net/eth0/address' \
			'.linux.resources = {"memory": {"limit": 33554432}, "devices": [{"allow": true, "access": "rwm"}]}' \
			'.annotations["org.brig.template"] = "true" | .process.capabilities |= map_values(["CAP_MKNOD", "CAP_NET_BIND_SERVICE"])' \
			'.mounts += [{"destination":"/tools","type":"bind","source":"'"$(dirname "$(tool vsock-cid)")"'","options":["bind","ro"]}]' \
			'.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/clone-'"$n"'" else . end)'
		oci start "$ID"
		wait_until two_lines "$BUNDLE/out"
		assert_eq "$(head -n 1 "$BUNDLE/out")" "02:00:00:00:00:0$n"
		sed -n 2p "$BUNDLE/out" >>cids
	done
	assert_eq "$(templates)" $((before + 1))
	assert_eq "$(grep -cE '^[0-9]+$' cids)" 2
	assert_eq "$(sort -u cids | wc -l)" 2 "$(cat cids)"
	# Both at once, over the wire.
	for n in 1 2; do
		assert_eq "$(busybox nc -w 10 "10.99.$n.2" 80 </dev/null)" "02:00:00:00:00:0$n"
	done
	for n in "$TEST_DIR/state"/t-*; do oci delete --force "$(basename "$n")"; done
	ip netns del clone-1 && ip netns del clone-2
	assert_nothing_left
}

two_lines() {
	[ "$(wc -l <"$1")" -ge 2 ]
}
