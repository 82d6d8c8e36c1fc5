#!/bin/bash
# Section G: control sockets, networks, the families of sockets that the kernel is reached by.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

# --- G1

# speak PATH: as somebody else; what the other side says, or why not
speak() {
	unprivileged python3 -c 'import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
try:
    s.connect(os.path.basename(sys.argv[1]))
    s.send(b"0id\n")
    print("said", s.recv(1000))
except OSError as e:
    print(e.strerror or e)' "$1"
}

test_G1_control_sockets_are_files_of_their_owner() {
	local socks
	brig run -dt --name box busybox sh >/dev/null
	next=$TEST_DIR/bundle
	bundle_make "$next"
	oci create --bundle "$next" made >/dev/null 2>&1 </dev/null
	mapfile -t socks < <(find run state -type s)
	[ "${#socks[@]}" -ge 2 ] || fail "no sockets: ${socks[*]}"
	assert_eq "$(find run state -type s -perm /077)" "" "sockets with the wrong mode"
	# The way to them is open: their own mode stands
	chmod 755 "$TEST_DIR" && find run state -type d -exec chmod 755 {} +
	for sock in "${socks[@]}"; do
		assert_eq "$(speak "$TEST_DIR/$sock")" "Permission denied" "$sock"
	done
	# That one is open, too: the monitor asks who it is
	chmod 666 run/containers/*/attach.sock
	assert_matches "$(speak "$(find "$TEST_DIR/run" -name attach.sock)")" "^said b''$|^Broken pipe$|reset by peer$"
	assert_eq "$(state_of box)" running
	oci delete --force made
	brig rm -f box
}

# Names that need no file are seen by everybody in the network namespace (CVE-2020-15257).
test_G1_no_abstract_sockets() {
	local seen
	brig run -dt --name box busybox sleep 1000 >/dev/null
	seen=$(brig run --rm --network host busybox cat /proc/net/unix)
	assert_contains "$seen" attach.sock
	[[ ! $seen =~ [[:space:]]@ ]] || fail "an abstract socket: $seen"
	brig rm -f box
}

# --- G2

serve() {
	brig run -d --name "$@" busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -vv -p 80 -h /w' >/dev/null
	wait_for 10 brig exec "$1" wget -q -O- http://localhost/
}

test_G2_the_clients_address_is_kept() {
	outside_make far 1
	outside_make near 2
	serve web -p 8080:80
	assert_eq "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" hello
	assert_eq "$(place_run near curl -s --max-time 5 http://198.51.2.1:8080/)" hello
	assert_contains "$(brig logs web 2>&1)" 198.51.1.2
	assert_contains "$(brig logs web 2>&1)" 198.51.2.2
	brig rm -f web
}

netns_of() {
	echo "/proc/$(brig inspect -f '{{.State.Pid}}' "$1")/ns/net"
}

# A router's advertisement of the prefix 2001:db8:bad::/64, to everybody on the network
advertise() {
	nsenter --net="$(netns_of "$1")" python3 -c 'import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xc0, 1800, 1800, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:bad::"))
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))'
}

# Whether somebody in the namespace of the words that follow believed it
believes() {
	"$@" ip -6 addr | grep -q 2001:db8:bad
}

test_G2_advertisements_of_containers_are_dropped() {
	local victim bridge
	brig network create --ipv6 six
	brig run -d --name rogue --network six busybox sleep 1000 >/dev/null
	brig run -d --name victim --network six busybox sleep 1000 >/dev/null
	victim=$(netns_of victim)
	bridge=$(brig network inspect -f '{{.NetworkInterface}}' six)
	wait_for 10 advertise rogue
	sleep 1
	if believes nsenter --net="$victim"; then fail "a container believes it"; fi
	if believes; then fail "the host believes it"; fi
	# The attack is one: who listens to advertisements believes this one
	nsenter --net="$victim" sh -c 'echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra'
	echo 2 >"/proc/sys/net/ipv6/conf/$bridge/accept_ra"
	wait_for 10 believed rogue nsenter --net="$victim"
	brig rm -f rogue victim
}

believed() {
	advertise "$1" && sleep 0.2 && believes "${@:2}"
}

test_G2_only_network_namespaces_and_only_ones_own() {
	user_make
	for kind in mnt pid user; do
		assert_status 125 brig run --rm --network "ns:/proc/self/ns/$kind" busybox true
		assert_not_contains "$errors" $'\n' "one line"
	done
	assert_fails brig run --rm --network "ns:$TEST_DIR/none" busybox true
	# The host's, which the user has no power over
	assert_fails user run --rm --network "ns:/proc/1/ns/net" busybox true
	assert_runs brig run --rm --network "ns:/proc/1/ns/net" busybox true
}

# --- G3

families() {
	brig run --rm --network none -v "$BRIG_BUILD/tests/tools/families:/families:ro" "$@" busybox /families
}

test_G3_families_of_sockets() {
	local all line way ways=0
	all=$(seq -s ' ' 0 45)
	while read -r line; do
		way=${line%%:*} ways=$((ways + 1))
		case $way in
		# A condition on what is in memory cannot be checked: nothing gets through
		socketcall32 | high | x32) assert_eq "$line" "$way:" ;;
		socketpair) assert_eq "$line" "$way: 1" ;;
		*) assert_eq "$line" "$way: 1 2 10 16 17" ;;
		esac
	done < <(families)
	[ "$ways" -ge 3 ] || fail "only $ways ways"
	# The same program sees them all where no filter is
	assert_contains "$(families --security-opt seccomp=unconfined)" "socket: $all"
	# Capabilities open none
	assert_eq "$(families --cap-add NET_ADMIN --cap-add NET_RAW | head -n 1)" "socket: 1 2 10 16 17"
}
