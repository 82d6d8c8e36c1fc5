#!/bin/bash
# What a virtual machine's files and disks cost: brig-vmm with brig-fsd beside QEMU with its virtiofsd.
# usage: tests/vm/boot -t 1800 -- tests/bench/vm-files.sh [--rounds N] [--mib N] [--files N] [--disk N]
#
#   --rounds N   times that the two take turns (3)
#   --mib N      of a stream (64)
#   --files N    small files of 4 KiB (500)
#   --disk N     only the disk, N times in each round
#
# Both run the same kernel with one processor, share a folder of one tmpfs and have a disk that is a file in it,
# and run tests/tools/files-load, which measures itself. Medians in seconds, and the quotient of the speeds:
# 1 and more is what is wanted. Shown, never judged. Needs a working /dev/kvm, qemu-system-x86 and its virtiofsd.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=${BRIG_BUILD:-$(realpath "$here/../../build")}
: "${KERNEL:=${BRIG_TEST_CACHE:-/var/cache/brig-test}/kernel-6.1/vmlinuz}"

rounds=3 mib=64 files=500 disk=''
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--mib) mib=$2 && shift ;;
	--files) files=$2 && shift ;;
	--disk) disk=$2 && shift ;;
	*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done
modules=/lib/modules/$(uname -r)
virtiofsd=/usr/lib/qemu/virtiofsd
[ -x $virtiofsd ] || virtiofsd=/usr/libexec/virtiofsd

work=$(mktemp -d)
trap 'umount "$work/tmpfs"; rm -rf "$work"' EXIT
cd "$work"
mkdir tmpfs
mount -t tmpfs -o size=1g tmpfs tmpfs
truncate -s "${mib}M" tmpfs/disk
head -c "${mib}M" /dev/urandom >tmpfs/disk

# The modules of QEMU's guest, with what they need, in order
module_files() {
	local name
	for name in virtio_mmio virtio_pci virtio_blk virtiofs; do
		modprobe -S "$(uname -r)" --show-depends "$name" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++'
}

make_initramfs() {
	local file
	mkdir -p root/{bin,proc,sys,dev,share}
	cp "$(command -v busybox)" root/bin/busybox
	cp "$build/tests/tools/files-load" root/bin/
	: >root/modules
	for file in $(module_files); do
		cp "$file" root/
		basename "$file" >>root/modules
	done
	cat >root/init <<-INIT
		#!/bin/busybox sh
		b=/bin/busybox
		\$b mount -t proc proc /proc && \$b mount -t sysfs sysfs /sys && \$b mount -t devtmpfs dev /dev
		while read -r m; do \$b insmod /\$m; done </modules
		\$b mount -t virtiofs share /share && /bin/files-load /share $mib $files /dev/vda $disk
		\$b sync; \$b poweroff -f
	INIT
	chmod +x root/init
	(cd root && find . | busybox cpio -o -H newc 2>/dev/null) >initramfs
}

run_qemu() {
	"$virtiofsd" --socket-path="$work/fs.sock" -o source="$work/tmpfs/share" -o cache=auto >virtiofsd.log 2>&1 &
	server=$!
	until [ -S fs.sock ]; do
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.05
	done
	timeout 900 qemu-system-x86_64 -accel kvm -cpu host -M pc -m 512 -smp 1 -nodefaults -no-user-config -display none \
		-no-reboot -serial stdio -kernel "$KERNEL" -initrd initramfs -append 'console=ttyS0 quiet panic=-1' \
		-object memory-backend-memfd,id=mem,size=512M,share=on -numa node,memdev=mem \
		-chardev socket,id=fs,path=fs.sock -device vhost-user-fs-pci,chardev=fs,tag=share \
		-drive if=none,id=disk,file=tmpfs/disk,format=raw,readonly=on,aio=io_uring -device virtio-blk-pci,drive=disk \
		</dev/null | tr -d '\r'
	rm -f fs.sock
	kill "$server" 2>/dev/null || :
}

run_brig() {
	local programs=$build/runtime/microvm
	timeout 900 "$build/tests/microvm/microvm-run" -k "$KERNEL" -m "$modules" -g "$programs/brig-guest" -v "$programs/brig-vmm" \
		-F "$programs/brig-fsd" -c "$work/cache" -b "$(command -v busybox)" -M 512 -C 1 -d tmpfs/share -f 10 \
		-j '{"jail":{"uid":64000,"gid":64000},"blocks":[{"fd":10,"readOnly":true}]}' -- \
		busybox sh -c "busybox mkdir -p /mnt && busybox mount -t virtiofs dir0 /mnt && /mnt/files-load /mnt $mib $files /dev/vda $disk" \
		</dev/null 2>brig.log 10<tmpfs/disk
}

make_initramfs
mkdir cache
for ((i = 0; i < rounds; i++)); do
	for who in qemu brig; do
		mkdir -p tmpfs/share
		cp "$build/tests/tools/files-load" tmpfs/share/
		"run_$who" >"$who.$i" || :
		grep -q '^end' "$who.$i" || { echo "$who did not come to its end:" >&2 && tail -n 20 "$who.$i" ./*.log >&2; exit 1; }
		rm -rf tmpfs/share
	done
done

median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

printf '%-20s %10s %10s %8s\n' '' qemu brig speed
for what in $(awk '$1 == "load" && !seen[$2]++ { print $2 }' brig.0); do
	q=$(awk -v w="$what" '$1 == "load" && $2 == w { print $3 }' qemu.* | median)
	b=$(awk -v w="$what" '$1 == "load" && $2 == w { print $3 }' brig.* | median)
	awk -v w="$what" -v q="$q" -v b="$b" 'BEGIN { printf "%-20s %10.3f %10.3f %8.2f\n", w, q, b, q / b }'
done
