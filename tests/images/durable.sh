#!/bin/bash
# What a pull promises after a power cut: what has a name is whole, or the name is gone.
# time-limit: 120
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
