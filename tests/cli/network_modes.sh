#!/bin/bash
# Every way into a network, and what cannot be: one clear line, nothing left.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"

# Networks of others on this machine are none of these tests'
mkdir -p /etc/cni && mount -t tmpfs tmpfs /etc/cni && mkdir /etc/cni/net.d

sleeper() {
	brig run -d --name "$@" busybox sleep 1000 >/dev/null
}

netns_of() {
	echo "/proc/$(brig inspect -f '{{.State.Pid}}' "$1")/ns/net"
}

# refused WORDS ARGUMENT...: with one line that has WORDS
refused() {
	local words=$1
	shift
	assert_status 125 brig run --rm "$@" busybox true
	assert_contains "$errors" "$words"
	assert_eq "$(wc -l <<<"$errors")" 1 "$errors"
}

test_of_another() {
	sleeper a -p 8080:80
	local ns
	ns=$(brig exec a readlink /proc/self/ns/net)
	assert_eq "$(brig run --rm --network container:a busybox readlink /proc/self/ns/net)" "$ns"
	assert_eq "$(brig run --rm --network "ns:$(netns_of a)" busybox readlink /proc/self/ns/net)" "$ns"
	assert_eq "$(brig run --rm --network host busybox readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
	assert_eq "$(brig run --rm --network none busybox ls /sys/class/net)" lo
	refused "no such container: nobody" --network container:nobody
	refused "need a network of" --network none --ip 10.76.0.9
	brig stop -t 0 a
	refused "does not run" --network container:a
	brig rm a
	nothing_left
}

test_macvlan() {
	outside_make far 1
	brig network create -d macvlan -o parent=up1 --subnet 198.51.1.0/24 --gateway 198.51.1.2 lan
	assert_runs brig run --rm --network lan --ip 198.51.1.9 busybox ping -c 1 -W 2 198.51.1.2
	assert_contains "$(brig run --rm --network lan busybox ip route)" "default via 198.51.1.2"
	refused "ports cannot be published" --network lan -p 8080:80
	assert_fails brig network create -d macvlan -o parent=nowhere0 --subnet 10.8.0.0/24 wrong
}

cni_list() {
	cat >/etc/cni/net.d/10-lab.conflist <<-END
		{"cniVersion": "1.0.0", "name": "lab", "plugins": [
		  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
		   "ipam": {"type": "host-local", "dataDir": "$TEST_DIR/cni", "ranges": [[{"subnet": "10.5.0.0/24"}]],
		            "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}},
		  {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}]}
	END
}

test_cni() {
	cni_list
	assert_contains "$(brig network ls)" lab
	brig run -d --name web --network lab -p 8080:80 busybox sh -c \
		'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
	wait_for 10 brig exec web wget -q -O- http://localhost/
	assert_eq "$(brig exec web cat /proc/sys/net/ipv4/conf/eth0/arp_filter)" 1
	outside_make far 1
	wait_for 10 place_run far curl -s --max-time 2 http://198.51.1.1:8080/
	assert_runs brig network reload
	nsenter --net --target "$(brig inspect --format '{{.State.Pid}}' web)" ip addr flush dev eth0
	assert_runs brig network reload
	assert_contains "$errors" "container web may have to be started again: CNI plugin bridge, CHECK"
	brig rm -f web
	assert_eq "$(find "$TEST_DIR/cni" -name '10.5*')" ""
	assert_fails place_run far curl -s --max-time 2 http://198.51.1.1:8080/
	assert_fails brig network rm lab
	assert_contains "$errors" "is not brig's"
}

test_ipv6_and_addresses() {
	brig network create --subnet 10.1.0.0/24 --subnet fd01::/64 six
	sleeper a --network six --ip 10.1.0.20 --ip6 fd01::20 --mac-address 02:11:22:33:44:55 --network-alias store
	assert_contains "$(brig exec a ip addr show eth0)" fd01::20/64
	assert_contains "$(brig exec a ip link show eth0)" 02:11:22:33:44:55
	assert_contains "$(brig exec a ip -6 route)" "default via fd01::1"
	assert_runs brig run --rm --network six busybox ping -6 -c 1 -W 2 fd01::20
	assert_runs brig run --rm --network six busybox ping -6 -c 1 -W 2 store
	assert_runs brig run --rm --network six busybox ping -c 1 -W 2 store
	refused "address 10.1.0.20 of network six is container" --network six --ip 10.1.0.20
	refused 10.2.0.1 --network six --ip 10.2.0.1
	refused "no address of a link" --network six --mac-address what
	brig rm -f a
	nothing_left
}

test_several_networks() {
	brig network create --subnet 10.1.0.0/24 one && brig network create --subnet 10.2.0.0/24 two
	sleeper a --network one --network two:ip=10.2.0.50,alias=other,interface_name=lan0
	sleeper b --network two
	assert_contains "$(brig exec a ip addr show lan0)" 10.2.0.50
	assert_contains "$(brig exec a ip addr show eth0)" 10.1.0.2
	assert_runs brig exec b ping -c 1 -W 2 other
	assert_fails brig exec b ping -c 1 -W 1 10.1.0.2
	assert_contains "$(brig exec a ip route | head -n 1)" "default via 10.1.0.1"
	refused "named twice" --network one --network one
	refused "cannot be joined" --network one --network host
	brig rm -f a b
	nothing_left
}

test_names_and_servers() {
	sleeper a --dns 192.0.2.1 --dns-search example.org --dns-option ndots:3 --network none
	assert_eq "$(brig exec a cat /etc/resolv.conf | sort | tr '\n' ' ')" "nameserver 192.0.2.1 options ndots:3 search example.org "
	brig rm -f a
	assert_eq "$(brig run --rm --add-host host.example:host-gateway busybox grep host.example /etc/hosts | tr -s '\t ' ' ')" \
		"10.76.0.1 host.example"
	# The one that is asked what the network's own does not know
	outside_make far 1
	place_run far python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53))
