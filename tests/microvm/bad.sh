#!/bin/bash
# What goes wrong with a machine ends as a stopped container with a reason, or as a refusal; nothing is left.
# where: vm
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# reason_of ID
reason_of() {
	oci state "$1" | jq -r .reason
}

# helper_of NAME: the process of that name of the container's machine
helper_of() {
	pgrep -P "$PID" -f "$1"
}

# gone PID...: no such processes
gone() {
	local pid
	for pid; do
		[ ! -e "/proc/$pid" ] || [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = Z ] || return 1
	done
}

# kernel_with FILE: the machine's kernel is that file, under a name that says this machine's version
kernel_with() {
	local path
	path=$TEST_DIR/vmlinux-$(uname -r)
	cp "$1" "$path"
	echo ".vm.kernel.path = \"$path\""
}

test_file_server_is_killed() {
	start_sh 'echo ready; sleep 600'
	wait_until grep -q ready "$BUNDLE/out"
	kill -KILL "$(helper_of brig-fsd)"
	wait_status "$ID" stopped
	assert_contains "$(reason_of "$ID")" 'file server ended: Killed'
	oci delete "$ID"
	assert_nothing_left
}

test_attendant_is_killed() {
	local vmm fsd
	start_sh 'echo ready; sleep 600'
	wait_until grep -q ready "$BUNDLE/out"
	vmm=$(helper_of brig-vmm) fsd=$(helper_of brig-fsd)
	kill -KILL "$PID"
	wait_status "$ID" stopped
	wait_until gone "$vmm" "$fsd"
	oci delete "$ID"
	assert_nothing_left
}

test_guest_panics() {
	start_sh 'echo ready; while [ ! -e /go ]; do sleep 0.1; done; echo c >/proc/sysrq-trigger; sleep 600' \
		'.linux.readonlyPaths = [] | .linux.maskedPaths = []'
	wait_until grep -q ready "$BUNDLE/out"
	: >"$BUNDLE/rootfs/go"
	wait_status "$ID" stopped
	assert_contains "$(reason_of "$ID")" 'kernel panicked, or started anew: Kernel panic - not syncing: sysrq triggered crash; '
	oci delete "$ID"
	assert_nothing_left
	# Who waits for it is told, too.
	bundle_edit "$BUNDLE" '.process.args[2] |= sub("while.*done; "; "")'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_eq "$CODE" 137
	assert_contains "$ERROR" 'not syncing: sysrq triggered crash'
	assert_nothing_left
}

