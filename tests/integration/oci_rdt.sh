#!/bin/bash
# where: host
# linux.intelRdt where there is none: refused in words, and nothing is left.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_without_resctrl() {
	[ ! -e /sys/fs/resctrl/schemata ] || skip "this machine has Intel RDT"
	expect_failure run_sh true '.linux.intelRdt={"closID":"gold","l3CacheSchema":"L3:0=f"}'
	assert_contains "$ERROR" "no resctrl file system at /sys/fs/resctrl"
	assert_nothing_left
}

test_update_of_a_container_without() {
	create_sh 'sleep 60'
	expect_failure oci update --l3-cache-schema L3:0=f "$ID"
	assert_contains "$ERROR" "without linux.intelRdt"
	expect_failure oci update --mem-bw-schema MB:0=50 "$ID"
	assert_contains "$ERROR" "without linux.intelRdt"
}
