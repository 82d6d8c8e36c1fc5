# Bridge networks: containers reach each other by address and name, the outside by NAT, and are reached by
# published ports.
# time-limit: 300
# shellcheck shell=bash disable=SC2034,SC2154
. "$BRIG_TEST_LIB/netns.sh"

# look_up NAME CONTAINER [SERVER-CONTAINER'S-GATEWAY]: what the network's server answers
look_up() {
	place_run "$1" busybox nslookup -type="${4:-a}" "$2" "${3:-10.76.0.1}" 2>&1
}

test_two_containers_reach_each_other() {
	container c1 brig
	container c2 brig
	assert_runs place_run c1 busybox ping -c 1 -W 2 "$(address_of c2)"
	assert_runs place_run c2 busybox ping -c 1 -W 2 "$(address_of c1)"
	assert_runs place_run c1 busybox ping -c 1 -W 2 10.76.0.1
}

test_names() {
	container c1 brig:alias=db,alias=Store
	container c2 brig
	assert_contains "$(look_up c2 c1)" "Address: $(address_of c1)"
	assert_contains "$(look_up c2 db)" "Address: $(address_of c1)"
	assert_contains "$(look_up c2 STORE)" "Address: $(address_of c1)"
	assert_contains "$(look_up c1 c2)" "Address: $(address_of c2)"
	assert_contains "$(place_run c1 busybox nslookup "$(address_of c2)" 10.76.0.1)" "name = c2"
	# A name that is known has no address of the other family, and that is an answer.
	assert_not_contains "$(look_up c1 c2 10.76.0.1 aaaa)" NXDOMAIN
	net down c1 "$(place_path c1)"
	assert_not_contains "$(look_up c2 c1)" "Address: 10.76.0.2"
}

# The server ends with the last container, and no other network is answered.
test_name_server_belongs_to_its_network() {
	net create other
	container c1 brig
	container c2 other
	assert_contains "$(look_up c1 c1)" "Address: $(address_of c1)"
	run timeout 5 nsenter --net="$(place_path c2)" busybox nslookup c1 10.76.0.1
	assert_ne "$status" 0
	assert_contains "$(process_list)" brig-dns
	net down c1 "$(place_path c1)"
	net down c2 "$(place_path c2)"
	assert_not_contains "$(process_list)" brig-dns
}

test_name_server_is_started_anew() {
	container c1 brig
	pid=$(server_pid)
	wait_for 5 pgrep -P "$pid"
	kill -KILL "$(pgrep -P "$pid")"
	wait_for 10 look_up_works c1 c1
	# Both: the next attachment starts it.
	kill -KILL "$pid"
	container c2 brig
	wait_for 10 look_up_works c2 c1
}

server_pid() {
	cut -d " " -f 1 "$TEST_DIR/net/networks/nets/brig/dns.pid"
}

look_up_works() {
	look_up "$1" "$2" | grep -q "Address: 10.76"
}

test_name_server_without_privilege() {
	container c1 brig
	pid=$(server_pid)
	wait_for 5 pgrep -P "$pid"
	for p in "$pid" "$(pgrep -P "$pid")"; do
		assert_contains "$(grep ^Uid: "/proc/$p/status")" "65534	65534	65534	65534"
		assert_contains "$(grep ^CapPrm: "/proc/$p/status")" 0000000000000000
		assert_contains "$(grep ^NoNewPrivs: "/proc/$p/status")" 1
	done
	assert_contains "$(grep ^Seccomp: "/proc/$(pgrep -P "$pid")/status")" 2
}

test_outside_by_nat() {
	outside_make far 1
	web far 80
	container c1 brig
	assert_eq "$(place_run c1 curl -s --max-time 5 http://198.51.1.2/)" "198.51.1.1 far"
	# Nobody comes in by routing to us: neither to the container nor by the loopback address.
	web c1 8080
	place_run far ip route add 10.76.0.0/16 via 198.51.1.1
	assert_fails reaches far "$(address_of c1)" 8080
}

test_published_port() {
	outside_make far 1
	outside_make near 2
	container c1 port=8080:80 brig
	web c1 80
	# Two hosts, each with its own source address
	assert_eq "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" "198.51.1.2 c1"
	assert_eq "$(place_run near curl -s --max-time 5 http://198.51.2.1:8080/)" "198.51.2.2 c1"
	# This host, by its address and by 127.0.0.1
	assert_eq "$(fetch http://198.51.1.1:8080/)" "198.51.1.1 c1"
	assert_contains "$(fetch http://127.0.0.1:8080/)" " c1"
	# A container of the same network, and the one itself
	container c2 brig
	assert_contains "$(place_run c2 curl -s --max-time 5 http://198.51.1.1:8080/)" " c1"
	assert_contains "$(place_run c1 curl -s --max-time 5 http://198.51.1.1:8080/)" " c1"
	net down c1 "$(place_path c1)"
	assert_fails reaches far 198.51.1.1 8080
}

