#!/bin/bash
# Section F, containers: cp, volumes, helpers, what is read from an image.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

SWAPPER=$BRIG_BUILD/tests/tools/swapper

# load_hostile NAME [CONFIG]: the image localhost/NAME:img from the folder "hostile", with busybox in it
load_hostile() {
	mkdir -p hostile/bin && cp "$(command -v busybox)" hostile/bin/
	ln -sf busybox hostile/bin/sh
	tar -C hostile -cf hostile.tar .
	rm -rf "$1"
	IMAGE_CONFIG=${2:-'{"Cmd": ["/bin/sh"]}'} \
		"$(dirname "${BASH_SOURCE[0]}")/../lib/layout.py" "$1" 1 hostile.tar
	brig load -q -i "$1" >/dev/null
	brig tag localhost/layout:img "$1:img"
	brig untag localhost/layout:img localhost/layout:img
}

# swap_inside NAME: a container that exchanges /d/a, a directory, with /d/b, a link to the canary
swap_inside() {
	cp "$SWAPPER" swapper
	brig run --network none -d --name "$1" -v "$TEST_DIR/swapper:/swapper:ro" "${@:2}" busybox sh -c \
		"mkdir -p /d/a; ln -s $TEST_DIR/canary /d/b; echo ready; exec /swapper /d/a /d/b" >/dev/null
	swapping() { brig logs "$1" | grep -q ready; }
	wait_for 30 swapping "$1"
}

# swapped NAME: ends it; it did at least 10,000 rounds
swapped() {
	brig kill -s TERM "$1" >/dev/null
	brig wait "$1" >/dev/null
	local rounds
	rounds=$(brig logs "$1" | tail -n 1)
	[ "$rounds" -ge 10000 ] || fail "only $rounds swaps"
	brig rm "$1" >/dev/null
}

test_F6_cp_against_a_swapper() {
	host_canary_begin
	echo bad >bad
	mkdir -p tree/other && echo bad >tree/other/x
	tar -cf tree.tar tree/other
	swap_inside box
	local i
	for i in {1..25}; do
		run brig cp bad box:/d/a/file
		run brig cp tree/. box:/d/a
		run brig cp - box:/d/a <tree.tar
		brig cp box:/d/a - >out.tar 2>/dev/null || :
		! grep -qa precious out.tar || fail "the canary came out as tar"
		run brig cp box:/d/a/file "out.$i"
		[ ! -e "out.$i" ] || assert_eq "$(cat "out.$i")" bad "a file of the host came out"
		run brig cp box:/d/a "dir.$i"
		[ -L "dir.$i" ] || ! grep -rqs precious "dir.$i" || fail "the canary came out"
	done
	swapped box
	rm -rf bad tree tree.tar swapper out.* dir.*
	host_canary_check
}

# A volume whose owner swaps a directory in it, while others are mounted below that directory
test_F6_volumes_against_a_swapper() {
	host_canary_begin
	swap_inside box -v shared:/d
	local i
	for i in {1..25}; do
		run brig run --network none --rm -v shared:/d -v other:/d/a/file busybox sh -c 'echo bad >/d/a/file/x'
		run brig run --network none --rm -v shared:/d -v other:/d/a/new/dir -w /d/a/work busybox touch /d/a/new/dir/x
	done
	swapped box
	brig volume rm -f shared other >/dev/null
	rm -f swapper
	host_canary_check
}

# Whatever a rootfs has under the names of helpers, no program and no library of it runs on the host.
test_F7_nothing_of_a_rootfs_runs_on_the_host() {
	host_canary_begin
	local name
	mkdir -p hostile/{bin,usr/bin,lib/x86_64-linux-gnu,etc}
	for name in tar xz gzip unpigz newuidmap newgidmap pasta iptables nft fuse-overlayfs ldconfig; do
		printf '#!/bin/sh\necho bad >%s/canary/file\n' "$TEST_DIR" | tee "hostile/bin/$name" >"hostile/usr/bin/$name"
		chmod 755 "hostile/bin/$name" "hostile/usr/bin/$name"
	done
	for name in libnss_files.so.2 libnss_evil.so.2 libc.so.6; do
		echo "no library" >"hostile/lib/x86_64-linux-gnu/$name"
	done
	echo 'passwd: evil files' >hostile/etc/nsswitch.conf
	echo "$TEST_DIR/canary" >hostile/etc/ld.so.preload
	printf 'root:x:0:0::/:/bin/sh\nuser:x:7:8::/:/bin/sh\n' >hostile/etc/passwd
	load_hostile trojan
	brig run --network none -d --name box trojan:img busybox sleep 100 >/dev/null
	command -v strace >/dev/null || skip "no strace"
	local verb traced=(strace -f -qq -e "trace=execve,execveat,openat,open" -s 300 -o)
	for verb in "cp box:/etc/passwd out" "cp out box:/tmp2" "commit box made" "export -o out.tar box" "exec -u user box busybox true" \
		"diff box" "stats --no-stream box" "top box" "run --network none --rm -u user trojan:img busybox true"; do
		# shellcheck disable=SC2086
		"${traced[@]}" trace "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" $verb >/dev/null || :
		! grep -E 'exec[^"]*"[^"]*/(upper|diff|containers)/' trace || fail "executes: $verb"
		# The packer reads every file, following nothing; a loader follows.
		! grep -E 'libnss_evil|ld[.]so[.]preload' trace | grep -v O_NOFOLLOW | grep -v ENOENT | grep -v '"/etc/ld.so.preload"' ||
			fail "of the rootfs: $verb"
	done
	brig rm -f box >/dev/null
	brig rmi made >/dev/null 2>&1 || :
	rm -rf out out.tar hostile hostile.tar trojan trace
	host_canary_check
}

