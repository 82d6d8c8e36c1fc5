#!/bin/bash
# Virtual machines that may have virtual machines, where the host's KVM can.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

nested='.annotations["org.brig.vm.nested"] = "true"'
small='.linux.resources.memory = {"limit": 67108864}'

# kvm_parameter NESTED: KVM of this machine with it
kvm_parameter() {
	rmmod kvm_amd && modprobe kvm_amd nested="$1"
}

test_only_who_asks_sees_the_processors_virtualisation() {
	local tools
	kvm_parameter 1
	assert_eq "$(run_sh 'grep -cw -e svm -e vmx /proc/cpuinfo; ls /dev/kvm 2>&1 | grep -c "No such"' "$small")" $'0\n1'
	tools='.mounts += [{"destination":"/tools","type":"bind","source":"'"$BRIG_BUILD"'/cli","options":["bind","ro"]}]'
	start_sh 'sleep 600' "$small" "$nested" "$tools"
	assert_ne "$(oci exec "$ID" grep -cw -e svm -e vmx /proc/cpuinfo)" 0
	assert_eq "$(oci exec "$ID" stat -c '%F %a' /dev/kvm)" 'character special file 660'
	# A few instructions in a machine within the machine.
	oci exec "$ID" /tools/brig doctor >report || :
	assert_contains "$(cat report)" 'runs virtual machines'
	# What KVM knows of it cannot be saved.
	expect_failure oci checkpoint --image-path images "$ID"
	assert_eq "$(status_of "$ID")" running
	oci delete --force "$ID"
	assert_nothing_left
}

test_refused_where_the_hosts_kvm_does_not_hand_it_on() {
	kvm_parameter 0
	next_container
	bundle_sh "$BUNDLE" true "$small" "$nested"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	kvm_parameter 1
	assert_contains "$ERROR" 'org.brig.vm.nested'
	assert_contains "$ERROR" '"nested" of kvm_intel or kvm_amd'
	assert_nothing_left
}
