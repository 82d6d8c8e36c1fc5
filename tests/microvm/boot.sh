#!/bin/bash
# Real boots of the distribution's kernel in brig-vmm: agent, exit codes, streams, devices, file system.
# where: vm
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/test.sh"

: "${MICROVM_KERNEL:=${BRIG_TEST_CACHE:-/var/cache/brig-test}/kernel-6.1/vmlinuz}"
: "${MICROVM_MODULES:=/lib/modules/$(uname -r)}"

# microvm OPTION... -- COMMAND...: boots, runs COMMAND in the guest, ends with its status
microvm() {
	local programs=$BRIG_BUILD/runtime/microvm
	"$BRIG_BUILD/tests/microvm/microvm-run" -k "$MICROVM_KERNEL" -m "$MICROVM_MODULES" \
		-g "$programs/brig-guest" -v "$programs/brig-vmm" -F "$programs/brig-fsd" \
		-c "$TEST_DIR" -b "$(command -v busybox)" "$@"
}

jail='"jail":{"uid":64000,"gid":64000}'

test_streams_and_exit_status() {
	run microvm -j "{$jail}" -- busybox sh -c 'busybox cat; echo to-stderr >&2; exit 42' <<<'through stdin'
	assert_eq "$status" 42 "$errors"
	assert_eq "$output" 'through stdin'
	assert_contains "$errors" to-stderr
	assert_matches "$errors" 'VMM overhead ([0-9]+) KiB'
	[ "${BASH_REMATCH[1]}" -le 3072 ] || fail "the VMM takes ${BASH_REMATCH[1]} KiB beyond the guest's memory"
	assert_matches "$errors" 'exits ([0-9]+) \(port ([0-9]+)'
	echo "exits ${BASH_REMATCH[*]:1}"
	[ "${BASH_REMATCH[1]}" -le 300 ] || fail "${BASH_REMATCH[1]} exits until the agent was ready"
	[ "${BASH_REMATCH[2]}" -le 10 ] || fail "${BASH_REMATCH[2]} exits for ports: the kernel writes where it has nothing to say"
}

# Of a kernel that starts anew: what it wrote, whatever that is, in one line that can be shown.
test_last_words() {
	run microvm -j "{$jail}" -- busybox sh -c 'echo not an emergency >/dev/kmsg
		printf "<0>one\033[2J\007\n" >/dev/kmsg; printf "<0>two" >/dev/kmsg; busybox reboot -f'
	assert_eq "$status" 125 "$errors"
	assert_matches "$errors" $'\n'"guest: [^"$'\n'"]*one[^"$'\n'"]*; two; [^"$'\n'"]*Restarting"
	assert_contains "$errors" '\x1b'
	[[ $errors != *$'\033'* ]] || fail "a control character: $errors"
	assert_not_contains "$errors" emergency
	# Of one that panics, for which it writes a whole stack, the lines that tell why.
	run microvm -j "{$jail}" -- busybox sh -c 'echo c >/proc/sysrq-trigger'
	assert_eq "$status" 125 "$errors"
	assert_contains "$errors" 'guest: Kernel panic - not syncing: sysrq triggered crash; '
	assert_contains "$errors" 'Comm: '
}

# exits_of ERRORS: to the monitor, for registers, while the command ran
exits_of() {
	[[ $1 =~ microvm-run:\ ([0-9]+)\ exits\ to\ registers ]] || fail "no count: $1"
	echo "${BASH_REMATCH[1]}"
}

# What the guest hears while it writes: of room, and of packets to free, both seldom. That it takes an interrupt is no
# work for the monitor: it would be two exits for each.
test_output_takes_few_interrupts() {
	local count exits
	microvm -j "{$jail}" -- busybox sh -c '
		count() { busybox awk "/virtio/ { n += \$2 } END { print n }" /proc/interrupts; }
		before=$(count); busybox dd if=/dev/zero bs=64k count=512 2>/dev/null; after=$(count)
		echo "interrupts: $((after - before))" >&2' </dev/null >out 2>errors || fail "$(cat errors)"
	assert_eq "$(stat -c %s out)" $((32 << 20))
	assert_matches "$(cat errors)" 'interrupts: ([0-9]+)'
	count=${BASH_REMATCH[1]}
	echo "$count interrupts for 32 MiB"
	[ "$count" -ge 10 ] || fail "the guest counts no interrupts: $count"
	[ "$count" -le 130 ] || fail "32 MiB of output took $count interrupts"
	exits=$(exits_of "$(cat errors)")
	echo "$exits exits"
	[ "$exits" -le 20 ] || fail "32 MiB of output took $exits exits to the monitor"
}

