# What the benches of virtual machines share. To be sourced by bash.
# shellcheck shell=bash
build=${BRIG_BUILD:-$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../build")}
programs=$build/runtime/microvm
memory=256
export BRIG_LIBEXEC=$programs

# vm_prepare: sets $work, $image, $kernel (that unpacked, for both), $initramfs, $modules, $have_qemu
vm_prepare() {
	[ -e /dev/kvm ] || { echo "there is no /dev/kvm" >&2 && exit 1; }
	work=$(mktemp -d /tmp/brig-bench-vm.XXXXXX)
	trap 'umount "$work/debug" 2>/dev/null || :; rm -rf --one-file-system "$work"' EXIT
	mkdir "$work/debug"
	mount -t debugfs debugfs "$work/debug" || : # only QEMU's exits are counted there
	modules=/lib/modules/$(uname -r)
	find_image
	kernel=$image
	mkdir "$work/cache"
	vm_run -u -- busybox true >/dev/null 2>"$work/first" || { cat "$work/first" >&2 && exit 1; }
	initramfs=$(echo "$work"/cache/initramfs-*)
	kernel=$(echo "$work"/cache/vmlinux-*)
	have_qemu=0
	if command -v qemu-system-x86_64 >/dev/null && modprobe vhost_vsock 2>/dev/null; then have_qemu=1; fi
	[ $have_qemu = 1 ] || echo "without QEMU: it, or vhost_vsock, is not here" >&2
}

# find_image: sets $image, the kernel of this machine as it was packed, or of the test machine
find_image() {
	image=${MICROVM_KERNEL:-/boot/vmlinuz-$(uname -r)}
	[ -e "$image" ] || image=${BRIG_TEST_CACHE:-/var/cache/brig-test}/kernel-6.1/vmlinuz
}

# vm_run OPTION... -- COMMAND...: in a machine, by tests/microvm/microvm-run
vm_run() {
	"$build/tests/microvm/microvm-run" -k "$kernel" -m "$modules" -g "$programs/brig-guest" -v "$programs/brig-vmm" \
		-F "$programs/brig-fsd" -c "$work/cache" -b "$(command -v busybox)" -M "$memory" \
		-j '{"jail":{"uid":64000,"gid":64000}}' "$@" </dev/null
}

# bundle_make FILTER...: in $work/bundle, of a program that writes a line; FILTERs of jq on its configuration
bundle_make() {
	local bundle=$work/bundle filter
	[ -e "$bundle" ] || {
		mkdir -p "$bundle/rootfs/bin"
		cp "$(command -v busybox)" "$bundle/rootfs/bin/"
		ln -s "$image" "$work/vmlinuz" # beside which there are no modules: this machine's are used
	}
	rm -f "$bundle/config.json"
	"$build/cli/brig-oci" spec --bundle "$bundle"
	for filter in '.process.terminal = false | .process.args = ["/bin/busybox", "echo", "first"]' \
		'.vm.kernel.path = "'"$work/vmlinuz"'"' "$@"; do
		jq "$filter" "$bundle/config.json" >"$work/config"
		mv "$work/config" "$bundle/config.json"
	done
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