# What an image says is to be mounted somewhere, and copied from there, stays in the image.
test_F8_sources_and_places_through_links() {
	host_canary_begin
	mkdir -p "hostile$TEST_DIR/canary"
	ln -sfn "$TEST_DIR/canary" hostile/out
	ln -sfn ../../../../../../..$TEST_DIR/canary hostile/up
	load_hostile links "{\"Volumes\": {\"/out\": {}, \"/up/dir\": {}}, \"WorkingDir\": \"/out/work\"}"
	assert_runs brig run --network none --rm links:img /bin/busybox true
	run brig run --network none --rm links:img /bin/busybox sh -c 'echo bad >/out/file; echo bad >/up/dir/x'
	run brig run --network none --rm -v vol:/out links:img /bin/busybox sh -c 'echo bad >/out/file'
	run brig run --network none --rm -v vol:/up links:img /bin/busybox sh -c 'cat /up/file'
	assert_not_contains "$output" precious "the copy of a new volume"
	run brig run --network none --rm --tmpfs /out/t --mount type=tmpfs,dst=/up/t links:img /bin/busybox touch /out/t/x
	# A link in a volume that somebody gives as a source
	brig run --network none --rm -v vol2:/v busybox ln -s "$TEST_DIR/canary" /v/link
	run brig run --network none --rm --mount type=volume,src=vol2,dst=/x,volume-subpath=link busybox sh -c 'echo bad >/x/file'
	brig volume rm -f vol vol2 >/dev/null
	brig volume prune -f >/dev/null
	rm -rf hostile hostile.tar links
	host_canary_check
}

# /etc/passwd and /etc/group as a link, a FIFO, a directory, something endless: no wait, no host file
test_F9_what_is_read_from_an_image() {
	host_canary_begin
	echo 'user:x:1234:1234::/:/bin/sh' >canary/passwd
	host_canary_begin2() { host_snapshot >"$TEST_DIR/.canary"; }
	host_canary_begin2
	local kind name
	for kind in absolute climbing fifo directory huge device loop; do
		for name in passwd group; do
			rm -rf hostile && mkdir -p hostile/etc
			case $kind in
			absolute) ln -s "$TEST_DIR/canary/passwd" "hostile/etc/$name" ;;
			climbing) ln -s "../../../../../../..$TEST_DIR/canary/passwd" "hostile/etc/$name" ;;
			fifo) mkfifo "hostile/etc/$name" ;;
			directory) mkdir "hostile/etc/$name" ;;
			huge) truncate -s 10G "hostile/etc/$name" ;;
			device) ln -s /dev/zero "hostile/etc/$name" ;;
			loop) ln -s "$name" "hostile/etc/$name" ;;
			esac
			[ "$kind" = huge ] && tar_options=-S || tar_options=
			mkdir -p hostile/bin && cp "$(command -v busybox)" hostile/bin/
			# shellcheck disable=SC2086
			tar -C hostile $tar_options -cf hostile.tar .
			brig import -q hostile.tar "read:$kind-$name" >/dev/null
			run timeout 30 "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" run --network none --rm --user user "read:$kind-$name" /bin/busybox id -u
			assert_ne "$status" 124 "$kind $name"
			assert_not_contains "$output" 1234 "$kind $name: a file of the host was read"
			run timeout 30 "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" run --network none --rm --user 7:games --group-add user "read:$kind-$name" /bin/busybox id
			assert_ne "$status" 124 "$kind $name"
			assert_not_contains "$output" 1234 "$kind $name: a file of the host was read"
			brig rmi "read:$kind-$name" >/dev/null
		done
	done
	rm -rf hostile hostile.tar
	host_canary_check
}

# A log whose place somebody has taken is not read through a link, and not waited for.
test_F9_logs() {
	brig run --network none --name box busybox echo hello
	local log
	log=$(find "$TEST_DIR/data/containers" -name '*log*' -type f | head -n 1)
	[ -n "$log" ] || fail "there is no log"
	mv "$log" kept
	echo secret >outside
	ln -s "$TEST_DIR/outside" "$log"
	run timeout 20 "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" logs box
	assert_ne "$status" 124
	assert_not_contains "$output" secret
	rm "$log" && mkfifo "$log"
	run timeout 20 "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" logs box
	assert_ne "$status" 124 "it waits for a FIFO"
	brig rm box
}

test_F10_env_is_never_expanded() {
	host_canary_begin
	SECRET=of-the-host load_hostile env '{"Env": ["*", "SEC*", "A=$SECRET", "B=${HOME}", "C=`echo bad >canary/file`", "D=$(id)", "E=%h", "PATH=/bin"]}'
	run env SECRET=of-the-host "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" run --network none --rm env:img /bin/busybox env
	assert_not_contains "$output$errors" of-the-host
	local line
	# shellcheck disable=SC2016
	for line in 'A=$SECRET' 'B=${HOME}' 'C=`echo bad >canary/file`' 'D=$(id)' 'E=%h'; do
		[ "$status" != 0 ] || assert_contains "$output" "$line"
	done
	[ "$status" = 0 ] || assert_contains "$errors" '"*"'
	rm -rf hostile hostile.tar env
	host_canary_check
}
