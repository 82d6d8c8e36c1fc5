#!/bin/bash
# where: vm
# Cgroups: each controller's values on create and on update, devices, freezing, paths, ownership.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# The directory of the container's cgroup.
cgroup_dir() {
	echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")"
}

# file_is NAME VALUE: of the container's cgroup
file_is() {
	assert_eq "$(cat "$(cgroup_dir)/$1")" "$2" "$1"
}

test_controllers_are_switched_on_in_parents_that_were_there() {
	mkdir -p /sys/fs/cgroup/brig-old/a
	create_sh 'sleep 60' '.linux.cgroupsPath="/brig-old/a/b" | .linux.resources.pids.limit=77'
	file_is pids.max 77
	# For statistics, without being asked for.
	assert_contains "$(cat "$(cgroup_dir)/cgroup.controllers")" memory
	oci delete --force "$ID"
	# The next one finds all of it as it should be.
	create_sh 'sleep 60' '.linux.cgroupsPath="/brig-old/a/b" | .linux.resources.pids.limit=78'
	file_is pids.max 78
	oci delete --force "$ID"
	rmdir /sys/fs/cgroup/brig-old/a /sys/fs/cgroup/brig-old
}

test_path_of_the_config() {
	create_sh 'sleep 60' '.linux.cgroupsPath="/brig-a/b"'
	assert_contains "$(cgroup_dir)" /brig-a/b
	oci delete --force "$ID"
	[ ! -d /sys/fs/cgroup/brig-a/b ] || fail "left behind"
	rmdir /sys/fs/cgroup/brig-a 2>/dev/null || :
}

test_a_cgroup_of_its_own_to_manage() {
	create_sh 'sleep 60' '.annotations={"run.oci.delegate-cgroup":"payload"}' '.linux.cgroupsPath="/brig-delegated"' \
		'.linux.resources.pids={"limit":50}' '.mounts |= map(if .type == "cgroup" then .options -= ["ro"] else . end)'
	assert_eq "$(cgroup_dir)" /sys/fs/cgroup/brig-delegated/payload
	assert_eq "$(cat /sys/fs/cgroup/brig-delegated/pids.max)" 50
	oci start "$ID"
	oci exec "$ID" sh -c 'mkdir /sys/fs/cgroup/inner && echo 0 >/sys/fs/cgroup/inner/cgroup.procs && test ! -e /sys/fs/cgroup/payload'
	assert_file /sys/fs/cgroup/brig-delegated/payload/inner
	oci delete --force "$ID"
	assert_no_file /sys/fs/cgroup/brig-delegated
}

test_default_and_relative_path() {
	create_sh 'sleep 60'
	assert_contains "$(cgroup_dir)" "$ID"
	oci delete --force "$ID"
	create_sh 'sleep 60' '.linux.cgroupsPath="rel"'
	assert_contains "$(cgroup_dir)" rel
}

test_memory() {
	need_cgroup_controller memory
	create_sh 'sleep 60' '.linux.resources.memory={"limit":33554432,"reservation":16777216,"swap":67108864}'
	file_is memory.max 33554432
	file_is memory.low 16777216
	[ ! -e "$(cgroup_dir)/memory.swap.max" ] || file_is memory.swap.max 33554432
	oci update --memory 64m --memory-swap 64m "$ID"
	file_is memory.max 67108864
	[ ! -e "$(cgroup_dir)/memory.swap.max" ] || file_is memory.swap.max 0
	oci update --memory -1 --memory-swap -1 "$ID"
	file_is memory.max max
	oci update --memory-reservation 8m "$ID"
	file_is memory.low 8388608
}

test_check_before_update() {
	need_cgroup_controller memory
	start_sh 'dd if=/dev/zero of=/dev/shm/f bs=1M count=8 2>/dev/null; echo ready; sleep 60'
	wait_until grep -q ready "$BUNDLE/out"
	echo '{"memory":{"limit":1048576,"checkBeforeUpdate":true}}' >"$TEST_DIR/r.json"
	expect_failure oci update --resources "$TEST_DIR/r.json" "$ID"
	assert_contains "$ERROR" memory
	file_is memory.max max
}

