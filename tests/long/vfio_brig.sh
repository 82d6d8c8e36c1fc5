#!/bin/bash
# brig run --device vfio:ADDRESS.
# where: vm-iommu
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TIMEOUT=300
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/microvm.sh"
offer_kernel

test_brig_passes_a_disk_through() {
	local device=/sys/bus/pci/devices/0000:00:09.0
	modprobe vfio-pci
	run brig run --rm --isolation vm --network none --device vfio:00:09.0 busybox true
	assert_contains "$errors" vfio-pci "its driver is still the host's"
	echo vfio-pci >$device/driver_override
	echo 0000:00:09.0 >$device/driver/unbind
	echo 0000:00:09.0 >/sys/bus/pci/drivers_probe
	assert_eq "$(brig run --rm --isolation vm --network none --device vfio:00:09.0 busybox \
		sh -c 'cat /sys/block/nvme0n1/device/serial; test -b /dev/nvme0n1 && echo there' | tr -s ' \n' ' ')" 'passthrough there '
	echo >$device/driver_override
	echo 0000:00:09.0 >$device/driver/unbind
	echo 0000:00:09.0 >/sys/bus/pci/drivers_probe
}
