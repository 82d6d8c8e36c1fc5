#!/bin/bash
# Networks of a user without privilege: bridges in a namespace of his own, ports and the way out by pasta.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

# A host with a way out, by 198.51.1.2
begin() {
	user_make
	outside_make far 1
	ip route add default via 198.51.1.2
}

# serve NAME ARGUMENT...: a web server; verbose=-vv logs who asks
serve() {
	user run -d --name "$@" busybox sh -c 'mkdir /w; echo "$HOSTNAME hello" >/w/index.html; exec httpd -f '"${verbose-}"' -p 80 -h /w' >/dev/null
	wait_for 10 user exec "$1" wget -q -O- http://localhost/
}

ask() {
	user run --rm --network "$1" busybox timeout 5 wget -q -O- "http://$2/"
}

state() {
	find home/run/brig/networks -type f -not -name lock -not -name '.last*' -not -name dns.conf -printf '%P '
}

# The kernel ends the namespace with the last container: no process, no state
all_gone() {
	wait_for 10 only_sleepers
	assert_eq "$(state)" ""
}

only_sleepers() {
	! process_list | grep -q -e brig -e passt -e httpd
}

test_names_ports_and_the_way_out() {
	begin
	web far 80
	assert_eq "$(user network create front)" front
	assert_contains "$(user network ls)" front
	verbose=-vv serve web --network front --hostname web --add-host far:198.51.1.2 -p 8080:80
	assert_eq "$(ask front web)" "web hello"
	assert_eq "$(user exec web wget -q -O- http://far/)" "198.51.1.1 far"
	assert_eq "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" "web hello"
	assert_eq "$(fetch http://127.0.0.1:8080/)" "web hello"
	# The client's own address, as the server sees it
	assert_contains "$(user logs web 2>&1)" 198.51.1.2
	assert_contains "$(user port web)" "80/tcp -> 0.0.0.0:8080"
	assert_matches "$(user network inspect front --format '{{json .Containers}}')" '"Name": ?"web"'
	assert_fails user run --rm --network front -p 8080:80 busybox true
	assert_contains "$errors" 8080
	user rm -f web
	all_gone
	assert_eq "$(ip -br link | cut -d ' ' -f 1 | tr '\n' ' ')" "$(printf 'lo up1@if2 ')"
}

test_the_default_network() {
	begin
	serve web --network bridge
	assert_contains "$(ask bridge web)" hello
	user rm -f web
	all_gone
}

test_networks_are_apart() {
	begin
	user network create one && user network create two && user network create --internal hidden
	serve a --network one
	serve b --network hidden
	address=$(user inspect -f '{{.NetworkSettings.IPAddress}}' a)
	assert_fails user run --rm --network two busybox ping -c 1 -W 1 "$address"
	assert_fails ask two a
	# Also by a route that somebody makes for himself
	assert_fails user run --rm --network two --cap-add NET_ADMIN busybox sh -c \
		"ip route add $address via 10.78.0.1 dev eth0 && ping -c 1 -W 1 $address"
	# An internal network has no pasta: nobody gets out
	assert_eq "$(user exec b ls /sys/class/net | tr '\n' ' ')" "eth0 lo "
	assert_contains "$(ask hidden b)" hello
	assert_fails user run --rm --network hidden -p 8081:80 busybox true
	assert_contains "$errors" "leads outside"
	user rm -f a b
	all_gone
}

test_connect_and_disconnect() {
	begin
	user network create one && user network create --internal --ipv6 two
	serve a --network two
	serve c --network one
	assert_fails ask one a
	user network connect --alias store --ip 10.77.0.99 one a
	assert_contains "$(ask one store)" hello
	assert_contains "$(user exec a ip -4 addr show eth1)" 10.77.0.99
	assert_contains "$(user exec a ip -4 route)" "default"
	user network disconnect one a
	assert_fails ask one store
	assert_eq "$(user exec a ls /sys/class/net | tr '\n' ' ')" "eth0 lo "
	assert_fails user network rm two
	assert_contains "$errors" "is used by container"
	user rm -f a c
	assert_runs user network rm one two
	all_gone
}

monitor() {
	jq .monitor "home/.local/share/brig/containers/$(user inspect -f '{{.Id}}' "$1")/status.json"
}

# Whatever dies: the others go on, and the next one finds the bridges.
test_killed() {
	begin
	user network create front
	serve a --network front
	serve b --network front
	kill -KILL "$(monitor a)"
	assert_contains "$(user exec b timeout 5 wget -q -O- http://a/)" hello
	pkill -KILL brig-dns
	serve c --network front
	assert_contains "$(user exec c timeout 5 wget -q -O- http://b/)" hello
	assert_contains "$(user exec b timeout 5 wget -q -O- http://c/)" hello
	pkill -KILL -e passt || :
	user rm -f a b c
	all_gone
}

# The last one that held the bridges: what it has left is taken away, and the next container makes new ones.
test_killed_altogether() {
	begin
	user network create front
	serve a --network front -p 8080:80
	kill -KILL "$(monitor a)"
	user kill a || :
	serve b --network front -p 8081:80
	assert_contains "$(ask front b)" hello
	user rm -f a b
	all_gone
}

# Files of an earlier boot: no process is what they say.
test_after_a_reboot() {
	begin
	user network create front
	serve a --network front --hostname a --restart always
	cp -a home/run/brig/networks kept
	pkill -KILL -u 1000
	wait_for 5 only_sleepers
	rm -rf home/run/brig/networks && cp -a kept home/run/brig/networks
	serve b --network front
	assert_contains "$(ask front b)" hello
	user rm -f a b
	all_gone
}

test_a_start_that_fails_leaves_nothing() {
	begin
	user network create front
	assert_status 127 user run --rm --network front busybox no-such-program
	assert_status 125 user run --rm --network front --ip 192.0.2.1 busybox true
	assert_status 125 user run --rm --network nowhere busybox true
	assert_contains "$errors" "no such network: nowhere"
	all_gone
}

test_killed_while_it_starts() {
	begin
	user network create front
	for n in 1 2 3 4 5 6 7 8; do
		user run -d --network front --name "c$n" busybox sleep 1000 >/dev/null &
		sleep "0.0$((n * 7))" && pkill -KILL -u 1000 -x brig || :
		wait $! || :
	done
	user rm -fa >/dev/null || :
	serve a --network front
	assert_contains "$(ask front a)" hello
	user rm -fa
	all_gone
}

test_needs_privilege() {
	begin
	assert_fails user network create -d macvlan -o parent=up1 lan
	assert_contains "$errors" "without it there are bridges only"
	assert_fails user network create -o isolate=false mine
	assert_contains "$errors" "always apart"
	assert_fails user run --rm --network pasta --network brig busybox true
}
