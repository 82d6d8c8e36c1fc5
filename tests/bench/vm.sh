#!/bin/bash
# What a virtual machine costs: brig-vmm beside QEMU's microvm machine, with the same kernel, initramfs and agent.
# usage: tests/bench/vm.sh [--rounds N] [--mib N] [--only WORDS]
#
#   --rounds N    starts of each (3)
#   --mib N       how much goes through standard output (1024)
#   --only WORDS  of: start template streams (all)
#
# Needs a /dev/kvm that boots Linux: on a host without, tests/vm/boot -t 3000 -- tests/bench/vm.sh. In every round each
# starts once, in turns; a ratio is the median of the rounds' own ratios. Ready is when the agent says so over vsock,
# which QEMU passes on by vhost; each has the command line that it is used with. The first output is what the
# container's program writes first, from the start of brig-oci on. Nothing is judged: the exit status is not 0 only
# when something fails.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
. "$here/vm-lib.sh"

rounds=3 mib=1024 only='start template streams'
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--mib) mib=$2 && shift ;;
	--only) only=$2 && shift ;;
	*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done
vm_prepare

# start_brig: one start; sets $ready, $monitor, $guest (ms), $exits, $io, $mmio, $all, $overhead (KiB)
start_brig() {
	local line
	line=$(vm_run -- busybox true 2>&1 >/dev/null | grep 'ready after')
	[[ $line =~ ready\ after\ ([0-9]+)\ ms\ \(monitor\ ([0-9]+)\ ms,\ guest\ ([0-9]+)\ ms\).*exits\ ([0-9]+)\ \(port\ ([0-9]+),\ mmio\ ([0-9]+),\ all\ ([0-9]+)\),\ VMM\ overhead\ ([0-9]+) ]]
	ready=${BASH_REMATCH[1]} monitor=${BASH_REMATCH[2]} guest=${BASH_REMATCH[3]} exits=${BASH_REMATCH[4]}
	io=${BASH_REMATCH[5]} mmio=${BASH_REMATCH[6]} all=${BASH_REMATCH[7]} overhead=${BASH_REMATCH[8]}
}

# start_qemu: the same; sets $ready and $exits_qemu
start_qemu() {
	read -r ready _ exits_qemu < <(python3 "$here/vm-qemu.py" "$kernel" "$initramfs" "$memory" "$work/debug")
}

bench_start() {
	local round
	local brig=() qemu=() ratios=() guests=() monitors=()
	start_brig # what is read for the first time
	for ((round = 0; round < rounds; round++)); do
		start_brig
		brig+=("$ready") guests+=("$guest") monitors+=("$monitor")
		if [ "$have_qemu" = 1 ]; then
			start_qemu
			qemu+=("$ready") ratios+=("$(ratio "${brig[-1]}" "$ready")")
		fi
	done
	row 'start to agent ready, ms' "$(median "${brig[@]}")" "$(median "${qemu[@]}")" "$(median "${ratios[@]}")" '≤0.5'
	row '  of that until the guest runs, ms' "$(median "${monitors[@]}")"
	row '  of that by the clock of the guest, ms' "$(median "${guests[@]}")"
	row 'exits to agent ready, handled by KVM too' "$all" "${exits_qemu-}"
	row '  by the VMM: registers, ports, other' "$mmio+$io+$((exits - mmio - io))"
	row 'VMM beyond the guest, KiB' "$overhead" '' '' '≤3072'
}

# first_output: ms from the start of brig-oci until the container's program has written; filters of jq for its bundle
first_output() {
	local begin end
	bundle_make "$@"
	begin=$(date +%s%3N)
	read -r < <("$build/cli/brig-oci" --root "$work/state" --isolation vm run --bundle "$work/bundle" "bench-$RANDOM" </dev/null)
	end=$(date +%s%3N)
	wait $!
	echo $((end - begin))
}

# The same container from a boot and from a template: the first start of that makes it.
bench_template() {
	local round
	local cold=() warm=() ratios=() template='.annotations["org.brig.template"] = "true"'
	first_output . >/dev/null
	first_output "$template" >/dev/null
	for ((round = 0; round < rounds; round++)); do
		cold+=("$(first_output .)") warm+=("$(first_output "$template")")
		ratios+=("$(ratio "${warm[-1]}" "${cold[-1]}")")
	done
	row 'container to its first output, ms' "$(median "${cold[@]}")"
	row '  from a template, ms' "$(median "${warm[@]}")" '' "$(median "${ratios[@]}") of the boot" '≤0.1'
}

# In the guest's own time, with one processor: through its standard output into a pipe, as engines read it, and through a
# pipe within the guest.
bench_streams() {
	local round pipe out ratios=() pipes=() outs=()
	bundle_make '.vm.hwConfig.vcpus = 1' '.process.args = ["/bin/busybox", "sh", "-c", "
		now() { busybox cut -d \" \" -f 1 /proc/uptime | busybox tr -d .; }
		zeros() { busybox dd if=/dev/zero bs=64k count='$((mib * 16))' 2>/dev/null; }
		a=$(now); zeros | busybox cat >/dev/null; b=$(now); zeros; c=$(now)
		echo $((b - a)) $((c - b)) >&2"]'
	for ((round = 0; round < rounds; round++)); do
		"$build/cli/brig-oci" --root "$work/state" --isolation vm run --bundle "$work/bundle" "bench-$RANDOM" \
			</dev/null 2>"$work/times" | cat >/dev/null
		read -r pipe out < <(tail -n 1 "$work/times")
		pipes+=("$((pipe * 10))") outs+=("$((out * 10))") ratios+=("$(ratio "$pipe" "$out")")
	done
	row "$mib MiB through a pipe, ms" "$(median "${pipes[@]}")"
	row "$mib MiB through standard output, ms" "$(median "${outs[@]}")" '' "$(median "${ratios[@]}") of a pipe" '≥0.5'
}

printf '%-44s %12s %12s %16s %s\n' '' brig qemu ratio wanted
for what in $only; do "bench_$what"; done
