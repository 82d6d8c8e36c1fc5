#!/bin/bash
# A disk behind an IOMMU goes to a container in a virtual machine, and comes back.
# where: vm-iommu
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

device=/sys/bus/pci/devices/0000:00:09.0

# give_to DRIVER
give_to() {
	modprobe "$1" 2>/dev/null || :
	[ ! -e $device/driver ] || basename $device >$device/driver/unbind
	echo "$1" >$device/driver_override
	basename $device >/sys/bus/pci/drivers_probe
	[ "$(basename "$(realpath $device/driver)")" = "$1" ]
}

group() {
	basename "$(realpath $device/iommu_group)"
}

# The filter that hands the group to the container, as engines do for --device /dev/vfio/N
with_group() {
	local node
	node=$(stat -c '%Hr %Lr' "/dev/vfio/$1" 2>/dev/null || echo "511 $1")
	printf '.linux.devices += [{"path":"/dev/vfio/%s","type":"c","major":%s,"minor":%s}]' "$1" "${node% *}" "${node#* }"
}

test_a_disk_is_passed_through() {
	give_to vfio-pci
	local output
	output=$(run_sh 'set -e
		ls -l /dev/nvme0n1; cat /sys/block/nvme0n1/device/serial
		printf "from the guest" | dd of=/dev/nvme0n1 bs=512 seek=100 conv=sync,fsync 2>/dev/null
		dd if=/dev/nvme0n1 bs=512 skip=100 count=1 2>/dev/null | head -c 14; echo
		dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null; dd if=/tmp/data of=/dev/nvme0n1 bs=1M seek=8 conv=fsync 2>/dev/null
		dd if=/dev/nvme0n1 bs=1M skip=8 count=4 2>/dev/null | cmp - /tmp/data && echo same
		ls /sys/bus/pci/devices; ls /dev/vfio 2>/dev/null || echo no-vfio-inside' \
		"$(with_group "$(group)")")
	assert_matches "$output" '^b'
	assert_contains "$output" passthrough
	assert_contains "$output" 'from the guest'
	assert_contains "$output" same
	assert_contains "$output" no-vfio-inside
	assert_contains "$output" 0000:00:01.0
	assert_nothing_left
	# The host's own driver reads what the guest wrote.
	give_to nvme
	wait_until test -b /dev/nvme0n1
	assert_eq "$(dd if=/dev/nvme0n1 bs=512 skip=100 count=1 2>/dev/null | head -c 14)" 'from the guest'
}

test_a_device_of_the_hosts_stays_there() {
	give_to vfio-pci
	local number
	number=$(group)
	basename $device >$device/driver/unbind
	give_to nvme
	next_container
	bundle_sh "$BUNDLE" true "$(with_group "$number")"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "/dev/vfio/$number"
	wait_until test -b /dev/nvme0n1
	assert_nothing_left
}

test_a_group_that_is_not_there() {
	next_container
	bundle_sh "$BUNDLE" true "$(with_group 4711)"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" '/dev/vfio/4711'
	assert_nothing_left
}
