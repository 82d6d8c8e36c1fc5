#!/bin/bash
# Section E: cgroups, annotations, hooks, configuration.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

need_cgroup2() {
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || skip "no cgroup v2 here"
}

CGROUP_MOUNT='.mounts |= (map(select(.destination != "/sys/fs/cgroup")) + [{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["rw"]}])'

test_E1_the_parent_cgroup_is_out_of_reach() {
	need_cgroup2
	host_canary_begin
	# With a namespace the container sees its own cgroup as the root, and writing upwards does nothing.
	run_sh 'cat /proc/self/cgroup; mkdir /sys/fs/cgroup/../escape 2>/dev/null; echo 0 > /sys/fs/cgroup/../cgroup.procs 2>/dev/null; grep " /sys/fs/cgroup " /proc/self/mountinfo' \
		"$(namespace_filter cgroup)" "$CGROUP_MOUNT" >"$TEST_DIR/out" || :
	assert_contains "$(cat "$TEST_DIR/out")" "0::/"
	assert_eq "$(find /sys/fs/cgroup -maxdepth 4 -name escape)" ""
	host_canary_check
}

test_E1_without_a_namespace_it_is_read_only() {
	need_cgroup2
	assert_eq "$(run_sh '{ mkdir /sys/fs/cgroup/escape; } 2>/dev/null || echo refused' \
		'.linux.namespaces |= map(select(.type != "cgroup"))' "$CGROUP_MOUNT" || echo refused)" refused
	assert_eq "$(find /sys/fs/cgroup -maxdepth 4 -name escape)" ""
}

test_E2_cgroup_paths_do_not_climb() {
	need_cgroup2
	host_canary_begin
	local path
	for path in ../x ../../x /../x /a/../../x a/../../../x ./../x "/a/./../../.." /.. .. // "/a//../.." $'/a\nb' "/$(printf 'x%.0s' {1..300})"; do
		next_container
		bundle_sh "$BUNDLE" true ".linux.cgroupsPath=$(json_string "$path")"
		run oci run --bundle "$BUNDLE" "$ID"
		oci delete --force "$ID"
		assert_nothing_left "$path"
	done
	host_canary_check
}

test_E2_exec_cgroup_does_not_climb() {
	need_cgroup2
	start_sh 'sleep 60'
	local path
	for path in .. ../.. /.. a/../.. /proc; do
		expect_failure oci exec --cgroup "$path" "$ID" true
	done
}

test_E3_only_sysctls_of_own_namespaces() {
	host_canary_begin
	local before name value
	before=$(cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/panic)
	for name in kernel.core_pattern kernel.modprobe kernel.panic vm.overcommit_memory fs.file-max \
		user.max_user_namespaces dev.raid.speed_limit_max kernel.shm_rmid_forced/../core_pattern kernel.shmmax,kernel.panic; do
		expect_failure run_sh true ".linux.sysctl={\"$name\":\"1\"}"
		assert_contains "$ERROR" "${name%%/*}"
	done
	for name in kernel.shmmax kernel.msgmax fs.mqueue.msg_max; do
		expect_failure run_sh true ".linux.sysctl={\"$name\":\"65536\"}" '.linux.namespaces |= map(select(.type != "ipc"))'
	done
	# A value that smuggles a second line or name.
	expect_failure run_sh true ".linux.sysctl={\"kernel.shm_rmid_forced\":\"1+kernel.core_pattern=|/evil\"}"
	value=$(cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/panic)
	assert_eq "$value" "$before"
	host_canary_check
}

test_E3_cgroup_v1_is_refused() {
	expect_failure run_sh true '.mounts += [{"destination":"/v1","type":"cgroup","source":"cgroup","options":["memory","release_agent=/evil"]}]'
	assert_nothing_left
}

