#!/bin/bash
# Containers whose cgroups systemd makes.
# where: vm-engines
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"
BRIG_OCI=$RUNTIME

# in_slice SCRIPT [FILTER...]: a started container in a scope of system.slice
in_slice() {
	local script=$1
	shift
	next_container
	bundle_sh "$BUNDLE" "$script" ".linux.cgroupsPath = \"system.slice:brig:$ID\"" "$@"
	oci --systemd-cgroup create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null >"$BUNDLE/out" 2>&1 ||
		fail "$(cat "$BUNDLE/out")"
	PID=$(cat "$BUNDLE/pid")
	oci start "$ID"
	unit=brig-$ID.scope
}

test_a_scope_with_its_limits() {
	in_slice 'sleep 300' '.linux.resources = {"memory": {"limit": 67108864}, "pids": {"limit": 40}, "cpu": {"quota": 50000, "period": 100000}}'
	assert_contains "$(cat "/proc/$PID/cgroup")" "/system.slice/$unit"
	assert_eq "$(systemctl is-active "$unit")" active
	assert_eq "$(systemctl show --value --property MemoryMax,TasksMax,CPUQuotaPerSecUSec "$unit" | sort | tr '\n' ' ' | xargs)" "40 500ms 67108864"
	assert_eq "$(cat "/sys/fs/cgroup/system.slice/$unit/memory.max")" 67108864
	systemctl daemon-reload
	assert_eq "$(cat "/sys/fs/cgroup/system.slice/$unit/memory.max")" 67108864 "after daemon-reload"
	assert_eq "$(oci exec "$ID" cat /proc/self/cgroup)" "0::/"
	oci delete --force "$ID"
	run systemctl is-active "$unit"
	assert_ne "$output" active
	assert_no_file "/sys/fs/cgroup/system.slice/$unit"
}

test_the_scope_ends_with_the_container() {
	in_slice 'exit 3'
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_no_file "/sys/fs/cgroup/system.slice/$unit"
	assert_eq "$(systemctl list-units --failed --no-legend "$unit")" ""
}

test_systemd_kills_it() {
	in_slice 'sleep 300'
	systemctl kill --signal KILL "$unit"
	wait_status "$ID" stopped
	oci delete "$ID"
}

test_annotations_set_properties() {
	in_slice 'sleep 300' '.annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 123000000"}'
	assert_eq "$(systemctl show --value --property TimeoutStopUSec "$unit")" 2min\ 3s
}

test_the_cgroup_below_the_scope() {
	in_slice 'sleep 300' '.linux.resources.pids = {limit: 50}'
	assert_matches "$(cat "/proc/$PID/cgroup")" "/$unit/container\$"
	in_slice 'sleep 300' '.annotations = {"run.oci.systemd.subgroup": "named"}' '.linux.resources.pids = {limit: 50}'
	assert_matches "$(cat "/proc/$PID/cgroup")" "/$unit/named\$"
	assert_eq "$(cat "/sys/fs/cgroup/system.slice/$unit/named/pids.max")" 50
	in_slice 'sleep 300' '.annotations = {"run.oci.systemd.subgroup": ""}' '.linux.resources.pids = {limit: 50}'
	assert_matches "$(cat "/proc/$PID/cgroup")" "/$unit\$"
	assert_eq "$(cat "/sys/fs/cgroup/system.slice/$unit/pids.max")" 50
}
