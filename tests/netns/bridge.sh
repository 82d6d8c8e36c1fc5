# Bridge networks: containers reach each other by address and name, the outside by NAT, and are reached by
# published ports.
# time-limit: 90
# shellcheck shell=bash disable=SC2034,SC2154
. "$BRIG_TEST_LIB/../netns/lib.sh"

test_two_containers_reach_each_other() {
	container c1 brig
	container c2 brig
	assert_runs place_run c1 busybox ping -c 1 -W 2 "$(address_of c2)"
	assert_runs place_run c2 busybox ping -c 1 -W 2 "$(address_of c1)"
	assert_runs place_run c1 busybox ping -c 1 -W 2 10.76.0.1
}
