# Hosts and containers as network namespaces. The test's own namespace is the host; a container or another
# host is a process that sleeps in one of its own. To be sourced by a test file behind tests/lib/test.sh.
# shellcheck shell=bash

export BRIG_LIBEXEC=${BRIG_LIBEXEC:-$BRIG_BUILD/netns}
declare -gA place=()

net() {
	"$BRIG_BUILD/netns/netns-driver" "$TEST_DIR/net" "$@"
}

# place_make NAME...: a namespace each; place_run runs commands there
place_make() {
	local name
	for name; do
		unshare --net sleep 1000 &
		place[$name]=$!
		wait_for 5 place_ready "$name"
	done
}

place_ready() {
	[ "$(readlink "/proc/${place[$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

place_path() {
	echo "/proc/${place[$1]}/ns/net"
}

place_run() {
	local name=$1
	shift
	nsenter --net="/proc/${place[$name]}/ns/net" "$@"
}

place_end() {
	kill "${place[$1]}" && wait "${place[$1]}" 2>/dev/null || :
}

# container ID ARGUMENT...: a new namespace on networks; record_of ID prints what it got
container() {
	local id=$1
	shift
	place_make "$id"
	net up "$id" "$(place_path "$id")" "name=$id" "$@" >"$TEST_DIR/$id.json"
}

address_of() {
	net show "$1" | jq -r ".links[${2:-0}].ip // empty" | cut -d/ -f1
}

address6_of() {
	net show "$1" | jq -r ".links[${2:-0}].ip6 // empty" | cut -d/ -f1
}

# outside_make NAME NUMBER: another host, 192.0.2.0/24-style link of its own: we are 10.NUMBER.0.1 there
# and 2001:db8:NUMBER::1, it is .2
outside_make() {
	local name=$1 n=$2
	place_make "$name"
	ip link add "up$n" type veth peer name eth0 netns "${place[$name]}"
	ip addr add "198.51.$n.1/24" dev "up$n"
	ip addr add "2001:db8:$n::1/64" dev "up$n" nodad
	ip link set "up$n" up
	place_run "$name" ip addr add "198.51.$n.2/24" dev eth0
	place_run "$name" ip addr add "2001:db8:$n::2/64" dev eth0 nodad
	place_run "$name" ip link set eth0 up
	place_run "$name" ip link set lo up
}

# web NAME PORT [TEXT]: a server there that answers every request with the client's address and TEXT
web() {
	local name=$1 port=$2 text=${3:-$1}
	place_run "$name" python3 "$(dirname "${BASH_SOURCE[0]}")/../tools/web.py" "$port" "$text" &
	wait_for 10 reaches "$name" 127.0.0.1 "$port"
}

fetch() {
	curl --silent --show-error --max-time 5 "$@"
}

# reaches NAME ADDRESS PORT: a connection from there is taken
reaches() {
	place_run "$1" timeout 2 bash -c "exec 3<>/dev/tcp/$2/$3"
}

# echo_udp NAME PORT: sends datagrams back; ask_udp NAME ADDRESS PORT: what comes back
echo_udp() {
	place_run "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
while True:
    data, client = s.recvfrom(2000)
    s.sendto(data, client)' "$2" &
}

ask_udp() {
	place_run "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(5):
    try:
        s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
        data, server = s.recvfrom(2000)
        print(data.decode(), server[0])
        break
    except OSError:
        pass' "$2" "$3"
}

# listen ADDRESS PORT: takes a port of this host, UDP and TCP
listen() {
	python3 -c 'import socket, sys, time
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    s = socket.socket(socket.AF_INET, kind)
    s.bind((sys.argv[1], int(sys.argv[2])))
    if kind == socket.SOCK_STREAM:
        s.listen()
    globals()[str(kind)] = s
time.sleep(1000)' "$1" "$2" &
	wait_for 10 timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$2"
}
