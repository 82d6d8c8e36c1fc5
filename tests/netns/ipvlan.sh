#!/bin/bash
# Networks that need modules which not every kernel has: ipvlan, and VLANs of a parent link.
# where: vm
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"

test_ipvlan() {
	outside_make far 1
	for mode in l2 l3; do
		brig network create -d ipvlan -o parent=up1 -o "mode=$mode" --subnet 198.51.1.0/24 --gateway 198.51.1.2 "lan$mode"
		brig run --rm --network "lan$mode" --ip 198.51.1.9 busybox ip route >routes
		assert_contains "$(cat routes)" default
		brig network rm "lan$mode"
	done
	brig network create -d ipvlan -o parent=up1 --subnet 198.51.1.0/24 --gateway 198.51.1.2 lan
	assert_runs brig run --rm --network lan --ip 198.51.1.9 busybox ping -c 1 -W 5 198.51.1.2
}

test_vlan_of_a_parent() {
	ip link add dummy9 type dummy && ip link set dummy9 up
	brig network create -d macvlan -o parent=dummy9 -o vlan=7 --subnet 10.9.0.0/24 tagged
	assert_contains "$(brig run --rm --network tagged busybox ip addr show eth0)" 10.9.0.
	assert_contains "$(ip -d link show dummy9.7)" "id 7"
}