# Judged by the attendant, which sees the files themselves.
test_mounts_of_the_host_that_cannot_be_shared() {
	[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
	next_container
	bundle_sh "$BUNDLE" 'echo never' \
		'.mounts += [{"destination":"/dev/control","type":"bind","source":"/dev/loop-control","options":["bind"]}]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" '/dev/control is a device of the host'
	assert_nothing_left
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("'"$TEST_DIR"'/sock")'
	bundle_edit "$BUNDLE" '.mounts[-1] = {"destination":"/run/sock","type":"bind","source":"'"$TEST_DIR"'/sock","options":["bind"]}'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" '/run/sock is a socket of the host'
	assert_nothing_left
}

test_kernel_never_boots() {
	export BRIG_VM_BOOT_SECONDS=5
	next_container
	bundle_sh "$BUNDLE" 'echo never' "$(kernel_with "$BRIG_BUILD/tests/attack/guest/hostile")" \
		'.vm.kernel.parameters = ["attack=halt"]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'did not come up within 5 s'
	assert_nothing_left
}

test_kernel_switches_off_or_faults() {
	next_container
	bundle_sh "$BUNDLE" 'echo never' "$(kernel_with "$BRIG_BUILD/tests/attack/guest/hostile")" \
		'.vm.kernel.parameters = ["attack=nothing"]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'switched itself off'
	bundle_edit "$BUNDLE" '.vm.kernel.parameters = ["attack=triple"]'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'panicked, or started anew'
	assert_nothing_left
}

test_no_kernel() {
	next_container
	bundle_sh "$BUNDLE" 'echo never' '.vm.kernel.path = "/no/such/vmlinuz"'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" /no/such/vmlinuz
	head -c 100000 /dev/zero >zeros
	bundle_edit "$BUNDLE" "$(kernel_with zeros)"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" kernel
	echo text >"$TEST_DIR/notes"
	bundle_edit "$BUNDLE" ".vm.kernel.path = \"$TEST_DIR/notes\""
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "$TEST_DIR/notes"
	umount -l /boot && mount -t tmpfs tmpfs /boot
	bundle_edit "$BUNDLE" 'del(.vm)'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'there is no kernel for the virtual machine'
	assert_nothing_left
}

# The machine has the limit and what its kernel needs; only who says what the machine has can say too little.
test_memory_too_small() {
	next_container
	bundle_sh "$BUNDLE" 'echo never' \
		'.vm = {"kernel":{"path":"/boot/vmlinuz-'"$(uname -r)"'"},"hwConfig":{"memory":8388608}}'
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'vm.hwConfig.memory: no kernel boots in 8 MiB'
	assert_nothing_left
	assert_eq "$(run_sh 'echo in one MiB' '.linux.resources.memory = {"limit": 1048576}')" 'in one MiB'
	assert_nothing_left
	# What the runtime needs in the guest is not charged to the container either.
	next_container
	bundle_make "$BUNDLE" '.process.args = ["/true"]' '.linux.resources.memory = {"limit": 262144}'
	cp "$(tool true)" "$BUNDLE/rootfs/true"
	assert_runs oci run --bundle "$BUNDLE" "$ID" </dev/null
	assert_nothing_left
}

# milliseconds
now() {
	date +%s%3N
}

# At any moment of what takes much longer than in a container: it is there and whole, or nothing is.
test_a_signal_at_any_moment_of_create() {
	local i pid begin took code
	bundle_sh "$TEST_DIR/b" 'sleep 600'
	ID=any
	begin=$(now)
	oci create --bundle "$TEST_DIR/b" "$ID" </dev/null >/dev/null 2>&1
	took=$(($(now) - begin))
	oci delete --force "$ID"
	for i in {1..4}; do
		code=0
		"$BRIG_OCI" --root "$TEST_DIR/state" create --bundle "$TEST_DIR/b" "$ID" </dev/null >/dev/null 2>"$TEST_DIR/err" &
		pid=$!
		sleep "$(printf '%d.%03d' $((took * i / 5000)) $((took * i / 5 % 1000)))"
		kill -TERM "$pid" 2>/dev/null || :
		wait "$pid" || code=$?
		if [ "$code" = 0 ]; then
			assert_eq "$(status_of "$ID")" created
			oci delete --force "$ID"
		elif [ "$code" != 143 ]; then # before there was anything to undo
			assert_contains "$(cat "$TEST_DIR/err")" 'interrupted by SIGTERM'
		fi
		assert_nothing_left "signal $i: $(cat "$TEST_DIR/err")"
	done
}

# What all machines share is made outside of the first one's limits.
test_nothing_made_yet_and_little_memory() {
	mkdir -p /var/cache/brig/vm
	mount -t tmpfs tmpfs /var/cache/brig/vm
	assert_eq "$(run_sh 'echo first' '.linux.resources.memory = {"limit": 1048576}')" first
	assert_ne "$(ls /var/cache/brig/vm)" ''
	assert_nothing_left
}

test_disk_is_full() {
	mkdir -p /var/cache/brig/vm
	mount -t tmpfs -o size=256k tmpfs /var/cache/brig/vm
	next_container
	bundle_sh "$BUNDLE" 'echo never'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'No space left'
	assert_eq "$(find /var/cache/brig/vm -type f)" ''
	umount /var/cache/brig/vm
	mkdir -p "$TEST_DIR/state"
	mount -t tmpfs -o size=4k,mode=0700 tmpfs "$TEST_DIR/state"
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" 'No space left'
	assert_eq "$(find "$TEST_DIR/state" -mindepth 1 ! -name '.*')" ''
	umount "$TEST_DIR/state"
	assert_nothing_left
}