test_published_from_another_network() {
	net create other
	outside_make far 1
	container c1 port=8080:80 brig
	container c2 other
	web c1 80
	assert_contains "$(place_run c2 curl -s --max-time 5 http://198.51.1.1:8080/)" " c1"
	assert_fails reaches c2 "$(address_of c1)" 80
}

test_published_forms() {
	outside_make far 1
	container c1 port=127.0.0.1:8081:80 port=198.51.1.1:8082:80 port=9000-9002:9000-9002 port=7000-7001:80-81 \
		port=5353:53/udp port=80 brig
	web c1 80
	web c1 9001 row
	web c1 81 shifted
	assert_contains "$(fetch http://127.0.0.1:8081/)" " c1"
	assert_fails reaches far 198.51.1.1 8081
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:8082/)" " c1"
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:9001/)" " row"
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:7001/)" " shifted"
	chosen=$(net show c1 | jq '[.ports.list[] | select(.container == 80)] | last.host')
	assert_contains "$(place_run far curl -s --max-time 5 "http://198.51.1.1:$chosen/")" " c1"
	# udp: an answer comes back from the address that was asked
	echo_udp c1 53
	assert_eq "$(ask_udp far 198.51.1.1 5353)" "hello 198.51.1.1"
}

test_port_in_use() {
	listen 0.0.0.0 8080
	place_make c1
	run net up c1 "$(place_path c1)" port=8080:80 brig
	assert_eq "$status" 1
	assert_eq "$errors" "port 8080/tcp is in use on this host"
	assert_no_file "$TEST_DIR/net/networks/containers/c1.json"
	assert_eq "$(find "$TEST_DIR/net/networks"/{pending,published} -type f)" ""
	assert_eq "$(find "$TEST_DIR/net/networks/nets" -path '*/ip/1*' | wc -l)" 0
	container c2 port=8081:80 brig
	run net up c1 "$(place_path c1)" port=8081:80 brig
	assert_contains "$errors" "port 8081/tcp is published by container c2"
}

test_isolation() {
	net create one
	net create two
	net create open1 option=isolate=false
	net create open2 option=isolate=false
	for n in one two open1 open2; do container "c$n" "$n" && web "c$n" 80; done
	assert_fails reaches cone "$(address_of ctwo)" 80
	assert_fails reaches ctwo "$(address_of cone)" 80
	assert_fails reaches cone "$(address_of copen1)" 80
	assert_fails reaches copen1 "$(address_of cone)" 80
	assert_runs reaches copen1 "$(address_of copen2)" 80
}

test_internal() {
	outside_make far 1
	web far 80
	net create inner internal
	container c1 inner
	container c2 inner
	web c2 80
	assert_contains "$(place_run c1 curl -s --max-time 5 "http://$(address_of c2)/")" " c2"
	assert_fails reaches c1 198.51.1.2 80
	# By hand it gets a route, and no further.
	place_run c1 ip route add default via 10.77.0.1
	assert_fails reaches c1 198.51.1.2 80
	assert_contains "$(look_up c1 c2 10.77.0.1)" "Address: $(address_of c2)"
	assert_contains "$(look_up c1 example.org 10.77.0.1)" NXDOMAIN
	place_make c3
	assert_fails net up c3 "$(place_path c3)" port=80:80 inner
	assert_contains "$errors" "ports cannot be published"
}

test_neighbours_can_be_kept_apart() {
	net create apart option=icc=false
	container c1 apart
	container c2 apart
	assert_fails place_run c1 busybox ping -c 1 -W 1 "$(address_of c2)"
	assert_runs place_run c1 busybox ping -c 1 -W 2 10.77.0.1
}

# CVE-2020-8558: route_localnet is for this host alone.
test_hosts_loopback_is_out_of_reach() {
	listen 127.0.0.1 6000
	container c1 brig
	place_run c1 sh -c "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet"
	place_run c1 ip addr flush dev lo
	place_run c1 ip route add 127.0.0.1/32 via 10.76.0.1 dev eth0
	assert_fails reaches c1 127.0.0.1 6000
}

