#!/bin/bash
# The network of a virtual machine by the host's kernel, where that has vhost-net.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

in_guest='.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/vhost" else . end)'
small='.linux.resources.memory = {"limit": 50331648}'

# A namespace "vhost" with an interface that the host has the other end of, and the kernel's device
make_network() {
	need_tun
	modprobe vhost_net
	[ -e /dev/vhost-net ] || mknod /dev/vhost-net c 10 238
	ip netns add vhost
	ip link add host0 type veth peer name eth0 netns vhost
	ip addr add 10.99.0.1/24 dev host0 && ip link set host0 up
	ip -n vhost link set lo up && ip -n vhost link set eth0 up
	ip -n vhost addr add 10.99.0.2/24 dev eth0
}

# Whether the monitor of the machine PID has given its queues to the kernel
kernel_serves() {
	readlink "/proc/$(pgrep -P "$1" brig-vmm)/fd/"* | grep -q /dev/vhost-net
}

serves() {
	assert_eq "$(busybox nc -w 30 10.99.0.2 80 </dev/null | md5sum)" "$(md5sum <"$BUNDLE/rootfs/data")"
}

test_both_ways_and_saved() {
	local id
	make_network
	start_sh 'echo ready; exec nc -ll -p 80 -e cat /data' "$small" "$in_guest"
	head -c 3M /dev/urandom >"$BUNDLE/rootfs/data"
	wait_until grep -q ready "$BUNDLE/out"
	wait_until oci exec "$ID" grep -q :0050 /proc/net/tcp /proc/net/tcp6
	kernel_serves "$PID" || fail "the kernel does not serve this machine"
	serves
	busybox nc -l -p 81 <"$BUNDLE/rootfs/data" &
	assert_eq "$(oci exec "$ID" nc -w 30 10.99.0.1 81 </dev/null | md5sum)" "$(md5sum <"$BUNDLE/rootfs/data")"
	wait
	oci pause "$ID" && oci resume "$ID"
	serves

	# Its queues are taken back and given to another, be that the kernel or the monitor itself.
	oci checkpoint --leave-running --image-path images "$ID"
	serves
	oci delete --force "$ID"
	id=$ID
	oci restore --detach --image-path images --bundle "$BUNDLE" --pid-file pid "$id-2" </dev/null >/dev/null 2>&1
	kernel_serves "$(cat pid)" || fail "the kernel does not serve the restored machine"
	serves
	oci delete --force "$id-2"
	rm /dev/vhost-net
	oci restore --detach --image-path images --bundle "$BUNDLE" --pid-file pid "$id-3" </dev/null >/dev/null 2>&1
	! kernel_serves "$(cat pid)" || fail "the kernel serves a machine without its device"
	serves
	oci delete --force "$id-3"
	ip netns del vhost
	assert_nothing_left
}

# The kernel limits nothing: who wants a limit has the monitor's own.
test_not_with_a_limit() {
	make_network
	start_sh 'echo ready; exec nc -ll -p 80 -e cat /data' "$small" "$in_guest" \
		'.annotations["org.brig.vm.net.send"] = "10485760"'
	echo data >"$BUNDLE/rootfs/data"
	wait_until grep -q ready "$BUNDLE/out"
	wait_until oci exec "$ID" grep -q :0050 /proc/net/tcp /proc/net/tcp6
	! kernel_serves "$PID" || fail "the kernel serves a machine whose rate is limited"
	serves
	oci delete --force "$ID"
	ip netns del vhost
	assert_nothing_left
}
