#!/bin/bash
# Containers on networks, as brig runs them.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

serve() {
	brig run -d "$@" busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
}

get() {
	bash -c "exec 3<>/dev/tcp/${1%:*}/${1#*:} && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"
}

test_names_and_ports() {
	serve --name web -p 8080:80 -p 127.0.0.1::80
	wait_for 10 get 127.0.0.1:8080
	assert_contains "$(get 127.0.0.1:8080)" hello
	assert_contains "$(brig ps --format '{{.Ports}}')" "0.0.0.0:8080->80/tcp"
	assert_contains "$(brig port web)" "80/tcp -> 0.0.0.0:8080"
	assert_contains "$(brig port web 80)" "0.0.0.0:8080"
	assert_fails brig port web 81
	assert_eq "$(brig run --rm busybox wget -q -O- http://web/)" hello
	assert_matches "$(brig inspect -f '{{.NetworkSettings.IPAddress}}' web)" '^10\.'
	assert_status 125 brig run --rm -p 8080:80 busybox true
	assert_contains "$errors" 8080
	brig rm -f web
	assert_fails get 127.0.0.1:8080
	nothing_left
}

test_address_is_given_back() {
	brig run --rm --ip 10.76.0.77 busybox ip -4 addr show eth0 >out
	assert_contains "$(cat out)" 10.76.0.77
	assert_contains "$(brig run --rm --ip 10.76.0.77 busybox ip -4 addr show eth0)" 10.76.0.77
	assert_status 125 brig run --rm --ip 192.0.2.1 busybox true
	nothing_left
}

test_none_and_host() {
	assert_eq "$(brig run --rm --network none busybox ls /sys/class/net)" lo
	assert_contains "$(brig run --rm --network host busybox ls /sys/class/net)" lo
}

test_restart_keeps_the_port() {
	serve --name web -p 8080:80
	wait_for 10 get 127.0.0.1:8080
	brig restart -t 0 web
	wait_for 10 get 127.0.0.1:8080
	brig rm -f web
	nothing_left
}
