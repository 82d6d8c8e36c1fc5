# The systemd driver, with the system's manager and with a user's.
# where: vm-systemd
# shellcheck shell=bash

systemd_tests=$BRIG_BUILD/tests/integration/cgroups_systemd
systemd_helper=$BRIG_BUILD/cgroups/systemd/brig-systemd

test_system_manager() {
	"$systemd_tests" "$systemd_helper"
}

# The user's runtime folder is mounted later than this test's mount namespace was made.
outside=(nsenter --mount --target 1 --)
user=("${outside[@]}" runuser -u brig -- env XDG_RUNTIME_DIR=/run/user/1000)

start_user_manager() {
	loginctl enable-linger brig
	wait_for 60 "${outside[@]}" test -S /run/user/1000/systemd/private
}

test_user_manager() {
	start_user_manager
	"${user[@]}" systemd-run --user --quiet --wait --pipe "$systemd_tests" "$systemd_helper"
}

test_user_manager_from_a_session_of_its_user() {
	start_user_manager
	"${user[@]}" "$systemd_tests" "$systemd_helper" outside
}

test_works_over_the_bus_without_the_managers_own_socket() {
	mount --bind /dev/null /run/systemd/private
	SYSTEMCTL_FORCE_BUS=1 "$systemd_tests" "$systemd_helper"
}
