#!/bin/bash
# What a container in a virtual machine costs the host beyond the guest's own memory, process by process.
# usage: tests/vm/boot -t 300 -- tests/bench/vm_memory.sh [BUILD-DIR]
set -euo pipefail
build=$(realpath "${1:-${BRIG_BUILD:-build}}")
work=$(mktemp -d "${TMPDIR:-/tmp}/brig-bench.XXXXXX")
export BRIG_LIBEXEC=$build/runtime/microvm
oci=("$build/cli/brig-oci" --root "$work/state" --isolation vm)

clean_up() {
	"${oci[@]}" delete --force bench 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT

[ -e "/boot/vmlinuz-$(uname -r)" ] || { mount -t tmpfs tmpfs /boot && ln -s /run/brig-vm/host/vmlinuz "/boot/vmlinuz-$(uname -r)"; }
mkdir -p "$work/bundle/rootfs/bin"
cp "$(command -v busybox)" "$work/bundle/rootfs/bin/busybox"
"${oci[@]}" spec --bundle "$work/bundle"
jq '.process.terminal = false | .process.args = ["/bin/busybox", "sleep", "1000"]' "$work/bundle/config.json" >"$work/new"
mv "$work/new" "$work/bundle/config.json"
"${oci[@]}" create --bundle "$work/bundle" --pid-file "$work/pid" bench </dev/null >/dev/null 2>&1
"${oci[@]}" start bench
sleep 5

# resident PID: KiB, without what is mapped of the guest's memory
resident() {
	awk '/^[0-9a-f]+-/ { guest = /memfd:guest/ } $1 == "Rss:" && !guest { sum += $2 } END { print sum }' "/proc/$1/smaps"
}

printf '%-12s %10s  %s\n' process KiB wanted
attendant=$(cat "$work/pid")
for pid in $(pgrep -P "$attendant") "$attendant"; do
	name=$(cat "/proc/$pid/comm")
	[ "$name" = brig-vmm ] && wanted='≤ 3072' || wanted=
	printf '%-12s %10s  %s\n' "$name" "$(resident "$pid")" "$wanted"
done
