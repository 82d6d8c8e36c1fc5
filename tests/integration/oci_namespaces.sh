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
