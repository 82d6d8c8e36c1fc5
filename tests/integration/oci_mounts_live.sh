#!/bin/bash
# where: host
# mounts add and mounts remove: mounts of a container that runs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

inside() {
	oci exec "$ID" "$@" </dev/null
}

test_directory_file_and_new_file_systems() {
	mkdir "$TEST_DIR/data" && echo one >"$TEST_DIR/data/file"
	start_sh 'sleep 60'
	assert_runs oci mounts add "$ID" - <<<"[
		{\"destination\":\"/data\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\",\"ro\",\"nosuid\"]},
		{\"destination\":\"/etc/some/file\",\"source\":\"$TEST_DIR/data/file\",\"options\":[\"bind\"]},
		{\"destination\":\"/scratch\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"size=64k\",\"mode=0700\"]},
		{\"destination\":\"/proc2\",\"type\":\"proc\",\"source\":\"proc\"}]"
	assert_eq "$output$errors" ""
	assert_eq "$(inside cat /data/file)" one
	assert_eq "$(inside cat /etc/some/file)" one
	assert_fails inside sh -c 'echo two > /data/file'
	assert_matches "$(inside grep ' /data ' /proc/self/mountinfo)" ' ro,nosuid'
	assert_eq "$(inside stat -c %a /scratch)" 700
	# The container's own processes, and not the host's.
	assert_eq "$(inside cat /proc2/1/comm)" sleep
	assert_not_contains "$(cat /proc/self/mountinfo)" "$TEST_DIR/bundle"
	echo '[{"destination":"/data"},{"destination":"/scratch"},{"destination":"/proc2"}]' >"$TEST_DIR/list"
	oci mounts remove "$ID" "$TEST_DIR/list"
	assert_eq "$(inside sh -c 'ls /data /scratch /proc2 | grep -c .')" 3
	assert_eq "$(inside cat /etc/some/file)" one
	assert_contains "$(cat "$TEST_DIR/data/file")" one
}

test_in_every_state() {
	mkdir "$TEST_DIR/data"
	create_sh 'ls -d /data /more; sleep 60'
	local list="[{\"destination\":\"/data\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]}]"
	oci mounts add "$ID" - <<<"$list"
	oci start "$ID"
	wait_until grep -q '^/data' "$BUNDLE/out"
	oci pause "$ID"
	oci mounts add "$ID" - <<<"${list/data/more}"
	oci resume "$ID"
	assert_eq "$(inside ls -d /more)" /more
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	expect_failure oci mounts remove "$ID" <(echo "$list")
	assert_contains "$ERROR" "container not running"
}

test_all_or_none() {
	mkdir "$TEST_DIR/data"
	start_sh 'touch /file; sleep 60'
	local before
	before=$(inside cat /proc/1/mountinfo | wc -l)
	expect_failure oci mounts add "$ID" <(echo "[
		{\"destination\":\"/a\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]},
		{\"destination\":\"/b\",\"type\":\"tmpfs\",\"source\":\"t\"},
		{\"destination\":\"/file/c\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]}]")
	assert_contains "$ERROR" "mounts: /file/c: "
	expect_failure oci mounts add "$ID" <(echo '[{"destination":"/b","type":"tmpfs"},{"destination":"/a","source":"/nonexistent","options":["bind"]}]')
	assert_contains "$ERROR" /nonexistent
	assert_eq "$(inside cat /proc/1/mountinfo | wc -l)" "$before"
}

test_user_namespace() {
	mkdir "$TEST_DIR/data" && chmod 755 "$TEST_DIR/data" && echo one >"$TEST_DIR/data/file"
	start_sh 'sleep 60' "$(namespace_filter user)" \
		'.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":1000}] | .linux.gidMappings=.linux.uidMappings' \
		'.root.readonly = true'
	oci mounts add "$ID" - <<<"[{\"destination\":\"/tmp\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\",\"ro\"]},
		{\"destination\":\"/run\",\"type\":\"tmpfs\",\"source\":\"t\"}]"
	assert_eq "$(inside cat /tmp/file)" one
	assert_eq "$(inside stat -c %u /run)" 0
}

test_refusals() {
	start_sh 'ln -s /proc /link; mkdir /dir; sleep 60' '.linux.maskedPaths=["/proc/kcore"]'
	expect_failure oci mounts add none <(echo '[]')
	assert_contains "$ERROR" "does not exist"
	expect_failure oci mounts add "$ID" <(echo '{}')
	assert_contains "$ERROR" array
	expect_failure oci mounts add "$ID" <(echo '[{"destination":"/x","type":"tmpfs","options":["nosuchoption=1"]}]')
	assert_contains "$ERROR" nosuchoption
	expect_failure oci mounts add "$ID" <(echo '[{"destination":"/dev","type":"tmpfs"}]')
	assert_contains "$ERROR" "/dev was filled"
	expect_failure oci mounts remove "$ID" <(echo '[{"destination":"/"}]')
	assert_contains "$ERROR" destination
	expect_failure oci mounts remove "$ID" <(echo '[{"destination":"/dir"}]')
	assert_contains "$ERROR" "nothing is mounted"
	# What a link leads to stays hidden.
	expect_failure oci mounts remove "$ID" <(echo '[{"destination":"/link/kcore"}]')
	assert_contains "$ERROR" "symbolic link"
	assert_eq "$(inside sh -c 'head -c 1 /proc/kcore | wc -c')" 0
}
