#!/bin/bash
# Layers as disks: the kernel finds in the image what is in the layer's directory, and overlay what the
# layers are together.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# listing FOLDER: of everything in it all that a file is
listing() {
	python3 - "$1" <<'PY'
import os, stat, sys

root = sys.argv[1]
for folder, folders, files in os.walk(root):
	for name in files + folders + (["."] if folder == root else []):
		path = os.path.join(folder, name)
		s = os.lstat(path)
		attributes = {k: os.getxattr(path, k, follow_symlinks=False)
			for k in sorted(os.listxattr(path, follow_symlinks=False))}
		print(os.path.relpath(path, root), oct(s.st_mode), s.st_nlink, s.st_uid, s.st_gid,
			0 if stat.S_ISDIR(s.st_mode) else s.st_size, s.st_mtime_ns, s.st_rdev,
			os.readlink(path) if stat.S_ISLNK(s.st_mode) else "", attributes)
PY
}

# On a file system of its own: a layer has attributes that this machine's tmpfs does not know
make_store() {
	busybox modprobe loop && busybox modprobe ext4 && busybox modprobe erofs
	truncate -s 512M disk
	mkfs.ext4 -q disk
	mkdir store && mount -o loop disk store
	STORE=$TEST_DIR/store/images
}

test_the_kernel_reads_what_the_directory_has() {
	local chain tree i
	make_layout layout
	# What tar and image builders seldom write is put into the directory itself.
	make_store
	images load layout >/dev/null
	for tree in "$STORE"/layers/*/diff; do
		(
			cd "$tree" || exit 1
			mkdir many deep && ln -s "$(printf 'l%.0s' {1..4000})" long-link && mkfifo fifo
			for ((i = 0; i < 700; i++)); do echo "$i" >"many/a-name-that-takes-some-room-$i"; done
			mkdir -p "$(printf 'd/%.0s' {1..40})" && touch '!before-dot' "$(printf 'n%.0s' {1..255})"
			head -c 12288 /dev/urandom >three-blocks && truncate -s 0 empty
			truncate -s 20M sparse && echo end >>sparse
			cp "$(command -v busybox)" capable && setcap cap_net_raw+ep capable
			python3 -c 'import os
os.setxattr("capable", "user.text", b"value" * 200)
os.setxattr("many", "user.second", b"2")
os.setxattr("many", "user.first", b"")'
		)
	done
	mkdir mounted
	for chain in "$STORE"/layers/*; do
		images erofs "sha256:${chain##*/}"
		mount -t erofs -o ro,loop "$chain/erofs" mounted
		listing "$chain/diff" | sort >expected
		listing mounted | sort >actual
		diff expected actual || fail "the image differs"
		[ "$(wc -l <actual)" -gt 700 ] || fail "few files"
		diff -r --no-dereference -x fifo "$chain/diff" mounted || fail "content differs"
		umount mounted
		[ "$(stat -c '%b * %B / 1048576' "$chain/erofs" | bc)" -lt 15 ] || fail "holes take room"
	done
}

test_layers_over_one_another() {
	local chain disks='' lowers='' i=0
	make_layout layout
	make_store
	images load layout >/dev/null
	mkdir direct by-disk
	# The chain ids, topmost first, as a container has them.
	for chain in $(images inspect "$(images names | cut -d ' ' -f 2)" | awk '$1 == "layer" { print $3 }' | tac); do
		images erofs "$chain"
		mkdir "l$i" && mount -t erofs -o ro,loop "$STORE/layers/${chain#sha256:}/erofs" "l$i"
		disks+=${disks:+:}l$i
		lowers+=${lowers:+:}$STORE/layers/${chain#sha256:}/diff
		i=$((i + 1))
	done
	assert_eq "$i" 2
	busybox modprobe overlay
	mount -t overlay -o "ro,userxattr,lowerdir=$lowers" overlay direct
	mount -t overlay -o "ro,userxattr,lowerdir=$disks" overlay by-disk
	assert_no_file by-disk/etc/motd
	assert_no_file by-disk/opaque/old
	assert_eq "$(cat by-disk/opaque/fresh by-disk/etc/new)" $'fresh\nnew'
	diff -r --no-dereference direct by-disk || fail "the layers differ"
}

test_removed_with_the_layer_and_made_anew_after_a_crash() {
	local chain image
	make_layout layout
	make_store
	images load layout >/dev/null
	chain=$(find "$STORE/layers" -mindepth 1 -maxdepth 1 | head -n 1)
	image=$chain/erofs
	echo rubbish >"$chain/erofs.new" # a crash's
	images erofs "sha256:${chain##*/}"
	assert_no_file "$chain/erofs.new"
	cp "$image" first
	rm "$image"
	images erofs "sha256:${chain##*/}" &
	images erofs "sha256:${chain##*/}"
	wait $!
	cmp first "$image"
	assert_eq "$(stat -c %a "$image")" 600
	images remove "$(images names | cut -d ' ' -f 1)"
	images collect >/dev/null
	assert_no_file "$chain"
	refused 'No such file' images erofs "sha256:${chain##*/}"
}

# What a container of such layers writes is in its upper folder, as overlay on this host has it.
test_a_container_of_disks() {
	local chain images=() lowers=''
	make_store
	mkdir one two seen
	rootfs_make one
	echo below >one/etc/deleted && echo kept >one/etc/kept && mkdir one/etc/replaced && echo old >one/etc/replaced/old
	mkdir two/etc && echo above >two/etc/above && touch two/etc/.wh.deleted
	umoci init --layout layout && umoci new --image layout:img
	for chain in one two; do
		tar -C "$chain" -cf "$chain.tar" .
		umoci raw add-layer --image layout:img "$chain.tar"
	done
	images load layout >/dev/null
	images create c1 "$(images names | cut -d ' ' -f 2)"
	for chain in $(images inspect "$(images names | cut -d ' ' -f 2)" | awk '$1 == "layer" { print $3 }' | tac); do
		images erofs "$chain"
		images+=("$STORE/layers/${chain#sha256:}/erofs")
		lowers+=${lowers:+:}$STORE/layers/${chain#sha256:}/diff
	done
	next_container
	bundle_sh "$BUNDLE" 'cat /etc/above /etc/kept; cat /etc/deleted 2>/dev/null && echo there
		rm -r /etc/replaced && mkdir /etc/replaced && echo new >/etc/replaced/new
		mv /etc/kept /etc/moved; rm /etc/above; echo written >/written; mount | grep -c erofs; exit 7' \
		'.root.path = "'"$STORE"'/containers/c1"'
	run "$BRIG_BUILD/tests/microvm/layers-run" "$TEST_DIR/state" "$BUNDLE" "$ID" "${images[@]}"
	assert_eq "$status" 7 "$errors"
	assert_eq "$output" $'above\nkept\n0'
	assert_nothing_left
	busybox modprobe overlay
	mount -t overlay -o "userxattr,lowerdir=$lowers,upperdir=$STORE/containers/c1/upper,workdir=$STORE/containers/c1/work" overlay seen
	assert_eq "$(cat seen/etc/moved seen/written seen/etc/replaced/new)" $'kept\nwritten\nnew'
	assert_no_file seen/etc/above
	assert_no_file seen/etc/kept
	assert_no_file seen/etc/replaced/old
	# Only a machine has disks.
	run "$BRIG_BUILD/tests/microvm/layers-run" "$TEST_DIR/state" "$BUNDLE" "$ID" /dev/null/none
	assert_ne "$status" 0
}
