#!/bin/bash
# where: host
# System calls that an older kernel does not have, or a sandbox around us refuses: another way, or one clear error.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# without CALL[:when=N] COMMAND...: brig-oci with that call missing in it and in its children, up to the user's program
without() {
	local call=$1
	shift
	strace -f -b execve -qq -o /dev/null -e "trace=${call%%:*}" -e "inject=${call%%:*}:error=ENOSYS${call#"${call%%:*}"}" \
		"$BRIG_OCI" --root "$TEST_DIR/state" "$@"
}

need_strace() {
	command -v strace >/dev/null || skip "no strace"
}

# From a read-only mount it need not execute a protected image of itself first, where strace lets it go.
protect_image() {
	need_strace
	cp "$BRIG_OCI" "$TEST_DIR/brig-oci"
	mount --bind "$TEST_DIR/brig-oci" "$TEST_DIR/brig-oci"
	mount -o remount,bind,ro "$TEST_DIR/brig-oci"
	BRIG_OCI=$TEST_DIR/brig-oci
}

test_run_is_refused_without_what_it_is_built_on() {
	protect_image
	local call
	for call in openat2 clone3 fsopen fsconfig fsmount open_tree move_mount mount_setattr close_range pivot_root; do
		next_container
		bundle_sh "$BUNDLE" 'echo ran'
		expect_failure without "$call" run --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" "not implemented" "$call"
		assert_eq "$(cat "$TEST_DIR/failed.out")" "" "$call"
		assert_nothing_left "$call"
	done
}

test_verbs_are_refused_without_pidfds() {
	protect_image
	start_sh 'sleep 60'
	expect_failure without pidfd_open state "$ID"
	assert_contains "$ERROR" "not implemented"
	expect_failure without pidfd_send_signal kill "$ID" KILL
	assert_contains "$ERROR" "not implemented"
	assert_eq "$(status_of "$ID")" running
	expect_failure without setns exec "$ID" true
	assert_contains "$ERROR" "not implemented"
}

# The image is protected by a copy where it cannot be by a mount.
test_own_image_is_a_sealed_copy_without_mounts_by_descriptor() {
	need_strace
	local call
	for call in open_tree:when=1 mount_setattr:when=1; do
		next_container
		bundle_sh "$BUNDLE" 'echo ran'
		assert_eq "$(without "$call" run --bundle "$BUNDLE" "$ID" </dev/null)" ran "$call"
	done
}

test_keyrings_are_optional() {
	protect_image
	next_container
	bundle_sh "$BUNDLE" 'echo ran'
	assert_eq "$(without keyctl run --bundle "$BUNDLE" "$ID" </dev/null)" ran
}

test_landlock_is_refused_when_it_was_asked_for() {
	protect_image
	next_container
	bundle_sh "$BUNDLE" 'echo ran' '.annotations={"org.brig.landlock.ro":"/"} | .process.noNewPrivileges=true'
	expect_failure without landlock_create_ruleset run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" Landlock
	assert_nothing_left
}

test_seccomp_is_refused_when_it_was_asked_for() {
	protect_image
	next_container
	bundle_sh "$BUNDLE" 'echo ran' '.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["acct"],"action":"SCMP_ACT_ERRNO"}]}'
	expect_failure without seccomp run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" seccomp
	assert_nothing_left
}
