#!/bin/bash
# brig kernel: which kernels guests can boot, and taking one in. Nothing is booted here.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
mkdir -p /var/cache/brig && mount -t tmpfs tmpfs /var/cache/brig
mkdir -p /boot && mount -t tmpfs tmpfs /boot

# kernel_image FILE VERSION: the head of a bzImage (Documentation/arch/x86/boot.rst)
kernel_image() {
	head -c 65536 /dev/zero >"$1"
	printf 'HdrS' | dd of="$1" bs=1 seek=$((0x202)) conv=notrunc status=none
	printf '\0\001' | dd of="$1" bs=1 seek=$((0x20e)) conv=notrunc status=none
	printf '%s (somebody)' "$2" | dd of="$1" bs=1 seek=$((0x300)) conv=notrunc status=none
}

# kernel_modules DIR NAME...: a folder of modules, some of them built in
kernel_modules() {
	local dir=$1 name
	shift
	mkdir -p "$dir/kernel"
	echo kernel/virtio_mmio.ko >"$dir/modules.builtin"
	for name; do
		echo "kernel/$name.ko:" >>"$dir/modules.dep"
		echo "$name" >"$dir/kernel/$name.ko"
	done
}

test_import_use_rm() {
	kernel_image image 9.9-test
	kernel_modules modules vmw_vsock_virtio_transport virtiofs unrelated
	assert_eq "$(brig kernel import --modules modules image)" 9.9-test
	assert_eq "$(brig kernel ls --format '{{.Name}} {{.Status}}')" '9.9-test can be used'
	assert_file /var/cache/brig/vm/kernels/9.9-test/modules/kernel/virtiofs.ko
	assert_no_file /var/cache/brig/vm/kernels/9.9-test/modules/kernel/unrelated.ko
	assert_fails brig kernel import --modules modules image
	assert_contains "$errors" "already"
	assert_eq "$(brig kernel import --use --name mine --modules modules image)" mine
	assert_eq "$(brig kernel ls --format '{{.Name}} {{.Status}}' | sort)" $'9.9-test can be used\nmine in use'
	assert_runs brig kernel use host
	assert_eq "$(brig kernel ls --format '{{.Status}}' | sort -u)" 'can be used'
	assert_runs brig kernel use mine
	assert_runs brig kernel rm mine 9.9-test
	assert_eq "$(brig kernel ls -q)" ""
	assert_fails brig kernel use mine
	assert_fails brig kernel rm ../kernels
}

test_what_is_no_kernel_for_guests() {
	kernel_image image 9.9-test
	kernel_modules modules vmw_vsock_virtio_transport
	assert_fails brig kernel import --modules modules image
	assert_contains "$errors" "lacks the drivers virtiofs"
	mkdir none
	assert_fails brig kernel import --modules none image
	assert_contains "$errors" "modules.builtin"
	assert_fails brig kernel import image
	assert_contains "$errors" "--modules"
	echo no kernel >text
	assert_fails brig kernel import --modules modules text
	assert_contains "$errors" "neither a bzImage nor an ELF file"
	assert_fails brig kernel import --name default --modules modules image
	assert_eq "$(brig kernel ls -q)" ""
	assert_eq "$(ls -A /var/cache/brig/vm/kernels)" ""
}

test_the_hosts_kernels() {
	kernel_image "/boot/vmlinuz-$(uname -r)" "$(uname -r)"
	mkdir -p /lib/modules && mount -t tmpfs tmpfs /lib/modules
	kernel_modules "/lib/modules/$(uname -r)" vmw_vsock_virtio_transport virtiofs
	kernel_image /boot/vmlinuz-8.8-poor 8.8-poor
	kernel_modules /lib/modules/8.8-poor virtiofs
	assert_eq "$(brig kernel ls --format '{{.Name}}: {{.Status}}' | sort)" \
		"$(printf '%s\n' "$(uname -r): in use" '8.8-poor: lacks vmw_vsock_virtio_transport' | sort)"
}
