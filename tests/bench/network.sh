#!/bin/bash
# Throughput of a bridge network beside that of a bare veth pair, in turns on the same machine, by iperf3; and
# what attaching costs. Prints ratios beside what is wanted; judges nothing.
# usage: tests/bench/network.sh [ROUNDS]     as root; in namespaces of its own
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
rounds=${1:-3}
if [ -z "${BENCH_INSIDE-}" ]; then
	exec env BENCH_INSIDE=1 unshare --net --mount --pid --fork --kill-child "$0" "$rounds"
fi
mount -t proc proc /proc && mount -t sysfs sysfs /sys && ip link set lo up
BRIG_BUILD=${BRIG_BUILD:-$PWD/build}
export BRIG_LIBEXEC=$BRIG_BUILD/netns
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

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

# gigabits CLIENT ADDRESS: of one stream, in a second
gigabits() {
	inside "$1" iperf3 --client "$2" --time 3 --omit 1 --json | jq '.end.sum_received.bits_per_second / 1e9'
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
inside "$bare_b" iperf3 --server --daemon
inside "$two" iperf3 --server --daemon
sleep 0.5

echo "round   veth pair   bridge    ratio (wanted: 0.95)"
for ((i = 1; i <= rounds; i++)); do
	bare=$(gigabits "$bare_a" 192.0.2.2)
	bridge=$(gigabits "$one" "$address")
	jq -rn --argjson i "$i" --argjson a "$bare" --argjson b "$bridge" \
		'"\($i)       \($a * 10 | round / 10) Gbit/s  \($b * 10 | round / 10) Gbit/s  \($b / $a * 1000 | round / 1000)"'
done

echo "milliseconds for one container on and off a network, over 20:"
for kind in brig "port=9001:80 brig"; do
	place
	began=$(date +%s%N)
	for _ in {1..20}; do
		# shellcheck disable=SC2086
		net up c "/proc/$pid/ns/net" $kind >/dev/null
		net down c "/proc/$pid/ns/net"
	done
	echo "$(((($(date +%s%N) - began) / 20000) / 1000))   $kind"
done
