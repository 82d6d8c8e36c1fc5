# What the benches of virtual machines share. To be sourced by bash.
# shellcheck shell=bash
build=${BRIG_BUILD:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../build")}
programs=$build/runtime/microvm
memory=256
export BRIG_LIBEXEC=$programs

# vm_prepare: sets $work, $kernel (unpacked, for both), $initramfs, $modules, $have_qemu
vm_prepare() {
	local cache=/var/cache/brig/vm
	[ -e /dev/kvm ] || { echo "there is no /dev/kvm" >&2 && exit 1; }
	work=$(mktemp -d /tmp/brig-bench-vm.XXXXXX)
	trap 'rm -rf "$work"' EXIT
	modules=/lib/modules/$(uname -r)
	kernel=${MICROVM_KERNEL:-/boot/vmlinuz-$(uname -r)}
	[ -e "$kernel" ] || kernel=${BRIG_TEST_CACHE:-/var/cache/brig-test}/kernel-6.1/vmlinuz
	unpack "$cache"
	mkdir "$work/cache"
	vm_run -- busybox true >/dev/null 2>"$work/first" || { cat "$work/first" >&2 && exit 1; }
	initramfs=$(echo "$work"/cache/initramfs-*)
	have_qemu=0
	if command -v qemu-system-x86_64 >/dev/null && modprobe vhost_vsock 2>/dev/null; then have_qemu=1; fi
	[ $have_qemu = 1 ] || echo "without QEMU: it, or vhost_vsock, is not here" >&2
}

# The kernel as brig-oci boots it: unpacked once, kept in the cache.
unpack() {
	local bundle=$work/bundle
	mkdir -p "$bundle/rootfs/bin" /boot
	cp "$(command -v busybox)" "$bundle/rootfs/bin/"
	"$build/cli/brig-oci" spec --bundle "$bundle"
	jq '.process.terminal = false | .process.args = ["/bin/busybox", "true"] | .vm.kernel.path = $kernel' \
		--arg kernel "$kernel" "$bundle/config.json" >"$work/config" && mv "$work/config" "$bundle/config.json"
	"$build/cli/brig-oci" --root "$work/state" --isolation vm run --bundle "$bundle" bench-vm
	kernel=$(find "$1" -name 'vmlinux-*' | head -n 1)
}

# vm_run OPTION... -- COMMAND...: in a machine, by tests/microvm/microvm-run
vm_run() {
	"$build/tests/microvm/microvm-run" -k "$kernel" -m "$modules" -g "$programs/brig-guest" -v "$programs/brig-vmm" \
		-F "$programs/brig-fsd" -c "$work/cache" -b "$(command -v busybox)" -M "$memory" \
		-j '{"jail":{"uid":64000,"gid":64000}}' "$@" </dev/null
}

median() {
	[ $# -gt 0 ] || return 0
	printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
}

# row WHAT BRIG [QEMU [RATIO [WANTED]]]
row() {
	printf '%-44s %12s %12s %16s %s\n' "$1" "$2" "${3-}" "${4-}" "${5-}"
}
