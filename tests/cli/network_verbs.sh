#!/bin/bash
# The verbs of networks, every option of theirs.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"

# Networks of others on this machine are none of these tests'
[ ! -d /etc/cni ] || mount -t tmpfs tmpfs /etc/cni

# of NETWORK TEMPLATE: what inspect says
of() {
	brig network inspect -f "$2" "$1"
}

sleeper() {
	brig run -d --name "$@" busybox sleep 1000 >/dev/null
}

ip_of() {
	brig inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"
}

pings() {
	brig exec "$1" ping -c 1 -W 2 "$2"
}

test_create() {
	assert_eq "$(brig network create --subnet 10.1.0.0/24 --gateway 10.1.0.9 --ip-range 10.1.0.128/25 --label a=b --label c \
		--interface-name mine0 -o mtu=1400 front)" front
	assert_eq "$(of front '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}')" "10.1.0.0/24 10.1.0.9"
	assert_eq "$(of front '{{.NetworkInterface}} {{.Driver}} {{.Internal}} {{.EnableIPv6}} {{.DNSEnabled}} {{.Scope}}')" \
		"mine0 bridge false false true local"
	assert_eq "$(of front '{{.Labels.a}}')" b
	sleeper c --network front
	assert_eq "$(ip_of c front)" 10.1.0.128
	assert_contains "$(brig exec c ip route)" "default via 10.1.0.9"
	assert_contains "$(brig exec c ip link show eth0)" "mtu 1400"
	assert_contains "$(ip -4 addr show mine0)" 10.1.0.9/24
	brig rm -f c
	assert_eq "$(brig network create --ipv6 --disable-dns two)" two
	assert_matches "$(of two '{{range .Subnets}}{{.Subnet}} {{end}}')" '^10\.7[0-9]\.[0-9.]*/[0-9]+ fd[0-9a-f:]+/64 $'
	assert_eq "$(of two '{{.DNSEnabled}} {{.IPv6Enabled}}')" "false true"
	brig network create --subnet 10.3.0.0/24 --subnet 2001:db8:3::/64 --dns 192.0.2.53 three
	assert_eq "$(of three '{{join .NetworkDNSServers ","}}')" 192.0.2.53
	assert_eq "$(of three '{{len .Subnets}}')" 2
	# What is there already, and what cannot be
	assert_fails brig network create front
	assert_contains "$errors" "there is a network front already"
	assert_eq "$(brig network create --ignore front)" front
	for wrong in '--subnet 10.1.0.128/25' '--subnet 10.9.0.0/24 --gateway 10.8.0.1' '--subnet 300.0.0.0/8' '-o what=1' \
		'--dns nowhere' '--subnet 10.9.0.0/24 --ip-range 10.10.0.0/25' '-d macvlan -o parent=none0'; do
		# shellcheck disable=SC2086
		assert_fails brig network create $wrong wrong
		assert_eq "$(wc -l <<<"$errors")" 1 "$errors"
	done
	for name in none host container pasta -x 'a b'; do assert_fails brig network create -- "$name"; done
	assert_runs brig network rm front two three
	assert_not_contains "$(ip -br link)" mine0
}

test_list_and_exists() {
	brig network create --label team=a --internal one
	brig network create --label team=b --ipv6 two
	sleeper c --network two
	assert_eq "$(brig network ls -q | tr '\n' ' ')" "brig one two "
	assert_eq "$(brig network ls -q --filter label=team | tr '\n' ' ')" "one two "
	assert_eq "$(brig network ls -q -f label=team=b)" two
	assert_eq "$(brig network ls -q -f name=on)" one
	assert_eq "$(brig network ls -q -f driver=macvlan)" ""
	assert_eq "$(brig network ls -q -f "id=$(of one '{{.Id}}')")" one
	assert_eq "$(brig network ls -q -f dangling=false)" two
	assert_fails brig network ls -f what=1
	assert_eq "$(brig network ls -f name=one --format '{{.Name}} {{.Driver}} {{.Internal}} {{.Scope}} {{.Labels}}')" \
		"one bridge true local team=a"
	assert_eq "$(brig network ls --format json | jq -r 'select(.IPv6) | .Name')" two
	assert_matches "$(brig network ls --no-trunc --format '{{.ID}}' -f name=one)" '^[0-9a-f]{64}$'
	assert_matches "$(brig network list | head -n 1)" '^NETWORK ID +NAME +DRIVER +SUBNETS$'
	assert_runs brig network exists one
	assert_status 1 brig network exists nowhere
	assert_eq "$output$errors" ""
	assert_status 1 brig network inspect nowhere
	assert_contains "$errors" "no such network: nowhere"
	assert_eq "$(brig network inspect one two | jq length)" 2
	assert_eq "$(brig network inspect two | jq -r '.[0].Containers[].Name')" c
	# By the beginning of an id, too
	assert_eq "$(of "$(of one '{{.Id}}' | cut -c -12)" '{{.Name}}')" one
	brig rm -f c
}

