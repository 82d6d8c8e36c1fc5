#!/bin/bash
# Section H with whole containers: what is planted for those who start a machine, and what each process of a running
# one still has.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# Links in the rootfs, at all that is mounted or read, lead nowhere on the host.
test_H10_planted_links() {
	host_canary_begin
	next_container
	bundle_sh "$BUNDLE" 'echo x >/volume/new; echo x >/link/new; echo x >/dev/new; echo ran; exit 7' \
		'.mounts += [{"destination":"/volume","type":"bind","source":"'"$TEST_DIR"'/canary/empty","options":["bind","ro"]}]'
	ln -s "$TEST_DIR/canary/dir" "$BUNDLE/rootfs/link"
	rm -rf "$BUNDLE/rootfs"/{etc,var,volume}
	for name in etc var volume; do
		ln -s "$TEST_DIR/canary/dir" "$BUNDLE/rootfs/$name"
	done
	run oci run --bundle "$BUNDLE" "$ID"
	assert_contains "7 1 126" "$status" "$errors"
	rm -rf "$BUNDLE/rootfs/dev"
	ln -s "$TEST_DIR/canary/dir" "$BUNDLE/rootfs/dev"
	run oci run --bundle "$BUNDLE" "$ID"
	host_canary_check
}

# The cache is root's alone; a link in it in a file's place is an error, and is not written through.
test_H10_links_in_the_cache() {
	local file
	mount -t tmpfs tmpfs /var/cache/brig/vm 2>/dev/null || { mkdir -p /var/cache/brig/vm && mount -t tmpfs tmpfs /var/cache/brig/vm; }
	assert_eq "$(run_sh 'echo ran')" ran
	assert_eq "$(stat -c %a /var/cache/brig/vm/* | sort -u)" 600
	host_canary_begin
	for file in /var/cache/brig/vm/*; do
		ln -sf "$TEST_DIR/canary/file" "$file"
	done
	run run_sh 'echo ran'
	assert_ne "$status" 0
	assert_contains "$errors" 'symbolic link'
	host_canary_check
}

# field PID NAME: of /proc/PID/status
field() {
	awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"
}

# alone PID NAMESPACE...: they are not the test's
alone() {
	local pid=$1 name
	shift
	for name; do
		assert_ne "$(readlink "/proc/$pid/ns/$name")" "$(readlink "/proc/self/ns/$name")" "the $name namespace of $pid"
	done
}

# ruled PID: a filter on each thread, no new privileges, not dumpable, no core
ruled() {
	local task
	for task in "/proc/$1/task"/*; do
		assert_eq "$(awk '$1 == "Seccomp:" { print $2 }' "$task/status")" 2 "the filter of $task"
		assert_eq "$(awk '$1 == "NoNewPrivs:" { print $2 }' "$task/status")" 1 "$task"
	done
	assert_eq "$(stat -c %U "/proc/$1/maps")" root "$1 is dumpable"
	assert_contains "$(tr -s ' ' <"/proc/$1/limits")" 'Max core file size 0 0'
}

# holds PID PATTERN: every open descriptor is one of those. Of a mount that the process has left, the kernel tells
# names from the mount's root on: /dev/null is known by its number.
holds() {
	local fd target
	for fd in "/proc/$1/fd"/*; do
		target=$(readlink "$fd") || continue
		[ "$(stat -L -c %t:%T "$fd")" != 1:3 ] || target=/dev/null
		grep -qEx "$2" <<<"$target" || fail "process $1 ($(cat "/proc/$1/comm")) holds $target"
	done
}

caps() {
	local set
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		echo -n "$(field "$1" $set) "
	done
}

test_H10_what_each_process_has() {
	local vmm fsd none=0000000000000000 own='socket:.*|pipe:.*|anon_inode:.*|/dev/null|.*/vm\.log|.*/reason'
	start_sh 'echo ready; sleep 600'
	wait_until grep -q ready "$BUNDLE/out"
	vmm=$(pgrep -P "$PID" -f brig-vmm) fsd=$(pgrep -P "$PID" -f brig-fsd)

	ruled "$vmm"
	alone "$vmm" user pid mnt net ipc uts cgroup
	assert_eq "$(caps "$vmm")" "$none $none $none $none $none "
	assert_ne "$(field "$vmm" Uid)" 0
	assert_eq "$(ls -A "/proc/$vmm/root/")" ''
	assert_eq "$(wc -l <"/proc/$vmm/mountinfo")" 1
	assert_contains "$(cut -d ' ' -f 6 "/proc/$vmm/mountinfo")" ro
	holds "$vmm" "$own|/memfd:guest.*|/dev/kvm|/dev/net/tun|anon_inode:kvm-vm.*"

	ruled "$fsd"
	alone "$fsd" pid mnt net ipc uts cgroup
	assert_eq "$((0x$(field "$fsd" CapEff) & ~0x8000001b))" 0 # owners, modes and capabilities of files
	assert_eq "$(field "$fsd" CapBnd)" "$(field "$fsd" CapEff)"
	[ ! -e "/proc/$fsd/root/proc/1" ] && [ ! -e "/proc/$fsd/root/usr/lib/systemd" ] || fail "the file server sees the host's files"

	ruled "$PID"
	assert_eq "$(caps "$PID")" "$none $none $none $none $none "
	assert_ne "$(field "$PID" Uid)" 0
	holds "$PID" "$own|$BUNDLE/.*|/sys/fs/cgroup/.*/memory.max" # which it sets small once, to have the kernel count an OOM

	# In the container's cgroup, all of them.
	for pid in "$vmm" "$fsd" "$PID"; do
		assert_ne "$(cat "/proc/$pid/cgroup")" "$(cat /proc/self/cgroup)" "the cgroup of $pid"
	done

	# None of them may look at another one's memory, and each has its own user.
	assert_ne "$(field "$vmm" Uid)" "$(field "$fsd" Uid)"
	oci delete --force "$ID"
	assert_nothing_left
}
