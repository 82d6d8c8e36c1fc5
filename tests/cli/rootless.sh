#!/bin/bash
# brig for a user without privilege: ids of his own, files, cp, exec, what is left behind.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

test_run() {
	user_make
	assert_eq "$(user run --rm --network none busybox id -u)" 0
	assert_eq "$(user run --rm --network none busybox cat /proc/self/uid_map | tr -s ' ')" $' 0 1000 1\n 1 100000 65536'
	assert_status 7 user run --rm --network none busybox sh -c 'exit 7'
	assert_status 127 user run --rm --network none busybox no-such
	assert_eq "$(user run --rm --network none -u www-data busybox id -u)" 33
	files_are_gone() { [ -z "$(find home/.local/share/brig/containers home/run/brig/containers -mindepth 1)" ]; }
	wait_for 30 files_are_gone
}

test_files() {
	user_make
	user run -d --network none --name box -v data:/data -u 33 busybox sleep 100
	user exec -u 0 box sh -c 'echo x >/data/file; chown 33 /data/file; echo y >/root/y'
	assert_eq "$(stat -c %u home/.local/share/brig/volumes/data/_data/file)" 100032
	assert_eq "$(user exec box id -u)" 33
	echo z >home/z && chown 1000 home/z
	assert_runs user cp z box:/tmp/z
	assert_eq "$(user exec box cat /tmp/z)" z
	user stop -t 0 box
	assert_contains "$(user diff box)" "A /root/y"
	user cp box:/root/y y
	user cp box:/root - | tar -t >list
	assert_contains "$(cat list)" y
	assert_contains "$(user export box | tar -t)" root/y
	assert_eq "$(cat home/y)" y
	assert_runs user rm box
	assert_runs user volume rm data
	assert_eq "$(find home/.local/share/brig/images/containers home/.local/share/brig/images/trash -mindepth 1)" ""
}

test_host_is_out_of_reach() {
	user_make
	host_canary_begin
	assert_fails user run --rm --network none -v "$TEST_DIR/canary:/c" busybox sh -c 'echo bad >/c/file'
	assert_fails user run --rm --network none --privileged busybox sh -c 'echo 1 >/proc/sys/kernel/panic'
	assert_eq "$(cat canary/file)" precious
}

test_without_subordinate_ids() {
	user_make
	umount /etc/subuid /etc/subgid
	assert_eq "$(user run --rm --network none busybox id -u)" 0
}

# Root of somebody's user namespace, as in a container of another engine: not all ids are there
test_root_of_a_user_namespace() {
	mkfifo go
	cat >inner <<-SCRIPT
		brig() { '$BRIG' --root '$TEST_DIR/data' --runroot '$TEST_DIR/run' "\$@"; }
		brig run --rm --network none busybox cat /proc/self/uid_map
		brig run --rm --network none -u 33 busybox id -u
		brig run -d --network none --name box busybox sleep 100
		brig exec box id -u
		brig rm -f box
	SCRIPT
	unshare --user bash -c "read <go; exec setpriv --reuid 0 --regid 0 --clear-groups \
		unshare --mount --pid --fork --mount-proc bash -e inner" >out &
	wait_for 10 bash -c "[ \"\$(readlink /proc/$!/ns/user)\" != \"\$(readlink /proc/self/ns/user)\" ]"
	echo 0 0 65536 >/proc/$!/gid_map
	echo 0 0 65536 >/proc/$!/uid_map
	echo >go
	wait $!
	assert_eq "$(sed -n '1,2p;4p' out | xargs)" "0 0 65536 33 0"
}