# G2: what a container says about routers is not believed.
test_router_advertisements_are_dropped() {
	net create six ipv6
	container c1 six
	assert_eq "$(cat /proc/sys/net/ipv6/conf/brig1/accept_ra)" 0
	assert_eq "$(place_run c1 cat /proc/sys/net/ipv6/conf/eth0/accept_ra)" 0
}

test_hosts_own_default_route_of_ipv6_survives() {
	ip link add up0 type veth peer name up0p
	echo 1 >/proc/sys/net/ipv6/conf/up0/accept_ra
	net create six ipv6
	container c1 six
	assert_eq "$(cat /proc/sys/net/ipv6/conf/up0/accept_ra)" 2
	assert_eq "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" 1
}

test_ipv6() {
	outside_make far 1
	net create six ipv6 subnet=10.9.0.0/24 subnet=fd00:9::/64
	container c1 port=8080:80 six
	container c2 six
	web c1 80
	web far 80
	assert_contains "$(place_run c2 curl -s --max-time 5 "http://[$(address6_of c1)]/")" "$(address6_of c2) c1"
	assert_eq "$(place_run c1 curl -s --max-time 5 "http://[2001:db8:1::2]/")" "2001:db8:1::1 far"
	assert_eq "$(place_run far curl -s --max-time 5 "http://[2001:db8:1::1]:8080/")" "2001:db8:1::2 c1"
	assert_contains "$(look_up c2 c1 10.9.0.1 aaaa)" "Address: $(address6_of c1)"
	assert_eq "$(address_of c1)" 10.9.0.2
}

test_asked_for_addresses() {
	net create n subnet=10.9.0.0/24 subnet=fd00:9::/64 range=10.9.0.128/25
	container c1 n:ip=10.9.0.77,ip6=fd00:9::77,mac=02:00:00:00:00:77,interface_name=net7
	assert_eq "$(address_of c1)" 10.9.0.77
	assert_contains "$(place_run c1 ip -br addr show net7)" 10.9.0.77/24
	assert_contains "$(place_run c1 ip -br addr show net7)" fd00:9::77/64
	assert_contains "$(place_run c1 ip -br link show net7)" 02:00:00:00:00:77
	container c2 n
	assert_eq "$(address_of c2)" 10.9.0.128
	place_make c3
	run net up c3 "$(place_path c3)" n:ip=10.9.0.77
	assert_eq "$errors" "address 10.9.0.77 of network n is container c1's"
	run net up c3 "$(place_path c3)" n:ip=10.9.0.1
	assert_contains "$errors" "is no container's"
	run net up c3 "$(place_path c3)" n:ip=10.8.0.1
	assert_contains "$errors" "is in none of network n's subnets"
}

test_addresses_are_used_again() {
	net create small subnet=10.9.0.0/29
	for i in 1 2 3 4 5; do container "c$i" small; done
	place_make c6
	run net up c6 "$(place_path c6)" small
	assert_eq "$errors" "network small has no address left in 10.9.0.0/29"
	was=$(address_of c3)
	net down c3 "$(place_path c3)"
	net up c6 "$(place_path c6)" small
	assert_eq "$(address_of c6)" "$was"
	# The same container gets its own again.
	was=$(address_of c2)
	net up c2 "$(place_path c2)" small
	assert_eq "$(address_of c2)" "$was"
}

test_several_networks() {
	net create one
	net create two
	container c1 one two
	container c2 one
	container c3 two
	assert_runs place_run c1 busybox ping -c 1 -W 2 "$(address_of c2)"
	assert_runs place_run c1 busybox ping -c 1 -W 2 "$(address_of c3)"
	assert_eq "$(place_run c1 ip -br link | grep -c eth)" 2
	# One more, one less, as it runs
	container c4 brig
	net connect c4 "$(place_path c4)" one:alias=late
	assert_runs place_run c4 busybox ping -c 1 -W 2 "$(address_of c2)"
	assert_contains "$(look_up c2 late 10.77.0.1)" "Address: $(address_of c4 1)"
	net disconnect c4 "$(place_path c4)" one
	assert_eq "$(place_run c4 ip -br link | grep -c eth)" 1
	assert_fails net disconnect c4 "$(place_path c4)" one
	assert_fails net connect c1 "$(place_path c1)" two
	assert_contains "$errors" "is on network two already"
}

test_published_port_follows_its_network() {
	outside_make far 1
	net create one
	container c1 port=8080:80 brig
	web c1 80
	net connect c1 "$(place_path c1)" one
	net disconnect c1 "$(place_path c1)" brig
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" " c1"
}

