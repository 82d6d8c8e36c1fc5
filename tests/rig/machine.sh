# What the test machine promises.
# where: vm
# shellcheck shell=bash

test_every_controller_is_there() {
	local controller
	for controller in cpuset cpu io memory hugetlb pids; do
		assert_contains " $(cat /sys/fs/cgroup/cgroup.controllers) " " $controller "
	done
}

test_kvm_is_there() {
	[ -c /dev/kvm ] || fail "no /dev/kvm"
	(exec 3<>/dev/kvm)
}

test_memory_limits_hold() {
	mkdir /sys/fs/cgroup/small
	echo 4M >/sys/fs/cgroup/small/memory.max
	assert_status 137 sh -c 'echo 0 >/sys/fs/cgroup/small/cgroup.procs; exec tail /dev/zero'
	rmdir /sys/fs/cgroup/small
}

test_bridges_and_nft_load_on_demand() {
	ip link add br0 type bridge && ip link add name veth0 type veth peer name veth1
	ip link set veth0 master br0
	nft add table inet t
}