while True:
    q, client = s.recvfrom(2000)
    s.sendto(q[:2] + b"\x81\x80" + q[4:6] + q[4:6] + b"\0\0\0\0" + q[12:].split(b"\0\0\x29")[0] +
             b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x4d", client)' &
	assert_contains "$(brig run --rm --dns 198.51.1.2 busybox nslookup -type=a www.example.org 10.76.0.1)" 192.0.2.77
	# A server that dies is there again
	sleeper a
	pkill -KILL -o brig-dns && pkill -KILL brig-dns || :
	sleeper b
	assert_runs brig exec b ping -c 1 -W 2 a
	brig rm -f a b
	nothing_left
}

test_published() {
	brig run -d --name web -p 127.0.0.1:8080:80 -p 9000-9002:9000-9002 -p 5353:53/udp -p 7000:7000/sctp -p 81 busybox sleep 1000 >/dev/null
	assert_contains "$(brig port web)" "80/tcp -> 127.0.0.1:8080"
	assert_contains "$(brig port web)" "9002/tcp -> 0.0.0.0:9002"
	assert_contains "$(brig port web)" "53/udp -> 0.0.0.0:5353"
	assert_contains "$(brig port web)" "7000/sctp -> 0.0.0.0:7000"
	assert_matches "$(brig port web 81)" '^0\.0\.0\.0:[0-9]+$'
	for taken in 127.0.0.1:8080:1 8080:1 9001:1 5353:1/udp; do refused "is published by container" -p "$taken"; done
	listen 0.0.0.0 8200
	refused "port 8200/tcp is in use on this host" -p 8200:80
	refused "no port or range" -p 70000:80
	refused '"1-70000" is no port or range of ports' -p 1-70000:80
	refused '"90-80" is no port or range of ports' -p 90-80:80
	brig rm -f web
	# -P: what the image says
	brig run -d --name all --expose 8088 --expose 99/udp -P busybox sleep 1000 >/dev/null
	assert_matches "$(brig port all | sort | tr '\n' ' ')" '^8088/tcp -> 0\.0\.0\.0:[0-9]+ 99/udp -> 0\.0\.0\.0:[0-9]+ $'
	brig rm -f all
	nothing_left
}

test_bad_input() {
	refused "no such network: nowhere" --network nowhere
	# Three addresses: the gateway has one
	brig network create --subnet 10.1.0.0/30 small
	sleeper a --network small
	refused "small" --network small
	brig rm -f a
	assert_runs brig run --rm --network small busybox true
	nothing_left
}

test_killed_as_it_starts() {
	brig network create --subnet 10.1.0.0/29 small
	for n in 1 2 3 4 5 6 7 8; do
		brig run -d --name "c$n" --network small -p "700$n:80" busybox sleep 1000 >/dev/null 2>&1 &
		sleep "0.0$((n * 9))"
		pkill -KILL -x brig || :
		wait $! || :
	done
	brig rm -fa >/dev/null 2>&1 || :
	brig network reload
	for n in 1 2 3 4 5; do sleeper "d$n" --network small -p "700$n:80"; done
	brig rm -fa >/dev/null
	assert_eq "$(find "$TEST_DIR/run/networks" -path '*/pending/*' -o -path '*/containers/*' -o -path '*/ip/1*')" ""
	assert_eq "$(ip -o link | grep -c veth || :)" 0
}
