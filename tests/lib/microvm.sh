# What tests with virtual machines share, in the test machine; sourced after test.sh.
# shellcheck shell=bash

# The machine's own kernel where an installed system has it, for its guests.
offer_kernel() {
	mount -t tmpfs tmpfs /boot
	ln -s /run/brig-vm/host/vmlinuz "/boot/vmlinuz-$(uname -r)"
}

# A container's network needs taps.
need_tun() {
	modprobe tun
	[ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
}
