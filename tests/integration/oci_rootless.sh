#!/bin/bash
# As an ordinary user: with a user namespace of the container's own, without subordinate ids.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# The configuration that `spec --rootless` is for: one id, no network of the host's root.
ROOTLESS='.linux.uidMappings=[{"containerID":0,"hostID":1000,"size":1}] |
	.linux.gidMappings=[{"containerID":0,"hostID":1000,"size":1}] |
	.linux.namespaces |= (map(select(.type != "network" and .type != "user")) + [{"type":"user"}]) |
	.mounts |= map(select(.type != "sysfs" and .type != "cgroup")) | .mounts |= map(.options |= (. // [] | map(select(startswith("gid=") | not)))) |
	del(.linux.resources) | .process.user={"uid":0,"gid":0}'

rootless_oci() {
	unprivileged env XDG_RUNTIME_DIR="$TEST_DIR/run" "$BRIG_OCI" --root "$TEST_DIR/run/state" "$@"
}

rootless_bundle() {
	local script=$1
	shift
	next_container
	bundle_sh "$BUNDLE" "$script" "$ROOTLESS" "$@"
	mkdir -p "$TEST_DIR/run"
	chown -R 1000:1000 "$BUNDLE" "$TEST_DIR/run"
	chmod 711 "$TEST_DIR"
}

run_rootless() {
	rootless_bundle "$@"
	rootless_oci run --bundle "$BUNDLE" "$ID" </dev/null
}

test_runs() {
	assert_eq "$(run_rootless 'id -u; tr -s " " < /proc/self/uid_map; echo done' | tr '\n' '|')" "0| 0 1000 1|done|"
}

test_lifecycle() {
	rootless_bundle 'sleep 60'
	rootless_oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null >/dev/null 2>&1
	assert_eq "$(stat -c %u "/proc/$(cat "$BUNDLE/pid")")" 1000
	rootless_oci start "$ID"
	assert_eq "$(rootless_oci exec "$ID" id -u)" 0
	assert_eq "$(rootless_oci state "$ID" | jq -r .status)" running
	rootless_oci kill "$ID" KILL
	stopped() { [ "$(rootless_oci state "$ID" | jq -r .status)" = stopped ]; }
	wait_until stopped
	rootless_oci delete "$ID"
	[ -z "$(ls -A "$TEST_DIR/run/state")" ] || assert_eq "$(rootless_oci list -q)" ""
}

test_default_root_is_in_the_runtime_directory() {
	rootless_bundle 'exit 5'
	local code=0
	unprivileged env XDG_RUNTIME_DIR="$TEST_DIR/run" "$BRIG_OCI" run --bundle "$BUNDLE" "$ID" </dev/null || code=$?
	assert_eq "$code" 5
	[ -n "$(ls -A "$TEST_DIR/run")" ] || fail "the state was somewhere else"
}

test_sysfs_of_the_host_s_network_is_read_only() {
	local options
	options=$(run_rootless "awk '\$5 ~ \"^/sys\" { print \$6 }' /proc/self/mountinfo" '.mounts += [{"destination":"/sys","type":"sysfs","source":"sysfs"}]')
	# With what is mounted beneath it.
	[ "$(wc -l <<<"$options")" -gt 1 ] || fail "no mounts beneath /sys: $options"
	assert_eq "$(grep -v '^ro' <<<"$options")" ""
}

# As rootless podman calls: root, but only of its own user namespace.
test_default_root_of_a_user_namespace_s_root() {
	mkdir "$TEST_DIR/run"
	chown 1000:1000 "$TEST_DIR/run"
	assert_runs unprivileged unshare --user --map-root-user env XDG_RUNTIME_DIR="$TEST_DIR/run" "$BRIG_OCI" list
	assert_file "$TEST_DIR/run/brig-oci"
}

test_groups_are_kept_from_being_dropped() {
	assert_eq "$(run_rootless 'cat /proc/self/setgroups')" deny
	rootless_bundle true '.process.user.additionalGids=[5]'
	expect_failure rootless_oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" additionalGids
}

test_without_a_user_namespace_is_refused_plainly() {
	rootless_bundle true '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
	expect_failure rootless_oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "user namespace"
}

test_limits_that_cannot_be_set_are_an_error() {
	rootless_bundle true '.linux.resources={"memory":{"limit":16777216}}'
	run rootless_oci create --bundle "$BUNDLE" "$ID"
	# Either delegated, and then set, or refused: never silently ignored.
	if [ "$status" = 0 ]; then
		PID=$(rootless_oci state "$ID" | jq .pid)
		assert_eq "$(cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")/memory.max")" 16777216
		rootless_oci delete --force "$ID"
	else
		assert_contains "$errors" cgroup
	fi
}

test_another_user_s_container_is_out_of_reach() {
	rootless_bundle 'sleep 60'
	rootless_oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	expect_failure setpriv --reuid=1001 --regid=1001 --clear-groups -- "$BRIG_OCI" --root "$TEST_DIR/run/state" kill "$ID" KILL
	assert_eq "$(rootless_oci state "$ID" | jq -r .status)" created
	rootless_oci delete --force "$ID"
}

test_state_directory_is_private() {
	rootless_bundle 'sleep 60'
	rootless_oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	assert_eq "$(find "$TEST_DIR/run/state" -perm /022 ! -type l)" ""
	rootless_oci delete --force "$ID"
}

test_spec_rootless_runs() {
	rootless_bundle true
	rm "$BUNDLE/config.json"
	unprivileged "$BRIG_OCI" spec --rootless --bundle "$BUNDLE"
	bundle_edit "$BUNDLE" '.process.terminal=false | .process.args=["echo","made"]'
	chown 1000:1000 "$BUNDLE/config.json"
	assert_eq "$(rootless_oci run --bundle "$BUNDLE" "$ID" </dev/null)" made
}
