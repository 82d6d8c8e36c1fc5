#!/bin/bash
# Containers in virtual machines: who asks for one, and what is refused before anything is made. What
# works is in tests/microvm.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# expect_refused WORD JQ-EDIT...: with isolation vm; nothing is left
expect_refused() {
	local word=$1
	shift
	next_container
	bundle_sh "$BUNDLE" true "$@"
	expect_failure oci --isolation vm run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "$word"
	assert_nothing_left
}

test_who_asks_for_a_virtual_machine() {
	next_container
	# Refused for its namespaces, so without a boot: the words show who was asked.
	bundle_sh "$BUNDLE" 'echo container' '.linux.namespaces |= map(select(.type != "ipc"))'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" container
	assert_eq "$(oci --isolation container run --bundle "$BUNDLE" "$ID")" container
	ln -s "$BRIG_OCI" brig-oci-vm
	expect_failure ./brig-oci-vm --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'virtual machine cannot share'
	assert_eq "$(./brig-oci-vm --root "$TEST_DIR/state" --isolation=container run --bundle "$BUNDLE" "$ID")" container
	bundle_edit "$BUNDLE" '.annotations["org.brig.isolation"]="container"'
	expect_failure ./brig-oci-vm --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'virtual machine cannot share' "an annotation must not take the machine away"
	bundle_edit "$BUNDLE" '.annotations["org.brig.isolation"]="vm"'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'virtual machine cannot share'
	expect_failure oci --isolation container run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'the bundle asks for a virtual machine'
	bundle_edit "$BUNDLE" '.annotations["org.brig.isolation"]="chroot"'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'an isolation that this program does not have'
	bundle_edit "$BUNDLE" 'del(.annotations) | .vm={"kernel":{"path":"/boot/vmlinuz"}}'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'virtual machine cannot share'
	assert_nothing_left
}

test_what_a_virtual_machine_cannot_honour() {
	local type
	for type in pid ipc network; do
		expect_refused "\"$type\" namespace" ".linux.namespaces |= map(select(.type != \"$type\"))"
	done
	for type in pid ipc uts cgroup; do
		expect_refused "cannot join the \"$type\" namespace /proc/1/ns/" \
			".linux.namespaces |= map(select(.type != \"$type\")) + [{\"type\":\"$type\",\"path\":\"/proc/1/ns/$type\"}]"
	done
	expect_refused 'linux.devices[0]: /dev/fuse' '.linux.devices=[{"path":"/dev/fuse","type":"c","major":10,"minor":229}]'
	expect_refused linux.seccomp.listenerPath \
		'.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/s","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}'
	expect_refused vm.hwConfig.memory '.vm={"kernel":{"path":"/k"},"hwConfig":{"memory":1048576}}'
	expect_refused vm.kernel.initrd '.vm={"kernel":{"path":"/k","initrd":"/i"}}'
	next_container
	bundle_sh "$BUNDLE" true
	expect_failure oci --isolation vm run --preserve-fds 1 --bundle "$BUNDLE" "$ID" 3</dev/null
	assert_contains "$ERROR" preserve-fds
}

test_hosts_without_what_it_takes() {
	: >not-kvm
	[ ! -e /dev/kvm ] || mount --bind not-kvm /dev/kvm
	next_container
	bundle_sh "$BUNDLE" true
	expect_failure oci --isolation vm run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" /dev/kvm
	assert_nothing_left
	mkdir -m 700 unprivileged && chown 1000:1000 unprivileged
	run unprivileged "$BRIG_OCI" --root "$TEST_DIR/unprivileged" --isolation vm run --bundle "$BUNDLE" "$ID"
	assert_contains "$errors" 'isolation "vm" needs root'
}
