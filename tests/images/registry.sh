#!/bin/bash
# Images from and to a real registry: pull, mount, push, tag, remove, collect; load and save.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

push_layout() {
	make_layout layout
	skopeo copy -q --dest-tls-verify=false oci:layout:img "docker://127.0.0.1:5000/$1"
}

# The files of container $1 as they are seen, in $2
look() {
	mkdir -p "$2"
	images mount "$1" "$2"
}

test_pull_and_mount() {
	start_registry
	push_layout a/b:1
	run images pull 127.0.0.1:5000/a/b:1
	assert_eq "$status" 0 "$errors"
	assert_contains "$output" " changed "
	images create c a/b:1
	look c m
	assert_eq "$(cat m/etc/hard m/etc/new m/opaque/fresh)" $'hello\nnew\nfresh'
	[ ! -e m/etc/motd ] || fail "a whiteout does not hide"
	[ ! -e m/opaque/old ] || fail "an opaque directory does not hide"
	[ -L m/etc/link ] || fail "no symbolic link"
	assert_eq "$(stat -c '%u:%g %a' m/bin/noise)" "12:34 4755"
	cmp one/bin/noise m/bin/noise
	assert_store_clean
	assert_eq "$(find store -type d -path 'store/*' -prune -perm /077)" "" "directories that others may enter"
	assert_eq "$(stat -c %a store)" 700
	run images pull 127.0.0.1:5000/a/b:1
	assert_contains "$output" " same 0"
}

test_layers_equal_umoci() {
	start_registry
	push_layout a/b:1
	images pull 127.0.0.1:5000/a/b:1
	images create c a/b:1
	look c m
	umoci unpack --image layout:img bundle
	diff -r --no-dereference m bundle/rootfs
	assert_eq "$(cd m && find . -printf '%P %y %m %U:%G %T@\n' | sort)" \
		"$(cd bundle/rootfs && find . -printf '%P %y %m %U:%G %T@\n' | sort)"
}

test_push_mounts_and_sends() {
	start_registry
	push_layout a/b:1
	images pull 127.0.0.1:5000/a/b:1
	images tag a/b:1 127.0.0.1:5000/c/d:2
	run images push c/d:2 127.0.0.1:5000/c/d:2
	assert_contains "$output" "sent 0 mounted 3 present 0"
	run images push c/d:2 127.0.0.1:5000/c/d:2
	assert_contains "$output" "sent 0 mounted 0 present 3"
	assert_eq "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://127.0.0.1:5000/c/d:2)" \
		"$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://127.0.0.1:5000/a/b:1)"
	assert_eq "$(images tags 127.0.0.1:5000/c/d)" 2
	export STORE=$TEST_DIR/second
	images load layout >/dev/null
	run images push localhost/layout:img 127.0.0.1:5000/new/one:1
	assert_contains "$output" "sent 3 mounted 0 present 0"
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5000/new/one:1 dir:copied
}

test_zstd_and_plain_layers() {
	start_registry
	make_layout layout
	skopeo copy -q --dest-tls-verify=false --dest-compress-format zstd --dest-compress oci:layout:img oci:zstd:img ||
		skip "skopeo has no zstd"
	skopeo copy -q --dest-tls-verify=false --dest-decompress oci:layout:img dir:plain
	images load zstd >/dev/null
	images create z localhost/layout:img
	look z m
	assert_eq "$(cat m/etc/new)" new
	skopeo copy -q dir:plain docker-archive:plain.tar:plain/image:1
	images load plain.tar >/dev/null
	assert_eq "$(images inspect plain/image:1 | grep -c ^layer)" 2
}

