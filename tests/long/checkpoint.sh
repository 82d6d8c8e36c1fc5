#!/bin/bash
# Checkpoint and restore of containers that are virtual machines.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

counter='exec 7>>/log; i=0; while :; do i=$((i + 1)); echo $i >&7; echo $i; sleep 0.2; done'
small='.linux.resources.memory = {"limit": 50331648}'

# restored NAME IMAGES: a container that goes on from IMAGES with the bundle of the last one
restored() {
	oci restore --detach --image-path "$2" --bundle "$BUNDLE" --pid-file "$1.pid" "$1" \
		</dev/null >"$1.out" 2>"$1.err" || { cat "$1.err" >&2 && return 1; }
}

test_checkpoint_and_restore() {
	start_sh "$counter" "$small"
	wait_until grep -q '^3$' "$BUNDLE/out"
	oci checkpoint --image-path images "$ID"
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_nothing_left
	local last
	last=$(tail -n 1 "$BUNDLE/out")
	assert_eq "$(tail -n 1 "$BUNDLE/rootfs/log")" "$last" "what was written and what was said"

	restored "$ID-2" images
	assert_eq "$(status_of "$ID-2")" running
	wait_until grep -q "^$((last + 2))\$" "$ID-2.out"
	assert_eq "$(head -n 1 "$ID-2.out")" $((last + 1)) "the first words after the restore"
	wait_until grep -q "^$((last + 2))\$" "$BUNDLE/rootfs/log"
	assert_eq "$(oci exec "$ID-2" cat /proc/1/comm)" sh
	assert_eq "$(oci exec "$ID-2" sh -c 'echo new >/new; cat /new')" new
	assert_eq "$(cat "$BUNDLE/rootfs/new")" new
	assert_eq "$(($(oci exec "$ID-2" date +%s) - $(date +%s) < 60))" 1 "the clock"
	oci pause "$ID-2"
	oci resume "$ID-2"
	oci kill "$ID-2" KILL
	wait_status "$ID-2" stopped
	oci delete "$ID-2"
	assert_nothing_left
}
