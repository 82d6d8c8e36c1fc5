#!/bin/bash
# Namespaces: each type, new and by path, and what belongs to them.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

without_filter() {
	printf '.linux.namespaces |= map(select(.type != "%s"))' "$1"
}

# by_path_filter TYPE PATH
by_path_filter() {
	printf '.linux.namespaces |= (map(select(.type != "%s")) + [{"type":"%s","path":"%s"}])' "$1" "$1" "$2"
}

# The name of a type in /proc/PID/ns.
link_name() {
	case $1 in
	network) echo net ;;
	mount) echo mnt ;;
	*) echo "$1" ;;
	esac
}

USERNS='.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":65536}] |
	.linux.gidMappings=[{"containerID":0,"hostID":200000,"size":65536}]'

test_each_type_new() {
	local type link
	for type in pid network ipc uts mount cgroup time; do
		link=$(link_name "$type")
		[ -e "/proc/self/ns/$link" ] || continue
		assert_ne "$(run_sh "readlink /proc/self/ns/$link" "$(namespace_filter "$type")")" \
			"$(readlink "/proc/self/ns/$link")" "$type"
	done
}

test_each_type_of_the_runtime_when_left_out() {
	local type link
	for type in ipc uts cgroup time; do
		link=$(link_name "$type")
		[ -e "/proc/self/ns/$link" ] || continue
		assert_eq "$(run_sh "readlink /proc/self/ns/$link" "$(without_filter "$type")" 'del(.hostname)')" \
			"$(readlink "/proc/self/ns/$link")" "$type"
	done
}

test_each_type_by_path() {
	local type link wanted
	for type in ipc uts network cgroup; do
		link=$(link_name "$type")
		unshare "--$link" sleep 60 &
		local owner=$!
		different() { [ "$(readlink "/proc/$owner/ns/$link")" != "$(readlink "/proc/self/ns/$link")" ]; }
		wait_until different
		wanted=$(readlink "/proc/$owner/ns/$link")
		assert_eq "$(run_sh "readlink /proc/self/ns/$link" 'del(.hostname)' \
			"$(by_path_filter "$type" "/proc/$owner/ns/$link")")" "$wanted" "$type"
		kill "$owner"
		wait "$owner" || :
	done
}

# own_mounts: a process OWNER with a mount namespace of its own, which is a copy of this one
own_mounts() {
	unshare --mount sleep 600 &
	OWNER=$!
	MOUNTS=/proc/$OWNER/ns/mnt
	other_mounts() { [ "$(readlink "$MOUNTS")" != "$(readlink /proc/self/ns/mnt)" ]; }
	wait_until other_mounts
}

ours_in_mounts() {
	nsenter --mount="$MOUNTS" grep -c " $TEST_DIR/bundle" /proc/self/mountinfo || :
}

test_mount_namespace_by_path() {
	local root before
	own_mounts
	before=$(nsenter --mount="$MOUNTS" cat /proc/self/mountinfo)
	start_sh 'sleep 60' "$(by_path_filter mount "$MOUNTS")" "$(namespace_filter pid)"
	assert_eq "$(readlink "/proc/$PID/ns/mnt")" "$(readlink "$MOUNTS")"
	assert_eq "$(readlink "/proc/$PID/root")" "$BUNDLE/rootfs"
	echo own >"$BUNDLE/rootfs/tmp/file"
	# exec comes to the container's root, not to the namespace's.
	assert_eq "$(oci exec --cwd /tmp "$ID" sh -c 'cat file /tmp/file; pwd; readlink /proc/self/ns/mnt' | tr '\n' ' ')" \
		"own own /tmp $(readlink "$MOUNTS") "
	mkdir "$TEST_DIR/data" && echo shown >"$TEST_DIR/data/file"
	echo '[{"destination":"/data","type":"bind","source":"'"$TEST_DIR"'/data","options":["bind"]}]' >"$TEST_DIR/add.json"
	oci mounts add "$ID" "$TEST_DIR/add.json"
	assert_eq "$(oci exec "$ID" cat /data/file)" shown
	# Whoever was there first stays where he was, and sees the container's mounts.
	assert_eq "$(readlink "/proc/$OWNER/root")" /
	[ "$(ours_in_mounts)" -gt 3 ] || fail "mounts: $(ours_in_mounts)"
	oci delete --force "$ID"
	assert_eq "$(nsenter --mount="$MOUNTS" cat /proc/self/mountinfo)" "$before"
	assert_eq "$(run_sh 'cat /tmp/x; readlink /proc/self/ns/mnt' "$(by_path_filter mount "$MOUNTS")" 2>/dev/null)" "$(readlink "$MOUNTS")"
	assert_eq "$(ours_in_mounts)" 0 "after run"
	next_container
	bundle_make "$BUNDLE" '.process.args=["/none"]' "$(by_path_filter mount "$MOUNTS")"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_eq "$(ours_in_mounts)" 0 "after a failure"
	kill "$OWNER"
}

