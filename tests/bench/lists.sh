#!/bin/bash
# What many containers cost those who list them, and the next one: milliseconds of `brig ps` and of `brig run --rm`
# beside 1, 10, 100, … containers that run. Prints; judges nothing. Beside other load: chrt -r 1 tests/bench/lists.sh
# usage: tests/bench/lists.sh [CONTAINERS]     as root; in namespaces of its own; 1000 of them take some 2 GiB
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
most=${1:-1000}
if [ -z "${BENCH_INSIDE-}" ]; then
	exec env BENCH_INSIDE=1 unshare --net --mount --pid --fork --kill-child "$0" "$most"
fi
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup && ip link set lo up
BRIG_BUILD=${BRIG_BUILD:-$PWD/build}
export BRIG_SHARE=$BRIG_BUILD/cli BRIG_LIBEXEC=$BRIG_BUILD/images
dir=$(mktemp -d)
trap 'umount -l "$dir/run"; rm -rf "$dir"' EXIT
mkdir "$dir/run" && mount -t tmpfs -o mode=0700 tmpfs "$dir/run" # as /run is

brig() {
	"$BRIG_BUILD/cli/brig" --root "$dir/data" --runroot "$dir/run" "$@"
}

# median COMMAND...: milliseconds, of nine runs
median() {
	local began
	for _ in {1..9}; do
		began=$(date +%s%N)
		"$@" >/dev/null
		echo "$((($(date +%s%N) - began) / 10000))"
	done | sort -n | sed -n '5s/..$/.&/p'
}

printf '%-14s %10s %10s %10s\n' "containers" "ps, ms" "ps -q, ms" "run, ms"
count=0
for next in 1 10 100 1000 10000; do
	[ "$next" -le "$most" ] || break
	for ((; count < next; count++)); do brig run -d --network none busybox sleep 100000 >/dev/null; done
	printf '%-14s %10s %10s %10s\n' "$count" "$(median brig ps)" "$(median brig ps -q)" \
		"$(median brig run --rm --network none busybox true)"
done
brig rm -af -t 0 >/dev/null
