# Limits, statistics and events of cgroups with every controller.
# where: vm
# shellcheck shell=bash

test_controllers() {
	busybox modprobe loop
	"$BRIG_BUILD/tests/integration/cgroups_controllers"
}
