# What the test machine promises under systemd.
# where: vm-systemd
# shellcheck shell=bash

test_systemd_makes_scopes() {
	assert_runs systemd-run --quiet --scope --unit brig-test-scope cat /proc/self/cgroup
	assert_contains "$output" brig-test-scope.scope
}

test_it_is_up() {
	assert_eq "$(systemctl --failed --no-legend)" ""
	assert_eq "$(cat /proc/1/comm)" systemd
}
