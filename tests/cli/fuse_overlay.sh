#!/bin/bash
# Stores on a file system where the kernel mounts no overlay (it is one itself): fuse-overlayfs in its place.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

# begin FOLDER: it becomes an overlay, in which another one's upper directory cannot be
begin() {
	mkdir -p lower upper work "$1"
	mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay "$1"
}

served() {
	pgrep -x fuse-overlayfs >/dev/null
}

# life COMMAND...: what a container goes through, by the brig of that command
life() {
	"$@" run -d --network none --name box -v data:/etc busybox \
		sh -c 'mkdir /made; echo x >/made/x; chown 33 /made/x || :; rm -r /var; mkdir /var; rm /bin/vi; exec sleep 100' >/dev/null
	wait_for 10 "$@" exec box sh -c '! test -e /bin/vi'
	served || fail "nothing serves it"
	assert_eq "$("$@" exec box cat /made/x /proc/sys/kernel/ostype)" $'x\nLinux'
	assert_eq "$("$@" exec -u root box id -u)" 0
	assert_contains "$("$@" exec box cat /proc/mounts)" "fuse-overlayfs / fuse.fuse-overlayfs "
	"$@" stop -t 0 box
	assert_contains "$("$@" diff box)" "D /bin/vi"
	assert_not_contains "$("$@" diff box)" .wh.
	"$@" cp box:/made - | tar -tf - >list
	assert_contains "$(cat list)" x
	"$@" commit box made
	assert_eq "$("$@" run --rm --network none made sh -c 'ls /var /made; test -e /bin/vi || echo gone')" $'/made:\nx\n\n/var:\ngone'
	"$@" start box
	assert_eq "$("$@" exec box cat /made/x)" x
	"$@" rm -f box
	"$@" volume rm data
	wait_for 10 not served
}

not() {
	! "$@"
}

test_without_root() {
	user_make
	user_may_fuse
	begin home
	chown 1000:1000 home && mkdir -p home/run && chown 1000 home/run
	assert_contains "$(user doctor || :)" "by fuse-overlayfs"
	life user
}

test_with_the_own_id_alone() {
	user_make
	user_may_fuse
	umount /etc/subuid /etc/subgid
	begin home
	chown 1000:1000 home && mkdir -p home/run && chown 1000 home/run
	assert_eq "$(user run --rm --network none busybox cat /proc/self/uid_map | xargs)" "0 1000 1"
	life user
}

test_as_root() {
	begin on
	rm -rf data && mkdir on/data && ln -s on/data data
	brig() { timeout 60 "$BRIG" --root "$TEST_DIR/on/data" --runroot "$TEST_DIR/run" "$@"; }
	life brig
	nothing_left
}

test_without_fuse_overlayfs() {
	user_make
	chmod 600 /dev/fuse
	begin home
	chown 1000:1000 home && mkdir -p home/run && chown 1000 home/run
	assert_status 125 user run --rm --network none busybox true
	assert_contains "$errors" "overlay: upperdir"
	assert_contains "$errors" "/dev/fuse"
	assert_eq "$(wc -l <<<"$errors")" 1
	assert_contains "$(user doctor || :)" "broken  overlay"
}