test_cpu() {
	need_cgroup_controller cpu
	create_sh 'sleep 60' '.linux.resources.cpu={"shares":512,"quota":50000,"period":100000}'
	file_is cpu.max "50000 100000"
	local weight
	weight=$(cat "$(cgroup_dir)/cpu.weight")
	[ "$weight" -ge 20 ] && [ "$weight" -le 60 ] || fail "cpu.weight is $weight for 512 shares"
	oci update --cpu-quota 20000 "$ID"
	file_is cpu.max "20000 100000"
	oci update --cpu-period 50000 --cpu-quota=-1 "$ID"
	file_is cpu.max "max 50000"
	oci update --cpu-share 1024 "$ID"
	[ "$(cat "$(cgroup_dir)/cpu.weight")" -gt "$weight" ] || fail "the weight did not grow"
	oci update --cpu-idle 1 "$ID"
	file_is cpu.idle 1
}

test_cpu_burst() {
	need_cgroup_controller cpu
	create_sh 'sleep 60' '.linux.resources.cpu={"quota":50000,"period":100000,"burst":10000}'
	file_is cpu.max.burst 10000
	oci update --cpu-burst 5000 "$ID"
	file_is cpu.max.burst 5000
}

test_cpuset() {
	need_cgroup_controller cpuset
	create_sh 'sleep 60' '.linux.resources.cpu={"cpus":"0","mems":"0"}'
	file_is cpuset.cpus 0
	file_is cpuset.mems 0
	assert_eq "$(proc_status "$PID" Cpus_allowed_list)" 0
	[ "$(nproc)" = 1 ] || {
		oci update --cpuset-cpus 1 "$ID"
		file_is cpuset.cpus 1
	}
	expect_failure oci update --cpuset-cpus 9999 "$ID"
	assert_contains "$ERROR" cpuset.cpus
	oci update --cpuset-mems 0 "$ID"
	file_is cpuset.mems 0
	expect_failure oci update --cpuset-mems 63 "$ID"
	assert_contains "$ERROR" cpuset.mems
}

test_pids() {
	need_cgroup_controller pids
	create_sh 'sleep 60' '.linux.resources.pids={"limit":9}'
	file_is pids.max 9
	oci update --pids-limit 20 "$ID"
	file_is pids.max 20
	oci update --pids-limit=-1 "$ID"
	file_is pids.max max
	assert_contains "$(run_sh 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait' '.linux.resources.pids={"limit":3}' 2>&1 || :)" "fork"
}

test_io() {
	need_cgroup_controller io
	local device before
	block_device
	device="\"major\":${DEVICE%:*},\"minor\":${DEVICE#*:}"
	create_sh 'dd if=/dev/zero of=/dev/disk bs=256k count=16 oflag=direct; echo wrote' \
		".linux.devices=[{\"path\":\"/dev/disk\",\"type\":\"b\",$device}]" \
		".linux.resources.devices=[{\"allow\":true,\"type\":\"b\",$device,\"access\":\"rw\"}]" \
		".linux.resources.blockIO={\"throttleReadBpsDevice\":[{$device,\"rate\":4194304}],
			\"throttleWriteBpsDevice\":[{$device,\"rate\":1048576}],\"throttleWriteIOPSDevice\":[{$device,\"rate\":77}]}"
	assert_contains "$(cat "$(cgroup_dir)/io.max")" "$DEVICE rbps=4194304 wbps=1048576 riops=max wiops=77"
	# 4 MiB at 1 MiB a second: never sooner.
	before=$SECONDS
	oci start "$ID"
	wait_status "$ID" stopped
	assert_contains "$(cat "$BUNDLE/out")" wrote
	[ $((SECONDS - before)) -ge 3 ] || fail "wrote faster than it may"
}

test_hugetlb() {
	need_cgroup_controller hugetlb
	create_sh 'sleep 60' '.linux.resources.hugepageLimits=[{"pageSize":"2MB","limit":4194304}]'
	file_is hugetlb.2MB.max 4194304
	[ ! -e "$(cgroup_dir)/hugetlb.2MB.rsvd.max" ] || file_is hugetlb.2MB.rsvd.max 4194304
}

