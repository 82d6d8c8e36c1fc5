#!/bin/bash
# Section H: a guest that attacks its VMM with every device there (tests/attack/guest). Without KVM the same rows are in tests/unit/microvm/test_attack.c and tests/fuzz.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/test.sh"

# hostile [OPTION...] ATTACK: the guest's output in $output, how it went in $errors. The host is unchanged, but for
# the disk.
hostile() {
	local guest=$BRIG_BUILD/tests/attack/guest programs=$BRIG_BUILD/runtime/microvm
	modprobe tun 2>/dev/null || :
	mkdir -p shared
	echo content >shared/file
	echo secret >secret
	rm -rf canary
	[ -e disk ] || head -c 1M /dev/zero >disk
	[ -e pmem ] || { printf P && head -c 2097151 /dev/zero; } >pmem
	host_canary_begin
	sha256sum pmem secret shared/file >sums
	run "$guest/hostile-run" -v "$programs/brig-vmm" -F "$programs/brig-fsd" -k "$guest/hostile" \
		-d disk -p pmem -s shared "$@"
	echo "$errors" | tail -n 1
	sha256sum --quiet -c sums || fail "the guest changed a file of the host's"
	host_canary_check
	assert_not_contains "$errors" 'was killed' "the VMM"
}

# said WORD...: a line of the guest's output
said() {
	grep -qx "$*" <<<"$output" || fail "the guest did not say '$*': $output"$'\n'"$errors"
}

# whole: the guest got to its end, past every device
whole() {
	assert_eq "$status" 0 "$errors"
	said devices 8
	said end
}

# bounded: no growth of the VMM beyond a fixed part, and its control socket always answered
bounded() {
	assert_matches "$errors" 'slowest-ms ([0-9]+) grown-kib (-?[0-9]+) own-kib ([0-9]+)'
	[ "${BASH_REMATCH[1]}" -le 60000 ] || fail "the VMM was busy for ${BASH_REMATCH[1]} ms"
	[ "${BASH_REMATCH[3]}" -le 8192 ] || fail "the VMM has ${BASH_REMATCH[3]} KiB of its own"
}

test_H1_descriptors_at_the_ends_of_memory() {
	hostile ends
	whole
	for what in 'inside taken' 'end + 1 refused' 'behind refused' 'wrap refused'; do
		said "$what 1"
	done
}

test_H1_rings_of_any_content() {
	hostile -t 500 rings
	whole
	bounded
}

test_H2_every_register_in_every_state() {
	hostile registers
	whole
	assert_not_contains "$output" 'does not reset'
}

test_H2_queues_keep_their_size() {
	hostile frozen
	whole
	said still served 1
}

test_H3_chains_of_all_memory() {
	hostile -t 500 greedy
	whole
	bounded
}

test_H3_kicks_for_ever() {
	hostile -C 2 -t 10 kicks
	assert_eq "$status" 0
	bounded
}

test_H3_output_for_ever() {
	hostile -t 10 flood
	assert_eq "$status" 0
	bounded
}

# H4's headers: tests/unit/microvm/test_attack.c. Here, all that ports can do.
test_H4_every_port() {
	hostile ports
	assert_eq "$status" 0
	said ports 1
	said end
}

test_H5_reset_while_the_disk_reads() {
	hostile reset
	whole
	said touched after reset 0
}

test_H6_no_transfer_to_registers() {
	hostile ends
	whole
	said registers refused 1
	said interrupt controller refused 1
	said persistent memory refused 1
}

# An image of another format, as a guest could have written it: its size and its backing file mean nothing.
test_H7_disk_is_bytes() {
	{ printf 'QFI\373\0\0\0\3\0\0\0\0\0\0\0\150\0\0\0\013\0\0\0\020' && head -c 1048552 /dev/zero; } >disk
	printf '/etc/passwd' | dd of=disk bs=1 seek=104 conv=notrunc status=none
	sha256sum disk >before
	hostile reset
	whole
	sha256sum --quiet -c before
}

test_H8_names_of_a_raw_client() {
	hostile fuse
	whole
	said file is there 1
	said taken 0
	said strange nodes taken 0
	assert_eq "$(find shared | sort | tr '\n' ' ')" 'shared shared/file '
}

test_H9_read_only_memory() {
	hostile pmem
	whole
	said first byte 80
	said changed 0
}

# Rows H11: fuzz_kernel. Here, what a kernel that faults at once does: the machine ends, and says so.
test_H11_kernel_that_faults() {
	hostile triple
	assert_eq "$status" 2 "$errors"
}

test_H12_descriptors_change_meanwhile() {
	hostile -C 2 -t 500 race
	whole
	said second processor 1
	bounded
}

# A guest that does nothing, or never anything else, can be stopped.
test_H3_idle_and_busy_guests_stop() {
	for attack in halt spin; do
		hostile -t 3 "$attack"
		assert_eq "$status" 0 "$errors"
	done
}
