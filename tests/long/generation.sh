#!/bin/bash
# The generation id that tells a guest whether it is a copy, as a kernel with a driver would find it.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# generation_of ID: the 16 bytes at the address that ACPI's table names
generation_of() {
	local at
	oci exec "$1" cat /sys/firmware/acpi/tables/DSDT >dsdt
	at=$(python3 -c 'import re, struct
aml = open("dsdt", "rb").read()
device = aml[aml.index(b"VM_Gen_Counter"):]
low, high = re.search(rb"ADDR\x12.{4}\x02\x0c(.{4})\x0c(.{4})", device, re.S).groups()
print(struct.unpack("<Q", low + high)[0] // 16)')
	oci exec "$1" dd if=/dev/mem bs=16 skip="$at" count=1 2>/dev/null | od -An -tx1 | tr -d ' \n'
}

# How often the guest was told of another one
notices_of() {
	oci exec "$1" awk '/ACPI:Ged/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}

test_every_restored_machine_has_one_of_its_own() {
	local first n
	start_sh 'mknod /dev/mem c 1 1; echo ready; while :; do sleep 0.2; done' \
		'.linux.resources = {"memory": {"limit": 50331648}, "devices": [{"allow": true, "access": "rwm"}]}' \
		'.linux.maskedPaths = [] | .process.capabilities |= map_values(["CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_DAC_OVERRIDE"])'
	wait_until grep -q ready "$BUNDLE/out"
	first=$(generation_of "$ID")
	assert_matches "$first" '^[0-9a-f]{32}$'
	assert_ne "$first" 00000000000000000000000000000000
	assert_eq "$(notices_of "$ID")" 0
	oci checkpoint --leave-running --image-path images "$ID"
	assert_eq "$(generation_of "$ID")" "$first" "the machine that goes on is the same"
	assert_eq "$(notices_of "$ID")" 0
	echo "$first" >all
	oci delete --force "$ID"
	for n in 2 3; do
		oci restore --detach --image-path images --bundle "$BUNDLE" "$ID-$n" </dev/null >/dev/null 2>&1
		generation_of "$ID-$n" >>all
		echo >>all
		assert_eq "$(notices_of "$ID-$n")" 1
		oci delete --force "$ID-$n"
	done
	assert_eq "$(grep -c . all)" 3
	assert_eq "$(grep . all | sort -u | wc -l)" 3 "$(cat all)"
	assert_nothing_left
}