# Only what is the container's is taken away: its place may be somebody else's by then.
test_mounts_of_others_in_a_namespace_by_path_stay() {
	own_mounts
	start_sh 'sleep 60' "$(by_path_filter mount "$MOUNTS")"
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	nsenter --mount="$MOUNTS" mount -t tmpfs other "$BUNDLE/rootfs"
	oci delete "$ID"
	assert_eq "$(nsenter --mount="$MOUNTS" grep -c "$BUNDLE/rootfs .* other " /proc/self/mountinfo)" 1
	start_sh 'sleep 60' "$(by_path_filter mount "$MOUNTS")"
	kill "$OWNER"
	wait "$OWNER" || :
	oci delete --force "$ID"
	assert_nothing_left
}

test_mount_namespace_by_path_is_refused() {
	own_mounts
	next_container
	bundle_sh "$BUNDLE" true "$(by_path_filter mount "$MOUNTS")" "$(namespace_filter user)" "$USERNS"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "new user namespace"
	nsenter --mount="$MOUNTS" mount -t tmpfs none "$TEST_DIR"
	next_container
	bundle_sh "$BUNDLE" true "$(by_path_filter mount "$MOUNTS")"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "in the mount namespace $MOUNTS"
	kill "$OWNER"
	assert_nothing_left
}

test_pid_namespace_by_path() {
	start_sh 'sleep 60'
	local first=$ID
	assert_eq "$(run_sh 'readlink /proc/self/ns/pid' "$(by_path_filter pid "/proc/$PID/ns/pid")")" \
		"$(readlink "/proc/$PID/ns/pid")"
	assert_eq "$(run_sh 'cat /proc/1/comm' "$(by_path_filter pid "/proc/$PID/ns/pid")")" sleep
	oci delete --force "$first"
}

test_first_process_is_one() {
	assert_eq "$(run_sh 'echo $$; ls -d /proc/[0-9]* | wc -l' | head -1)" 1
}

test_time_offsets() {
	[ -e /proc/self/ns/time ] || skip "no time namespaces in this kernel"
	local uptime
	uptime=$(run_sh 'cut -d. -f1 /proc/uptime' "$(namespace_filter time)" \
		'.linux.timeOffsets={"boottime":{"secs":1000000},"monotonic":{"secs":5,"nanosecs":7}}')
	[ "$uptime" -ge 1000000 ] || fail "uptime $uptime"
	expect_failure run_sh true '.linux.timeOffsets={"boottime":{"secs":1}}' "$(without_filter time)"
	assert_contains "$ERROR" timeOffsets
}

test_user_namespace_mappings() {
	assert_eq "$(run_sh 'id -u; tr -s " " < /proc/self/uid_map; tr -s " " < /proc/self/gid_map' \
		"$(namespace_filter user)" "$USERNS" | tr '\n' '|')" "0| 0 100000 65536| 0 200000 65536|"
}

test_user_namespace_is_outside_another_user() {
	start_sh 'sleep 60' "$(namespace_filter user)" "$USERNS"
	assert_eq "$(stat -c %u:%g "/proc/$PID")" 100000:200000
	assert_contains "$(proc_status "$PID" Uid)" 100000
	# Several ranges, and a user that is not zero.
	assert_eq "$(run_sh 'id -u; id -g' "$(namespace_filter user)" \
		'.linux.uidMappings=[{"containerID":0,"hostID":1000,"size":1},{"containerID":1,"hostID":100000,"size":100}] |
		 .linux.gidMappings=.linux.uidMappings | .process.user={"uid":50,"gid":51}' | tr '\n' ' ')" "50 51 "
}

test_user_namespace_owns_the_others() {
	# What the container's root may do in namespaces of its own, and not in the host's.
	assert_eq "$(run_sh 'hostname changed && hostname; mount -t tmpfs t /tmp && echo mounted' \
		"$(namespace_filter user)" "$USERNS" "$(caps_filter CAP_SYS_ADMIN)" | tr '\n' ' ')" "changed mounted "
}

test_user_namespace_needs_mappings() {
	expect_failure run_sh true "$(namespace_filter user)"
	assert_contains "$ERROR" apping
	expect_failure run_sh true "$USERNS" "$(without_filter user)"
	assert_contains "$ERROR" apping
}

test_user_namespace_by_path() {
	start_sh 'sleep 60' "$(namespace_filter user)" "$USERNS"
	local first=$ID
	assert_eq "$(run_sh 'readlink /proc/self/ns/user' "$(by_path_filter user "/proc/$PID/ns/user")" \
		"$(namespace_filter network)")" "$(readlink "/proc/$PID/ns/user")"
	oci delete --force "$first"
}