test_unified() {
	need_cgroup_controller memory
	create_sh 'sleep 60' '.linux.resources.unified={"memory.high":"10485760","cgroup.max.descendants":"7"}'
	file_is memory.high 10485760
	file_is cgroup.max.descendants 7
	oci delete --force "$ID"
	local key
	for key in ../memory.max memory.nosuch cgroup.procs cgroup.kill /etc/passwd memory/x; do
		next_container
		bundle_sh "$BUNDLE" true ".linux.resources.unified={\"$key\":\"1\"}"
		expect_failure oci create --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" "$key"
		assert_nothing_left "$key"
	done
}

test_update_from_file_and_standard_input() {
	need_cgroup_controller pids
	create_sh 'sleep 60'
	echo '{"pids":{"limit":11}}' >"$TEST_DIR/r.json"
	oci update --resources="$TEST_DIR/r.json" "$ID"
	file_is pids.max 11
	echo '{"pids":{"limit":12}}' | oci update --resources - "$ID"
	file_is pids.max 12
	echo '{"pids":{"limit":"x"}}' >"$TEST_DIR/r.json"
	expect_failure oci update --resources "$TEST_DIR/r.json" "$ID"
	assert_contains "$ERROR" limit
	file_is pids.max 12
}

test_devices_denied_by_default() {
	assert_eq "$(run_sh 'mknod /tmp/sda b 8 0 2>/dev/null; cat /tmp/sda 2>&1 | head -c 0; { true < /tmp/sda; } 2>/dev/null || echo denied; echo x > /dev/null && echo null' \
		'.linux.resources.devices=[{"allow":false,"access":"rwm"}]' "$(caps_filter CAP_MKNOD)" | tr '\n' ' ')" "denied null "
	assert_contains "$(run_sh 'mknod /tmp/k c 1 11 && head -c 0 /tmp/k && echo opened' \
		'.linux.resources.devices=[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":11,"access":"rm"}]' \
		"$(caps_filter CAP_MKNOD CAP_SYSLOG)" 2>&1)" opened
}

test_devices_of_update() {
	start_sh 'mknod /tmp/full c 1 7; while ! [ -e /tmp/go ]; do sleep 0.05; done; cat /tmp/full 2>&1 | head -c 20; echo; sleep 60' \
		'.linux.resources.devices=[{"allow":false,"access":"rwm"}]' "$(caps_filter CAP_MKNOD)"
	echo '{"devices":[{"allow":false,"access":"rwm"}]}' | oci update --resources - "$ID"
	assert_eq "$(status_of "$ID")" running
}

test_container_cannot_write_its_own_limits() {
	need_cgroup_controller memory
	assert_eq "$(run_sh '{ echo max > /sys/fs/cgroup/memory.max; } 2>/dev/null || echo refused' "$(namespace_filter cgroup)" \
		'.mounts += [{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["ro"]}]')" refused
}

test_freeze_and_kill_reach_every_process() {
	start_sh 'for i in 1 2 3; do (while :; do sleep 0.05; done) & done; echo ready; wait'
	wait_until grep -q ready "$BUNDLE/out"
	oci pause "$ID"
	assert_contains "$(cat "$(cgroup_dir)/cgroup.events")" "frozen 1"
	# Also what is frozen.
	oci kill --all "$ID" KILL
	oci delete --force "$ID"
	assert_nothing_left
}

test_program_starts_inside_its_cgroup() {
	need_cgroup_controller memory
	# The runtime is not charged: a container this small works.
	next_container
	bundle_make "$BUNDLE" '.process.args=["/bin/busybox","true"]' '.linux.resources.memory={"limit":524288}'
	oci run --bundle "$BUNDLE" "$ID"
	oci delete --force "$ID"
}

test_unknown_controller_values() {
	expect_failure run_sh true '.linux.resources.rdma={"nodevice":{"hcaHandles":3}}'
	assert_contains "$ERROR" rdma
	expect_failure run_sh true '.linux.resources.blockIO={"throttleReadBpsDevice":[{"major":999,"minor":9,"rate":1}]}'
	assert_contains "$ERROR" io.max
	assert_nothing_left
}

test_exec_joins_the_cgroup() {
	start_sh 'sleep 60'
	oci exec --detach --pid-file "$TEST_DIR/pid" "$ID" sleep 50 </dev/null >/dev/null 2>&1
	assert_eq "$(cat "/proc/$(cat "$TEST_DIR/pid")/cgroup")" "$(cat "/proc/$PID/cgroup")"
}