test_E4_hostile_annotations() {
	host_canary_begin
	local key before
	before=$(find /sys/fs/cgroup -maxdepth 3 -type d 2>/dev/null | sort | sha256sum)
	for key in run.oci.hooks.stderr run.oci.hooks.stdout run.oci.handler run.oci.systemd.subgroup run.oci.delegate-cgroup \
		run.oci.keep_original_groups run.oci.mount_context_type module.wasm.image/variant org.systemd.property.ExecStopPost \
		run.oci.seccomp.receiver run.oci.seccomp_bpf_data run.oci.seccomp_fail_unknown_syscall io.podman.annotations.privileged; do
		next_container
		bundle_sh "$BUNDLE" 'grep -E "^(Groups|CapEff|NoNewPrivs)" /proc/self/status' \
			".annotations={\"$key\":\"$TEST_DIR/canary/file\"}" "$(caps_filter CAP_KILL)"
		run oci run --bundle "$BUNDLE" "$ID"
		[ "$status" != 0 ] || assert_contains "$output" "$(cap_mask 5)" "$key"
		oci delete --force "$ID"
		host_canary_check
	done
	assert_eq "$(find /sys/fs/cgroup -maxdepth 3 -type d 2>/dev/null | sort | sha256sum)" "$before"
}

test_E5_hooks_do_not_get_the_containers_environment() {
	next_container
	bundle_sh "$BUNDLE" true '.process.env += ["LD_PRELOAD=/evil.so","LD_LIBRARY_PATH=/evil","BASH_ENV=/evil.sh","ENV=/evil.sh","EVIL=1"]' \
		"$(for kind in prestart createRuntime createContainer poststart poststop; do
			printf '.hooks.%s=[{"path":"/bin/sh","args":["sh","-c","env > %s/%s; pwd >> %s/%s; cat > /dev/null"]}] | ' "$kind" "$TEST_DIR" "env-$kind" "$TEST_DIR" "env-$kind"
		done) ."
	oci run --bundle "$BUNDLE" "$ID" </dev/null
	local file
	for file in "$TEST_DIR"/env-*; do
		assert_not_contains "$(cat "$file")" evil "$file"
		assert_not_contains "$(cat "$file")" EVIL "$file"
	done
	[ "$(ls "$TEST_DIR"/env-* | wc -l)" = 5 ] || fail "not every hook ran"
}

test_E6_huge_lists() {
	run_sh true '.linux.uidMappings=[range(250) | {containerID: ., hostID: (100000 + . * 2), size: 1}] | .linux.gidMappings=.linux.uidMappings' \
		"$(namespace_filter user)" || fail "the kernel takes that many"
	expect_failure run_sh true '.linux.uidMappings=[range(5000) | {containerID: ., hostID: (100000 + . * 2), size: 1}] | .linux.gidMappings=.linux.uidMappings' \
		"$(namespace_filter user)"
	assert_eq "$(run_sh 'echo fine' '.annotations=([range(20000) | {key: "key.\(.)", value: ("v" * 20)}] | from_entries)')" fine
	assert_eq "$(run_sh 'echo $LAST' '.process.env += ([range(5000) | "V\(.)=\(.)"] + ["LAST=5000"])')" 5000
	assert_eq "$(run_sh 'ls /t | wc -l' '.mounts += [range(200) | {destination: "/t/\(.)", type: "tmpfs", source: "t"}]')" 200
	expect_failure run_sh true ".mounts += [{\"destination\":\"/$(printf 'a%.0s' {1..5000})\",\"type\":\"tmpfs\",\"source\":\"t\"}]"
	expect_failure run_sh true ".hostname=\"$(printf 'a%.0s' {1..300})\""
	assert_nothing_left
}

test_E6_deep_json() {
	next_container
	bundle_make "$BUNDLE"
	{
		printf '{"ociVersion":"1.0.2","annotations":'
		printf '[%.0s' $(seq 100000)
	} >"$BUNDLE/config.json"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	truncate -s 3G "$BUNDLE/config.json"
	expect_failure timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$BUNDLE" "$ID"
	assert_ne "$CODE" 124
}