test_removal() {
	net create one
	container c1 port=8080:80 one
	run net remove one
	assert_contains "$errors" "network one is used by container c1"
	place_end c1
	# Without its namespace, and twice
	assert_runs net down c1
	assert_runs net down c1
	assert_runs net remove one
	assert_not_contains "$(ip -br link)" brig1
	assert_not_contains "$(ip -br link)" veth
	assert_not_contains "$(nft list ruleset)" 8080
	assert_fails net remove one
}

test_creation_is_checked() {
	outside_make far 1
	net create one subnet=10.9.0.0/24
	for bad in "one" "two subnet=10.9.0.128/25" "two subnet=198.51.1.0/25" "two subnet=10.9" "two subnet=10.1.0.0/31" \
		"two subnet=10.1.0.0/24 gateway=10.2.0.1" "two subnet=10.1.0.0/24 gateway=10.1.0.255" \
		"two option=mtu=1" "two option=what=1" "two option=interface=brig1" "two option=interface=a/b" "host" "../x" \
		"two driver=macvlan" "two driver=macvlan option=parent=none0" "two option=vlan=5"; do
		# shellcheck disable=SC2086
		assert_fails net create $bad
		assert_eq "$(wc -l <<<"$errors")" 1
	done
	assert_eq "$(find "$TEST_DIR/net/networks" -maxdepth 1 -name '*.json' | wc -l)" 1
}

test_unknown_network() {
	place_make c1
	run net up c1 "$(place_path c1)" nowhere
	assert_eq "$errors" "no such network: nowhere"
}

test_the_hosts_namespace_is_no_containers() {
	run net up c1 /proc/self/ns/net brig
	assert_contains "$errors" "is in the host's network namespace"
	run net up c1 /proc/self/ns/pid brig
	assert_ne "$status" 0
}

test_mtu() {
	net create jumbo option=mtu=9000
	container c1 jumbo
	assert_eq "$(place_run c1 cat /sys/class/net/eth0/mtu 2>/dev/null || place_run c1 ip -j link show eth0 | jq '.[0].mtu')" 9000
}

test_twenty_at_once() {
	for i in $(seq 20); do place_make "c$i"; done
	pids=()
	for i in $(seq 20); do
		net up "c$i" "$(place_path "c$i")" "name=c$i" "port=$((9000 + i)):80" brig >/dev/null &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	assert_eq "$(for i in $(seq 20); do address_of "c$i"; done | sort -u | wc -l)" 20
	for i in 1 7 20; do assert_runs place_run c3 busybox ping -c 1 -W 2 "$(address_of "c$i")"; done
	assert_eq "$(nft list map inet brig tcp_any4 | grep -o '90[0-9][0-9] :' | wc -l)" 20
	for i in $(seq 20); do net down "c$i" "$(place_path "c$i")" & done
	wait_for 30 nobody_is_left
}

nobody_is_left() {
	[ -z "$(ls "$TEST_DIR/net/networks/containers")" ]
}

test_reload_after_a_firewall_reload() {
	outside_make far 1
	container c1 port=8080:80 brig
	web c1 80
	nft flush ruleset
	assert_fails reaches far 198.51.1.1 8080
	assert_runs net reload
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" " c1"
	# What the records of dead containers say goes.
	place_end c1
	assert_runs net reload c9
	assert_eq "$(ls "$TEST_DIR/net/networks/containers")" ""
}

# moby 4737: the host's own policy counts, and where it does not it is said.
test_hosts_own_policy() {
	outside_make far 1
	nft 'table inet mine { chain f { type filter hook forward priority 10; policy accept; tcp dport 80 ip saddr 198.51.1.2 drop; }; }'
	container c1 port=8080:80 brig
	web c1 80
	assert_fails reaches far 198.51.1.1 8080
	nft 'delete table inet mine; table inet mine { chain in { type filter hook input priority 0; policy drop; }; }' 2>/dev/null ||
		{ nft delete table inet mine && nft 'table inet mine { chain in { type filter hook input priority 0; policy drop; }; }'; }
	place_make c2
	run net up c2 "$(place_path c2)" port=8082:80 brig
	assert_contains "$errors" 'warning: the firewall'"'"'s chain "inet mine in" does not see published ports'
}

test_port_53_is_taken() {
	listen 0.0.0.0 53
	container c1 brig
	assert_contains "$(look_up c1 c1)" "Address: $(address_of c1)"
}
