#!/bin/bash
# --allow-connect and --deny-connect: enforced by programs on the cgroup, shown in events.
# time-limit: 120
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"

far() {
	outside_make far 1
	web far 80
	web far 81
}

# By name, and without -T: busybox-static 1.35 crashes on an address and on -T
get() {
	brig run --rm --add-host far:198.51.1.2 "$@"
}

test_allowed_and_denied() {
	far
	assert_eq "$(get busybox timeout 5 wget -q -O- http://far/)" "198.51.1.1 far"
	assert_eq "$(get --allow-connect 198.51.1.2:80 busybox timeout 5 wget -q -O- http://far/)" "198.51.1.1 far"
	assert_fails get --name denied --allow-connect 198.51.1.2:80 busybox timeout 5 wget -q -O- http://far:81/
	assert_contains "$errors" "Operation not permitted"
	assert_fails get --deny-connect 198.51.1.0/24 busybox timeout 5 wget -q -O- http://far/
	assert_eq "$(get --deny-connect '*:81' busybox timeout 5 wget -q -O- http://far/)" "198.51.1.1 far"
	assert_fails get --allow-connect '*' --deny-connect 198.51.1.2 busybox timeout 5 wget -q -O- http://far/
	run brig events --no-stream --since 10m --filter event=deny-connect --format json
	assert_contains "$output" '"address":"198.51.1.2"'
	assert_contains "$output" '"port":"81"'
	assert_contains "$output" '"command":"wget"'
	assert_contains "$output" '"name":"denied"'
}

test_own_names_stay_within_reach() {
	brig run -d --name web busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
	address=$(brig inspect -f '{{.NetworkSettings.IPAddress}}' web)
	assert_eq "$(get --allow-connect "$address:80" busybox timeout 5 wget -q -O- http://web/)" hello
	assert_fails get --allow-connect "$address:81" busybox timeout 5 wget -q -O- http://web/
	brig rm -f web
}

test_datagrams() {
	far
	assert_fails get --allow-connect 198.51.1.2:80 busybox nslookup example.org 198.51.1.2
	denied_datagram || fail "not noted"
	nothing_left
}

denied_datagram() {
	brig events --no-stream --since 10m --filter event=deny-connect --format json | grep -q '"protocol":"udp"'
}

# Also by a new network namespace, by exec, and after a restart
test_no_way_around() {
	far
	brig run -d --name c --add-host far:198.51.1.2 --add-host six:::ffff:198.51.1.2 --allow-connect 192.0.2.1 busybox sleep 1000
	assert_fails brig exec c timeout 5 wget -q -O- http://far/
	assert_contains "$errors" "Operation not permitted"
	brig restart -t 0 c
	assert_fails brig exec c timeout 5 wget -q -O- http://far/
	assert_contains "$errors" "Operation not permitted"
	assert_fails brig exec c timeout 5 wget -q -O- http://six/
	assert_contains "$errors" "Operation not permitted"
	brig rm -f c
}

test_refusals() {
	for bad in 'a b' '1.2.3.4:0' '1.2.3.4/33'; do
		assert_status 125 brig run --rm --allow-connect "$bad" busybox true
		assert_contains "$errors" "--allow-connect"
	done
	assert_status 125 brig run --rm --privileged --allow-connect 1.2.3.4 busybox true
	assert_contains "$errors" "goes round"
	assert_status 125 brig run --rm --cap-add NET_RAW --deny-connect 1.2.3.4 busybox true
	assert_status 125 brig run --rm --allow-connect nowhere.invalid:80 busybox true
	nothing_left
}
