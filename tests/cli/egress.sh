#!/bin/bash
# --allow-connect and --deny-connect: enforced by programs on the cgroup, shown in events.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

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

# Every way to send something: what is allowed works, nothing else does
test_every_way() {
	local reach=(-v "$BRIG_BUILD/tests/tools/reach:/reach:ro")
	far
	run brig run --rm "${reach[@]}" busybox /reach 198.51.1.2 80
	assert_contains "$output" "udplite-connected: sent"
	assert_contains "$output" "raw: sent"
	run brig run --rm "${reach[@]}" --deny-connect 198.51.1.2 busybox /reach 198.51.1.2 80
	assert_contains "$output" "tcp: Operation not permitted"
	assert_not_contains "$output" sent
	run brig run --rm "${reach[@]}" --allow-connect 198.51.1.2:80 busybox /reach 198.51.1.2 80
	assert_eq "$(grep sent <<<"$output" | cut -d : -f 1 | tr '\n' ' ')" "tcp tcp-mapped tcp-fastopen mptcp udp-connected \
udp-sendto udp-sendmsg udp-sendmmsg udp-mapped-sendto udp-mapped-connected "
	# By exec as well
	brig run -d --name c "${reach[@]}" --deny-connect 198.51.1.2 busybox sleep 1000
	run brig exec c /reach 198.51.1.2 80
	assert_not_contains "$output" sent
	assert_status 125 brig exec --privileged c /reach 198.51.1.2 80
	assert_contains "$errors" "goes round"
	brig rm -f c
	nothing_left
}

# A name with several addresses: each has its rule
test_a_name_with_several_addresses() {
	far
	place_run far ip addr add 198.51.1.3/24 dev eth0
	place_run far python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53))
while True:
    q, client = s.recvfrom(2000)
    end = q.index(b"\0", 12) + 5
    four = q[end - 4:end - 2] == b"\0\1"
    answers = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([198, 51, 1, n]) for n in (2, 3)) if four else b""
    s.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\2" if four else b"\0\0") + b"\0\0\0\0" + q[12:end] + answers, client)' &
	echo "nameserver 198.51.1.2" >resolv.conf
	mount --bind resolv.conf /etc/resolv.conf
	wait_for 10 busybox nslookup -type=a far.example 198.51.1.2
	for address in 198.51.1.2 198.51.1.3; do
		assert_eq "$(brig run --rm --add-host "it:$address" --allow-connect far.example:80 busybox timeout 5 wget -q -O- http://it/)" \
			"198.51.1.1 far"
	done
	assert_fails brig run --rm --add-host it:198.51.1.3 --allow-connect far.example:80 busybox timeout 5 wget -q -O- http://it:81/
	assert_fails brig run --rm --add-host it:198.51.1.3 --deny-connect far.example busybox timeout 5 wget -q -O- http://it/
	nothing_left
}

# Programs on a cgroup need privilege: without it the container does not start open
test_needs_privilege() {
	user_make
	assert_status 125 user run --rm --network none --allow-connect 192.0.2.1 busybox true
	assert_matches "$errors" 'egress policy|need a cgroup'
	assert_eq "$(wc -l <<<"$errors")" 1 "$errors"
}

test_refusals() {
	for bad in 'a b' '1.2.3.4:0' '1.2.3.4/33'; do
		assert_status 125 brig run --rm --allow-connect "$bad" busybox true
		assert_contains "$errors" "--allow-connect"
	done
	assert_status 125 brig run --rm --privileged --allow-connect 1.2.3.4 busybox true
	assert_contains "$errors" "goes round"
	for cap in NET_RAW cap_net_raw Net_Raw all; do
		assert_status 125 brig run --rm --cap-add "$cap" --deny-connect 1.2.3.4 busybox true
	done
	assert_status 125 brig run --rm --allow-connect nowhere.invalid:80 busybox true
	nothing_left
}
