#!/bin/bash
# What a pull promises after a power cut: what has a name is whole, or the name is gone.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

R=127.0.0.1:5000

setup() {
	start_registry
	make_layout layout
	skopeo copy -q --dest-tls-verify=false oci:layout:img docker://$R/a/b:1
}

notes() {
	find store/deferred -type f | wc -l
}

# As after a reboot: the boot that the notes and the store remember is another one.
reboot() {
	echo another >store/boot
	local note
	for note in store/deferred/*; do
		[ ! -f "$note" ] || sed -i 1s/.*/another/ "$note"
	done
}

test_a_flushed_pull_outlives_a_reboot() {
	setup
	images pull $R/a/b:1
	assert_eq "$(notes)" 0
	reboot
	assert_contains "$(images names)" a/b:1
	images create c a/b:1
}

test_what_was_not_on_the_disk_is_gone() {
	setup
	images import one.tar localhost/other:1
	NO_FLUSH=1 images pull $R/a/b:1
	assert_eq "$(notes)" 1
	reboot
	assert_eq "$(images names | cut -d ' ' -f 1)" localhost/other:1
	assert_eq "$(notes)" 0
	images create other localhost/other:1
	run images pull $R/a/b:1
	assert_contains "$output" changed
	images create c a/b:1
	images collect
	assert_store_clean
}

# Another name for the same layers goes with them.
test_names_without_layers_are_gone() {
	setup
	NO_FLUSH=1 images pull $R/a/b:1
	images tag a/b:1 localhost/same:1
	reboot
	assert_eq "$(images names)" ""
}

test_notes_of_this_boot_are_no_reason() {
	setup
	NO_FLUSH=1 images pull $R/a/b:1
	echo another >store/boot
	assert_contains "$(images names)" a/b:1
	images create c a/b:1
}

test_notes_of_the_killed_go_with_the_next_flush() {
	setup
	NO_FLUSH=1 images pull $R/a/b:1
	make_layout layout
	skopeo copy -q --dest-tls-verify=false oci:layout:img docker://$R/e/f:1
	images pull $R/e/f:1
	assert_eq "$(notes)" 0
}


# What makes images out of files: their notes grow as they learn what they write.
test_load_import_and_commit() {
	setup
	skopeo copy -q oci:layout:img oci-archive:archive.tar:localhost/l:1
	skopeo copy -q oci:layout:img docker-archive:docker.tar:localhost/d:1
	images import one.tar localhost/base:1
	tar -C one/bin -cf three.tar .
	images create c localhost/base:1
	echo written >store/containers/c/upper/written
	local verb
	for verb in "load archive.tar" "load docker.tar" "import three.tar localhost/i:1" "commit c localhost/c:1"; do
		# shellcheck disable=SC2086
		NO_FLUSH=1 images $verb
		assert_eq "$(notes)" 1 "$verb"
		assert_ne "$(images names | cut -d ' ' -f 1)" localhost/base:1 "$verb"
		reboot
		# What was there before is there, also what the lost image had below its own layer
		assert_eq "$(images names | cut -d ' ' -f 1)" localhost/base:1 "$verb"
		assert_eq "$(notes)" 0 "$verb"
		# shellcheck disable=SC2086
		images $verb
		reboot
		assert_ne "$(images names | cut -d ' ' -f 1)" localhost/base:1 "$verb, flushed"
		for name in $(images names | cut -d ' ' -f 1 | grep -v base:1); do
			images create "${name//[!a-z0-9]/}" "$name"
			images delete "${name//[!a-z0-9]/}"
			images remove "$name"
		done
		images collect
	done
}

# One wait for each step, and none for the bytes
test_load_waits_for_its_note_alone() {
	need strace
	setup
	skopeo copy -q oci:layout:img oci-archive:archive.tar:localhost/l:1
	NO_FLUSH=1 strace -f -qq -y -e trace=fsync,fdatasync,syncfs -o trace \
		"$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" load archive.tar
	assert_eq "$(grep "sync(" trace | grep -v /deferred || :)" ""
	[ "$(grep -c "sync(" trace)" -le 6 ] || fail "$(cat trace)"
}

# brig itself returns at once, and the notes go soon after.
test_a_process_of_its_own_flushes() {
	setup
	brig pull -q $R/a/b:1 >/dev/null
	flushed() { [ -z "$(ls data/images/deferred)" ]; }
	wait_for 60 flushed
	assert_eq "$(brig images -q | wc -l)" 1
}

# A flush that fails leaves the note: the disk, not we, knows what is on it.
test_a_disk_that_fails() {
	need strace
	setup
	run strace -f -qq -e trace=syncfs -e inject=syncfs:error=EIO -o trace \
		"$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" pull $R/a/b:1
	assert_ne "$status" 0
	assert_contains "$errors" "Input/output error"
	assert_eq "$(notes)" 1
}

# A real one: copies of a disk at moments of a pull, as if the power had gone then.
test_power_cuts() {
	modprobe loop 2>/dev/null || :
	setup
	truncate -s 300M disk
	mkfs.ext4 -q disk && mkdir store copy && mount -o loop disk store || skip "no loop devices or no ext4"
	local i note
	for i in {1..8}; do
		rm -rf store/* # of the last round
		sync -f store
		NO_FLUSH=$((i % 2)) images pull $R/a/b:1 >/dev/null &
		sleep "0.$((i * 7 % 10))"
		cp --sparse=always disk "disk.$i"
		wait $!
		mount -o loop "disk.$i" copy
		echo another >copy/boot
		for note in copy/deferred/*; do [ ! -f "$note" ] || sed -i 1s/.*/another/ "$note"; done
		if STORE=$TEST_DIR/copy images names | grep -q a/b:1; then
			STORE=$TEST_DIR/copy images create c a/b:1
			mkdir -p m && STORE=$TEST_DIR/copy images mount c m
			cmp one/bin/noise m/bin/noise
			assert_eq "$(cat m/etc/hard m/etc/new m/opaque/fresh)" $'hello\nnew\nfresh' "cut $i"
			umount m
		fi
		STORE=$TEST_DIR/copy images pull $R/a/b:1 >/dev/null
		umount copy
		rm "disk.$i"
	done
	umount store
}
