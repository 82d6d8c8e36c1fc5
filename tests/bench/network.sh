#!/bin/bash
# Throughput of a bridge network and of a published port beside that of a bare veth pair, in turns on the same machine,
# by iperf3; what attaching costs, alone and among many; `brig run` on a network beside podman's, where it is installed.
# Prints ratios beside what is wanted; judges nothing. Beside other load: chrt -r 1 tests/bench/network.sh
# usage: tests/bench/network.sh [ROUNDS]     as root; in namespaces of its own
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
rounds=${1:-15}
if [ -z "${BENCH_INSIDE-}" ]; then
	exec env BENCH_INSIDE=1 unshare --net --mount --pid --fork --kill-child "$0" "$rounds"
fi
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup && ip link set lo up
BRIG_BUILD=${BRIG_BUILD:-$PWD/build}
export BRIG_LIBEXEC=$BRIG_BUILD/netns
dir=$(mktemp -d)
trap 'umount -l "$dir"/{run,pr} 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/run" "$dir/pr"
for at in run pr; do mount -t tmpfs -o mode=0700 tmpfs "$dir/$at"; done # as /run is

net() {
	"$BRIG_BUILD/netns/netns-driver" "$dir/net" "$@"
}

place() {
	unshare --net sleep 1000 &
	pid=$!
	while [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
}

inside() {
	nsenter --net="/proc/$1/ns/net" "${@:2}"
}

# Both ends stay on a processor each: where the kernel puts them moves one stream by a factor of two.
both=(0 0)
[ "$(nproc)" -lt 2 ] || both=(0 1)

# listen PLACE OPTION...: a server
listen() {
	inside "$1" taskset -c "${both[0]}" iperf3 --server --daemon "${@:2}"
}

# gigabits CLIENT ADDRESS OPTION...: of one stream, in seconds
gigabits() {
	inside "$1" taskset -c "${both[1]}" iperf3 --client "$2" "${@:3}" --time 1 --omit 0.2 --json |
		jq '.end.sum_received.bits_per_second / 1e9'
}

place && bare_a=$pid
place && bare_b=$pid
ip link add e0 netns "$bare_a" type veth peer name e0 netns "$bare_b"
n=1
for p in "$bare_a" "$bare_b"; do
	inside "$p" ip addr add "192.0.2.$n/24" dev e0 && inside "$p" ip link set e0 up && n=$((n + 1))
done
place && one=$pid
place && two=$pid
net up one "/proc/$one/ns/net" brig >/dev/null
net up two "/proc/$two/ns/net" port=9000:9000 brig >"$dir/two"
address=$(jq -r '.links[0].ip' "$dir/two" | cut -d / -f 1)
listen "$bare_b"
listen "$two"
sleep 0.5

# The outside, from where the published port is asked
place && outside=$pid
ip link add up0 type veth peer name e0 netns "$outside"
ip addr add 198.51.100.1/24 dev up0 && ip link set up0 up
inside "$outside" ip addr add 198.51.100.2/24 dev e0 && inside "$outside" ip link set e0 up

# throughput: Gbit/s of the three in turns, then the medians and those of each round's ratios
throughput() {
	for ((i = 1; i <= rounds; i++)); do
		jq -nc '$ARGS.positional | map(tonumber)' --args "$(gigabits "$bare_a" 192.0.2.2)" \
			"$(gigabits "$one" "$address")" "$(gigabits "$outside" 198.51.100.1 --port 9000)"
	done | jq -rs 'def median: sort | .[length / 2 | floor] * 100 | round / 100;
		"\(length) rounds    Gbit/s    of the pair",
		"veth pair    \(map(.[0]) | median)",
		"bridge       \(map(.[1]) | median)     \(map(.[1] / .[0]) | median) (wanted: 0.95)",
		"published    \(map(.[2]) | median)     \(map(.[2] / .[0]) | median)"'
}

listen "$two" --port 9000
sleep 0.5
throughput
[ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" != 1 ] ||
	echo "(br_netfilter is loaded: what goes over a bridge goes through the host's rules for packets too)"

# attach KIND: milliseconds for one container on and off, over 20
attach() {
	local began
	began=$(date +%s%N)
	for _ in {1..20}; do
		# shellcheck disable=SC2086
		net up c "/proc/$pid/ns/net" $1 >/dev/null
		net down c "/proc/$pid/ns/net"
	done
	echo "$(((($(date +%s%N) - began) / 20000) / 1000))   $1${2:+, $2}"
}

echo "milliseconds for one container on and off a network, over 20:"
place
for kind in brig "port=9001:80 brig"; do attach "$kind"; done
many=50 alone=$pid
for ((i = 0; i < many; i++)); do
	place
	net up "m$i" "/proc/$pid/ns/net" "port=$((20000 + i)):80" brig >/dev/null
done
pid=$alone
for kind in brig "port=9001:80 brig"; do attach "$kind" "beside $many others with ports"; done
for ((i = 0; i < many; i++)); do net down "m$i"; done

# --- whole containers

BRIG=$BRIG_BUILD/cli/brig
export BRIG_SHARE=$BRIG_BUILD/cli BRIG_LIBEXEC=$dir/libexec
mkdir "$BRIG_LIBEXEC"
cp "$BRIG_BUILD"/images/{brig-unpack,brig-registry} "$BRIG_BUILD/netns/brig-dns" "$BRIG_BUILD/cli/brig-init" "$BRIG_LIBEXEC"

brig_run() {
	"$BRIG" --root "$dir/data" --runroot "$dir/run" run --rm "$@" busybox true
}

# Without a cgroup, so that it works where this host lets crun make none
podman_() {
	podman --root "$dir/p" --runroot "$dir/pr" --storage-driver vfs --cgroup-manager cgroupfs --runtime crun "$@"
}

podman_run() {
	podman_ run --rm --cgroups=disabled "$@" busybox /bin/true
}

# median COMMAND...: milliseconds, of nine runs
median() {
	local began
	for _ in {1..9}; do
		began=$(date +%s%N)
		"$@" >/dev/null
		echo "$((($(date +%s%N) - began) / 1000000))"
	done | sort -n | sed -n 5p
}

# counts WHAT ARGUMENT...: system calls, processes and programs of one brig run
counts() {
	strace -f -qq -o "$dir/trace" "$BRIG" --root "$dir/data" --runroot "$dir/run" run --rm "${@:2}" busybox true
	echo "$1: $(grep -vc resumed "$dir/trace") calls, $(cut -d ' ' -f 1 "$dir/trace" | sort -u | wc -l) processes, $(
		grep -cE 'execve(at)?\(.*= 0$|execve(at)? resumed.*= 0$' "$dir/trace") programs"
}

echo "brig run --rm:"
brig_run --network none
counts none --network none
counts bridge
counts "published port" -p 8080:80
mkdir -p "$dir/rootfs/bin" && cp "$(command -v busybox)" "$dir/rootfs/bin/true"
if command -v podman >/dev/null && tar -C "$dir/rootfs" -c . | podman_ import - busybox >"$dir/said" 2>&1 &&
	podman_run --network podman >"$dir/said" 2>&1; then
	echo "milliseconds, median of 9   brig   podman   ratio (wanted: 0.1)"
	for kind in "--network none" "--network NETWORK" "--network NETWORK -p 8080:80"; do
		# shellcheck disable=SC2086
		ours=$(median brig_run ${kind/NETWORK/brig}) theirs=$(median podman_run ${kind/NETWORK/podman})
		echo "$kind   $ours   $theirs   $(jq -n "$ours / $theirs * 100 | round / 100")"
	done
else
	echo "podman does not run here: $(tail -n 1 "$dir/said" 2>/dev/null || echo "it is not installed")"
	for kind in none brig; do echo "--network $kind: $(median brig_run --network "$kind") ms"; done
fi