test_commit_export_import() {
	start_registry
	push_layout a/b:1
	images pull 127.0.0.1:5000/a/b:1
	images create c a/b:1
	look c m
	rm m/etc/new
	rm -r m/opaque
	mkdir m/opaque
	echo mine >m/opaque/mine
	echo hello >m/hello
	ln m/hello m/other
	images export c >exported.tar
	assert_contains "$(tar -tf exported.tar)" opaque/mine
	assert_not_contains "$(tar -tf exported.tar)" .wh.
	images commit c localhost/committed:1
	images create d localhost/committed:1
	look d n
	assert_eq "$(cd n && find . | sort)" "$(cd m && find . | sort)"
	assert_eq "$(stat -c %h n/hello)" 2
	images import exported.tar localhost/imported:1
	images create e localhost/imported:1
	look e o
	assert_eq "$(cd o && find . -printf '%P %y %m %U:%G %s\n' | grep -v '^ \| d ' | sort)" \
		"$(cd m && find . -printf '%P %y %m %U:%G %s\n' | grep -v '^ \| d ' | sort)"
	umount m n o
}

test_save_and_load() {
	make_layout layout
	images load layout
	images save saved.tar localhost/layout:img
	assert_eq "$(skopeo inspect --format '{{len .Layers}}' docker-archive:saved.tar)" 2
	assert_eq "$(skopeo inspect --format '{{len .Layers}}' oci-archive:saved.tar)" 2
	mkdir saved
	images save saved localhost/layout:img
	diff -r <(tar -xOf saved.tar index.json) saved/index.json
	STORE=$TEST_DIR/second images load saved.tar
	assert_eq "$(STORE=$TEST_DIR/second images inspect localhost/layout:img)" "$(images inspect localhost/layout:img)"
	gzip saved.tar
	STORE=$TEST_DIR/third images load saved.tar.gz
}

# A file that ends in a hole is made longer than what is written to it.
test_sparse_files() {
	mkdir root
	truncate -s 1G root/hole
	printf end | dd of=root/end bs=1 seek=1000000 conv=notrunc status=none
	local format
	for format in gnu posix; do
		tar -C root --sparse --format=$format -cf sparse.tar .
		images import sparse.tar localhost/sparse:$format
		images create $format localhost/sparse:$format
		look $format $format
		assert_eq "$(stat -c '%s %b' $format/hole)" "1073741824 0" $format
		cmp root/end $format/end
	done
}

test_collect() {
	make_layout layout
	images load layout
	images create c localhost/layout:img
	images tag localhost/layout:img localhost/other:1
	images remove localhost/other:1
	refused "container c" images remove localhost/layout:img
	FORCE=1 images remove localhost/layout:img
	images collect
	look c m
	assert_eq "$(cat m/etc/new)" new
	umount m
	images delete c
	images delete c
	images collect
	assert_eq "$(find store/{layers,blobs,parts,trash,staging,names,containers} -mindepth 1 -not -name 'sha*')" ""
	run images collect
	assert_eq "$output" "0 blobs 0 layers"
}

test_shifted_ids() {
	make_layout layout
	images load layout
	images create c localhost/layout:img
	unshare --user sleep 100 &
	unshared() { [ "$(readlink "/proc/$!/ns/user")" != "$(readlink /proc/self/ns/user)" ]; }
	wait_for 60 unshared
	echo 0 100000 65536 >/proc/$!/uid_map
	echo 0 100000 65536 >/proc/$!/gid_map
	mkdir m
	READ_ONLY=1 USERNS=/proc/$!/ns/user images mount c m
	assert_eq "$(stat -c '%u:%g' m/bin/noise)" "100012:100034"
	kill %1
}

test_two_at_once() {
	start_registry
	push_layout a/b:1
	local i pids=()
	for i in 1 2 3 4; do
		images pull 127.0.0.1:5000/a/b:1 >"out.$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "$(cat out.*)"
	done
	images create c a/b:1
	assert_store_clean
}

test_mirror_is_asked_first() {
	start_registry
	push_layout a/b:1
	run images pull docker.io/library/x:1 127.0.0.1:5009/x:1 127.0.0.1:5000/nothing:1 127.0.0.1:5000/a/b:1
	assert_eq "$status" 0 "$errors"
	assert_contains "$(images names)" docker.io/library/x:1
	refused "not found" images pull docker.io/library/y:1 127.0.0.1:5000/nothing:1
}