test_connect_and_disconnect() {
	brig network create --subnet 10.1.0.0/24 one
	brig network create --subnet 10.2.0.0/24 --subnet fd02::/64 two
	sleeper a --network one
	sleeper b --network two
	assert_fails pings b store
	brig network connect --alias store --alias depot --ip 10.2.0.77 --ip6 fd02::77 --mac-address 02:00:00:00:00:77 two a
	assert_runs pings b store
	assert_runs pings b depot
	assert_runs pings b a
	assert_contains "$(brig exec a ip addr show eth1)" 10.2.0.77/24
	assert_contains "$(brig exec a ip addr show eth1)" fd02::77/64
	assert_contains "$(brig exec a ip link show eth1)" 02:00:00:00:00:77
	assert_eq "$(ip_of a two) $(ip_of a one)" "10.2.0.77 10.1.0.2"
	assert_fails brig network connect two a
	assert_contains "$errors" "on network two already"
	assert_fails brig network connect nowhere a
	assert_fails brig network connect two nobody
	assert_fails brig network connect --ip 10.2.0.77 one b
	assert_contains "$errors" "in none of network one's subnets"
	brig network create --subnet 10.3.0.0/24 three
	assert_fails brig network connect --ip 10.3.0.300 three b
	assert_eq "$(brig network inspect three | jq '.[0].Containers | length')" 0
	# It is remembered over a restart, and taken back
	brig restart -t 0 a
	assert_eq "$(ip_of a two)" 10.2.0.77
	assert_runs pings b store
	brig network disconnect two a
	assert_fails pings b store
	assert_fails brig exec a ip link show eth1
	assert_fails brig network disconnect two a
	assert_contains "$errors" "not on network two"
	assert_runs brig network disconnect --force two a
	# One that does not run
	brig stop -t 0 a
	assert_runs brig network connect two a
	brig start a
	assert_runs pings b a
	assert_fails brig network rm two
	assert_contains "$errors" "is used by container"
	assert_runs brig network rm --force two
	assert_fails brig exec a ip link show eth1
	brig rm -f a b
	nothing_left
}

test_prune() {
	brig network create --label keep=yes one && brig network create two && brig network create three
	sleeper c --network three
	assert_eq "$(brig network prune -f --filter until=1h)" ""
	assert_eq "$(brig network prune -f --filter label=keep)" one
	assert_eq "$(brig network prune -f)" two
	assert_eq "$(brig network ls -q | tr '\n' ' ')" "brig three "
	# One that does not run needs its network, too
	brig stop -t 0 c
	assert_eq "$(brig network prune -f)" ""
	brig rm c
	assert_eq "$(brig network prune -f)" three
}

get() {
	fetch "http://$1/"
}

# After somebody emptied the firewall: by hand, or by whatever starts next
test_reload() {
	brig run -d --name web -p 8080:80 busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
	wait_for 10 get 127.0.0.1:8080
	nft flush ruleset
	assert_fails get 127.0.0.1:8080
	assert_runs brig network reload
	assert_eq "$(get 127.0.0.1:8080)" hello
	nft flush ruleset
	brig run --rm busybox true
	assert_eq "$(get 127.0.0.1:8080)" hello
	nft flush ruleset
	brig restart -t 0 web
	wait_for 10 get 127.0.0.1:8080
	# Bridges and name servers as well
	pkill -KILL brig-dns
	brig network reload
	sleeper other
	assert_runs pings other web
	brig rm -f web other
	nothing_left
}