# The same for requests of a disk.
test_exits_for_disks() {
	local exits
	head -c 32M /dev/urandom >disk
	exec 10<>disk
	run microvm -f 10 -j "{$jail,\"blocks\":[{\"fd\":10}]}" -- busybox sh -c '
		count() { busybox awk "/virtio/ { n += \$2 } END { print n }" /proc/interrupts; }
		before=$(count); busybox dd if=/dev/vda iflag=direct bs=512k 2>/dev/null | busybox md5sum; after=$(count)
		echo "interrupts: $((after - before))" >&2'
	assert_eq "$status" 0 "$errors"
	assert_eq "${output%% *}" "$(md5sum <disk | cut -d ' ' -f 1)"
	assert_matches "$errors" 'interrupts: ([0-9]+)'
	[ "${BASH_REMATCH[1]}" -ge 64 ] || fail "the guest counts ${BASH_REMATCH[1]} interrupts for 64 requests"
	exits=$(exits_of "$errors")
	echo "$exits exits"
	[ "$exits" -le 20 ] || fail "64 requests took $exits exits to the monitor"
}

test_signal_status_and_terminal() {
	run microvm -t -j "{$jail}" -- busybox sh -c 'busybox tty; busybox stty size; kill -TERM $$'
	assert_eq "$status" 143 "$errors"
	assert_contains "$output" /dev/pts/
	assert_contains "$output" '24 80'
}

test_missing_program_is_an_error() {
	run microvm -j "{$jail}" -- /no/such/program
	assert_eq "$status" 125 "$errors"
	assert_contains "$errors" 'No such file'
}

test_devices() {
	head -c 8M /dev/zero >disk
	head -c 4M /dev/urandom >pmem
	exec 10<>disk 11<pmem 12>hvc
	run microvm -C 2 -f 10 -f 11 -f 12 -j "{$jail,\"balloon\":true,\"console\":{\"in\":-1,\"out\":12},
		\"blocks\":[{\"fd\":10,\"serial\":\"disk-1\"}],\"pmems\":[{\"fd\":11,\"readOnly\":true}]}" -- \
		busybox sh -c 'cat() { busybox cat "$@"; }
			cat /sys/block/vda/serial; echo
			busybox md5sum /dev/pmem0
			echo to-disk | busybox dd of=/dev/vda bs=512 seek=3 conv=fsync 2>/dev/null && echo flushed
			(echo x >/dev/pmem0) 2>/dev/null && busybox sync
			echo console-line >/dev/hvc0
			busybox dd if=/dev/hwrng bs=64 count=1 2>/dev/null | busybox wc -c
			busybox nproc'
	assert_eq "$status" 0 "$errors"
	assert_contains "$output" disk-1
	assert_contains "$output" "$(md5sum <pmem | cut -d ' ' -f 1)"
	assert_contains "$output" flushed
	assert_eq "$(tail -n 2 <<<"$output" | tr '\n' ' ')" '64 2 '
	assert_contains "$(cat hvc)" console-line
	assert_eq "$(dd if=disk bs=512 skip=3 count=1 status=none | tr -d '\0')" to-disk
}

# Interrupts for files are no work for the monitor: it would be some 20 exits for each of these.
test_exits_for_files() {
	local exits
	mkdir share
	run microvm -d share -j "{$jail}" -- busybox sh -c 'busybox mkdir /mnt
		busybox mount -t virtiofs dir0 /mnt && cd /mnt || exit 9
		i=0; while [ $((i += 1)) -le 100 ]; do echo $i >$i; done
		i=0; while [ $((i += 1)) -le 100 ]; do read x <$i; [ "$x" = $i ] || exit 8; done
		busybox rm [0-9]* && exec busybox ls'
	assert_eq "$status$output" 0 "$errors"
	exits=$(exits_of "$errors")
	echo "$exits exits"
	[ "$exits" -le 20 ] || fail "$exits exits for 100 files"
}

test_file_system() {
	mkdir share share/many
	echo from-host >share/file
	ln -s /etc/passwd share/link
	for i in $(seq 300); do : >"share/many/f$i"; done
	head -c 3M /dev/urandom >share/big
	run microvm -d share -j "{$jail}" -- busybox sh -c 'busybox mkdir /mnt
		busybox mount -t virtiofs dir0 /mnt && cd /mnt || exit 9
		busybox cat file; busybox ls many | busybox wc -l; busybox readlink link
		busybox cat link 2>/dev/null && echo followed
		echo hello >new; busybox chmod 640 new; busybox chown 1000:1001 new
		busybox mv new many/renamed; busybox ln many/renamed hard; echo more >>hard
		busybox rm file many/f1; busybox dd if=big of=copy bs=1M 2>/dev/null
		(busybox mknod dev c 1 3) 2>/dev/null && echo made-a-device
		cd / && busybox umount /mnt'
	assert_eq "$status" 0 "$errors"
	assert_eq "$(tr '\n' ' ' <<<"$output")" 'from-host 300 /etc/passwd '
	assert_eq "$(stat -c '%a %u %g %h' share/hard)" '640 1000 1001 2'
	assert_eq "$(tr '\n' ' ' <share/many/renamed)" 'hello more '
	assert_no_file share/file
	assert_no_file share/many/f1
	cmp share/big share/copy
}
