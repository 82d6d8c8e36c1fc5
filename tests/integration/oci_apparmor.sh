#!/bin/bash
# AppArmor profiles for a container's first process and for those of exec, with the kernel's module.
# where: vm-engines
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# What the profile forbids must be root's to do otherwise.
load_profile() {
	[ -d /sys/kernel/security/apparmor ] || skip "the kernel has no AppArmor"
	cat >profile <<-'END'
		profile brig-test-confined flags=(attach_disconnected,mediate_deleted) {
			file,
			capability,
			signal,
			deny /tmp/forbidden w,
		}
	END
	apparmor_parser --replace --skip-cache profile
}

test_confines_the_first_process() {
	load_profile
	run_sh 'cat /proc/self/attr/current; touch /tmp/allowed && echo allowed; touch /tmp/forbidden || echo denied' \
		'.process.apparmorProfile = "brig-test-confined"' >out 2>&1
	assert_contains "$(cat out)" "brig-test-confined (enforce)"
	assert_contains "$(cat out)" $'\nallowed'
	assert_contains "$(cat out)" $'\ndenied'
}

test_confines_exec() {
	load_profile
	start_sh 'sleep 300' '.process.apparmorProfile = "brig-test-confined"'
	assert_eq "$(cat "/proc/$PID/attr/current")" "brig-test-confined (enforce)"
	assert_eq "$(oci exec "$ID" cat /proc/self/attr/current)" "brig-test-confined (enforce)"
	assert_fails oci exec "$ID" touch /tmp/forbidden
	assert_contains "$errors" "Permission denied"
}

test_exec_takes_another_profile() {
	load_profile
	start_sh 'sleep 300'
	assert_eq "$(oci exec "$ID" cat /proc/self/attr/current)" unconfined
	assert_eq "$(oci exec --apparmor brig-test-confined "$ID" cat /proc/self/attr/current)" "brig-test-confined (enforce)"
}

test_a_profile_that_is_not_loaded_is_refused() {
	[ -d /sys/kernel/security/apparmor ] || skip "the kernel has no AppArmor"
	next_container
	bundle_sh "$BUNDLE" true '.process.apparmorProfile = "brig-test-missing"'
	run oci run --bundle "$BUNDLE" "$ID"
	assert_ne "$status" 0
	assert_contains "$errors" "brig-test-missing"
	assert_nothing_left
}