test_network_has_loopback_up() {
	assert_contains "$(run_sh 'cat /sys/class/net/lo/operstate; ip addr show lo' "$(namespace_filter network)")" 127.0.0.1
}

test_net_devices_move_in() {
	ip link add brigdummy type dummy 2>/dev/null || skip "no dummy links in this kernel"
	ip addr add 192.0.2.7/24 dev brigdummy
	ip link set brigdummy up
	create_sh 'ip addr' "$(namespace_filter network)" '.linux.netDevices={"brigdummy":{"name":"eth7"}}'
	[ ! -e /sys/class/net/brigdummy ] || fail "still here"
	oci start "$ID"
	wait_status "$ID" stopped
	assert_contains "$(cat "$BUNDLE/out")" eth7
	assert_contains "$(cat "$BUNDLE/out")" 192.0.2.7/24
}

test_net_device_errors() {
	expect_failure run_sh true "$(namespace_filter network)" '.linux.netDevices={"nodevice":{}}'
	assert_contains "$ERROR" nodevice
	assert_nothing_left
}

test_net_devices_go_back_when_nothing_comes_of_it() {
	ip link add brigdummy type dummy 2>/dev/null || ip link add brigdummy type veth peer name brigpeer ||
		skip "no links can be made here"
	ip addr add 192.0.2.7/24 dev brigdummy
	ip link set brigdummy up
	# What fails comes after the move.
	expect_failure run_sh true "$(namespace_filter network)" '.linux.netDevices={"brigdummy":{"name":"eth7"}}' \
		'.process.args=["/no/such/program"]'
	assert_contains "$ERROR" /no/such/program
	assert_contains "$(ip addr show brigdummy)" 192.0.2.7/24
	assert_contains "$(ip link show brigdummy)" ,UP
	expect_failure run_sh true "$(namespace_filter network)" '.linux.netDevices={"brigdummy":{"name":"lo"}}'
	assert_contains "$ERROR" "linux.netDevices: brigdummy: "
	assert_contains "$(ip addr show brigdummy)" 192.0.2.7/24
	assert_nothing_left
}

test_net_devices_into_a_namespace_by_path() {
	ip link add brigdummy type dummy 2>/dev/null || ip link add brigdummy type veth peer name brigpeer ||
		skip "no links can be made here"
	start_sh 'sleep 60' "$(namespace_filter network)"
	local first=$ID
	assert_contains "$(run_sh 'ls /sys/class/net' "$(by_path_filter network "/proc/$PID/ns/net")" \
		'.linux.netDevices={"brigdummy":{"name":"eth%d"}}')" eth0
	oci delete --force "$first"
}

test_bad_paths() {
	expect_failure run_sh true "$(by_path_filter ipc /proc/self/ns/uts)"
	assert_contains "$ERROR" /proc/self/ns/uts
	expect_failure run_sh true "$(by_path_filter ipc /nonexistent/ns)"
	assert_contains "$ERROR" /nonexistent/ns
	expect_failure run_sh true "$(by_path_filter ipc /dev/null)"
	assert_contains "$ERROR" /dev/null
	expect_failure run_sh true '.linux.namespaces += [{"type":"ipc"}]'
	assert_contains "$ERROR" ipc
	assert_nothing_left
}

test_hostname_needs_its_own_namespace() {
	expect_failure run_sh true '.hostname="x"' "$(without_filter uts)"
	assert_contains "$ERROR" hostname
}

# pivot_root(2) there changes the root of a process; whoever joins comes to the namespace's.
test_a_caller_in_a_chroot() {
	local before
	mkdir "$TEST_DIR/root"
	mount --rbind / "$TEST_DIR/root"
	# As systemd makes them: what goes in the container's namespace must not go here.
	mount --make-rshared /
	before=$(wc -l </proc/self/mountinfo)
	next_container
	bundle_sh "$BUNDLE" 'touch /here; sleep 1000'
	chroot "$TEST_DIR/root" "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" \
		"$ID" </dev/null >/dev/null 2>&1
	oci start "$ID"
	wait_until test -e "$BUNDLE/rootfs/here"
	assert_eq "$(chroot "$TEST_DIR/root" "$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" ls /here)" /here
	assert_eq "$(oci exec "$ID" ls /here)" /here
	assert_eq "$(nsenter --mount="/proc/$(cat "$BUNDLE/pid")/ns/mnt" /bin/busybox ls /here)" /here
	oci delete --force "$ID"
	assert_eq "$(wc -l </proc/self/mountinfo)" "$before" "mounts of the host"
	mount --make-rprivate /
	umount -R "$TEST_DIR/root"
}
