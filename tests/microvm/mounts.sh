#!/bin/bash
# mounts add and mounts remove of a container in a virtual machine: what of the host's it comes to see, and that
# nothing of that stays behind. tests/integration/oci_mounts_live.sh has the verbs themselves.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# add DESTINATION SOURCE OPTION…
add() {
	local destination=$1 source=$2
	shift 2
	jq -n --arg d "$destination" --arg s "$source" '[{destination: $d, source: $s, options: ($ARGS.positional + ["bind"])}]' \
		--args "$@" >list
	oci mounts add "$ID" list
}

take() {
	jq -n --arg d "$1" '[{destination: $d}]' >list
	oci mounts remove "$ID" list
}

inside() {
	oci exec "$ID" sh -c "$1" </dev/null
}

# nobody_has DEVICE: no mount of it is left, anywhere
nobody_has() {
	python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$1" 2>/dev/null
}

# Of the file server PID: how many of its mounts are of disks, and what its root has
disks_of() {
	grep -c ' - ext4 ' "/proc/$1/mountinfo"
}

trees_of() {
	find "/proc/$1/root/" -mindepth 1 -maxdepth 1 | wc -l
}

test_trees_come_and_go() {
	local device other server
	busybox modprobe loop && busybox modprobe ext4
	truncate -s 16M image && mkfs.ext4 -q image && mkdir disk
	device=$(losetup --find --show image)
	mount "$device" disk
	mkdir -p disk/deep/er one && echo on-disk >disk/deep/er/file && echo first >one/file
	# A file system of a device of the host's, from the beginning.
	truncate -s 16M other && mkfs.ext4 -q other
	other=$(losetup --find --show other)
	start_sh 'cat /proc/mounts >/fs/mounts; echo ready; while :; do sleep 0.2; done' \
		'.mounts += [{"destination":"/fs","type":"ext4","source":"'"$other"'","options":["nosuid"]}]'
	wait_until grep -q ready "$BUNDLE/out"
	server=$(pgrep -P "$PID" brig-fsd)

	# Both ways, read-only where it says so: on the host as well, whoever is root in there.
	add /disk "$TEST_DIR/disk"
	add /one "$TEST_DIR/one" ro
	assert_eq "$(inside 'cat /disk/deep/er/file /one/file')" $'on-disk\nfirst'
	inside 'echo from-guest >/disk/new'
	assert_eq "$(cat disk/new)" from-guest
	! inside 'echo x >/one/file' 2>/dev/null || fail "wrote to a read-only mount"
	assert_matches "$(grep "$TEST_DIR/one /" "/proc/$server/mountinfo" || cat "/proc/$server/mountinfo")" ' ro,nosuid,nodev,noexec'
	assert_eq "$(disks_of "$server")" 2 "file systems of disks"

	# The owners of files are mapped on the host.
	add /mapped "$TEST_DIR/disk/deep" 'idmap=uids=0-1000-100;gids=0-2000-100'
	assert_eq "$(inside 'stat -c %u:%g /mapped/er/file')" 1000:2000
	take /mapped

	# A machine that is saved is restored without them.
	expect_failure oci checkpoint --image-path images "$ID"
	assert_contains "$ERROR" '/disk was added while it ran'
	assert_eq "$(status_of "$ID")" running
	assert_eq "$(find images -type f)" ''

	# A socket of the host, and a source that is none: nothing is left of these.
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
	expect_failure add /sock "$TEST_DIR/sock"
	assert_contains "$ERROR" 'a socket of the host'
	expect_failure add /proc/none "$TEST_DIR/one"
	assert_eq "$(disks_of "$server")" 2
	assert_eq "$(trees_of "$server")" 4 "the root, and three trees"

	# Gone from the container, and free on the host. The one on top goes first.
	add /disk "$TEST_DIR/one"
	assert_eq "$(inside 'cat /disk/file')" first
	take //disk/
	assert_eq "$(inside 'cat /disk/new')" from-guest
	take /disk
	assert_eq "$(inside 'ls /disk | wc -l')" 0
	umount disk
	wait_until nobody_has "$device"
	losetup --detach "$device"
	assert_eq "$(inside 'cat /one/file')" first
	take /one
	expect_failure take /one
	assert_contains "$ERROR" 'nothing is mounted there'
	assert_eq "$(trees_of "$server")" 2
	oci checkpoint --image-path images "$ID"
	wait_status "$ID" stopped
	oci delete --force "$ID"
	wait_until nobody_has "$other"
	mount "$other" disk
	assert_contains "$(cat disk/mounts)" ' /fs '
	umount disk && losetup --detach "$other"
	assert_nothing_left
}
