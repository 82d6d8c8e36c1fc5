#!/bin/bash
# where: vm
# kernel: 6.1 6.12
# time-limit: 900
# Overlay mounts and shifted ids, by kernels that take all layers in one page of text (before 6.7), and one by one but
# none as a descriptor (before 6.13). The host's, in other tests, takes them all as descriptors.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

# The store on an ext4 of its own: the machine's files lie on an overlay, which is no upper side of another.
setup_store() {
	modprobe -a loop ext4 || skip "no loop devices"
	truncate -s 1G disk
	mkfs.ext4 -q -O ^has_journal disk || skip "no mkfs.ext4"
	mkdir store data
	mount -o loop disk store
	mount --bind store data
	mkdir store/tmp
}

load_layers() {
	"$IMAGES_TESTS/../lib/layout.py" layout "$@"
	images load layout >/dev/null
	images create c localhost/layout:img
	mkdir m
}

assert_layers() {
	assert_eq "$(cat m/top)" "$(($1 - 1))"
	assert_eq "$(find m -name 'of-*' | wc -l)" "$1"
}

test_more_than_a_page_of_names() {
	setup_store
	load_layers 200
	images mount c m
	assert_layers 200
	echo mine >m/mine
	assert_eq "$(cat store/containers/c/upper/mine)" mine
	rm m/of-7
	[ -c store/containers/c/upper/of-7 ] || fail "the whiteout is not in the container's own directory"
	umount m
	READ_ONLY=1 images mount c m
	assert_layers 200
	! touch m/x 2>/dev/null || fail "read-only is not"
	umount m
	assert_not_contains "$(cat /proc/self/mountinfo)" overlay/ "mounts are left"
}

test_one_layer() {
	setup_store
	load_layers 1
	READ_ONLY=1 images mount c m
	assert_layers 1
	umount m
}

test_ids_are_shifted() {
	setup_store
	load_layers 3
	unshare --user sleep 100 &
	unshared() { [ "$(readlink "/proc/$!/ns/user")" != "$(readlink /proc/self/ns/user)" ]; }
	wait_for 60 unshared
	echo 0 100000 65536 >/proc/$!/uid_map
	echo 0 100000 65536 >/proc/$!/gid_map
	USERNS=/proc/$!/ns/user images mount c m
	assert_eq "$(stat -c '%u:%g' m/of-0)" "100000:100000"
	umount m
	kill %1
}

test_run() {
	setup_store
	mkdir -p root/bin
	cp "$(command -v busybox)" root/bin/busybox
	tar -C root -cf base.tar .
	"$IMAGES_TESTS/../lib/layout.py" layout 128 base.tar
	export BRIG_SHARE=$BRIG_BUILD/cli
	brig load -q -i layout
	assert_eq "$(brig run --rm --network none layout:img /bin/busybox cat /top)" 127
}
