# What tests/lib/test.sh promises to the tests.
# where: host
# shellcheck shell=bash

test_each_test_has_an_empty_folder_and_is_process_1() {
	assert_eq "$(pwd -P)" "$(realpath "$TEST_DIR")"
	assert_eq "$(ls)" ""
	assert_eq "$$" 1
}

test_the_network_is_private() {
	assert_eq "$(ls /sys/class/net)" lo
}

test_the_cgroup_is_the_root_of_its_namespace() {
	assert_eq "$(grep '^0::' /proc/self/cgroup)" 0::/init
	assert_eq "$(cat /sys/fs/cgroup/cgroup.controllers)" "$(cat /sys/fs/cgroup/cgroup.subtree_control)"
	mkdir /sys/fs/cgroup/own && rmdir /sys/fs/cgroup/own
}

test_asserts_fail() {
	local bad
	for bad in 'assert_eq a b' 'assert_ne a a' 'assert_contains abc x' 'assert_not_contains abc b' 'assert_matches a ^b' \
		'assert_file nothing' 'assert_no_file .' 'assert_runs false' 'assert_status 2 true' 'assert_fails true' \
		'assert_fails sh -c "kill -SEGV \$\$"' 'wait_for 1 false'; do
		run bash -c ". '$BRIG_TEST_LIB/test.sh'; $bad"
		assert_eq "$status" 1 "$bad"
	done
}

test_asserts_pass() {
	assert_eq a a && assert_ne a b && assert_contains abc b && assert_not_contains abc x
	assert_matches abc '^a.c$' && assert_file . && assert_no_file nothing
	assert_runs echo word && assert_eq "$output" word
	assert_status 3 sh -c 'exit 3'
	assert_fails false
	wait_for 1 true
}

test_the_canary_notices() {
	local change
	host_canary_begin
	host_canary_check
	for change in 'touch -d @1 canary/file' 'chmod 600 canary/setuid' 'echo more >>canary/dir/hardlink' 'rm canary/fifo' \
		'ln -sf elsewhere canary/dangling' 'mount -t tmpfs none canary/empty' 'sleep 50 >/dev/null 2>&1 & sleep 0.1' \
		'mkdir /sys/fs/cgroup/left' 'ip link add left0 type dummy'; do
		eval "$change" || continue
		run bash -c ". '$BRIG_TEST_LIB/test.sh'; host_canary_check"
		assert_eq "$status" 1 "$change"
		[ ! -d /sys/fs/cgroup/left ] || rmdir /sys/fs/cgroup/left
		host_snapshot >.canary
	done
}

test_unprivileged_has_no_capability() {
	assert_eq "$(unprivileged sed -n 's/^CapEff:\t*//p' /proc/self/status)" 0000000000000000
}

test_a_root_file_system_runs() {
	rootfs_make root
	assert_eq "$(chroot root /bin/sh -c 'echo $((6 * 7))')" 42
}

# The outcomes of a file with one test of every kind
test_outcomes_are_told_apart() {
	cat >outcomes.sh <<-'EOF'
	# time-limit: 3
	test_passes() { true; }
	test_fails_in_the_middle() {
		false
		true
	}
	test_skips() { skip "no such thing here"; }
	test_hangs() { sleep 100; }
	test_leaves_a_cgroup() { mkdir /sys/fs/cgroup/left; }
	EOF
	run "$BRIG_TEST_LIB/run" --jobs 1 outcomes.sh
	assert_contains "$output" "ok 1 - outcomes: passes"
	assert_contains "$output" "not ok 2 - outcomes: fails in the middle"
	assert_contains "$output" "ok 3 - outcomes: skips # SKIP no such thing here"
	assert_contains "$output" "not ok 4 - outcomes: hangs"
	assert_contains "$output" "not ok 5 - outcomes: leaves a cgroup"
	assert_contains "$output" "1..5"
	assert_eq "$(find /sys/fs/cgroup -name 'brig-test-*')" ""
}

test_a_second_try_is_asked_for_and_told() {
	mkdir -p tests/attack
	cat >luck.sh <<-EOF
	test_second() { echo trying; [ -e "$PWD/tried" ] || { touch "$PWD/tried" && false; }; }
	test_never() { false; }
	EOF
	cp luck.sh tests/attack/attack.sh
	run env BRIG_TEST_TRIES=2 "$BRIG_TEST_LIB/run" --jobs 1 luck.sh
	assert_contains "$output" $'ok 1 - luck: second\n# unsteady: try 1 of 2 failed\n# trying'
	assert_contains "$output" "not ok 2 - luck: never"
	echo "$output" >tap
	assert_status 1 "$BRIG_TEST_LIB/count" suite tap
	assert_contains "$output" "unsteady: suite: luck: second: try 1 of 2 failed"$'\n'"    trying"
	assert_contains "$output" "1 passed, 1 failed, 0 skipped"
	rm tried
	run env BRIG_TEST_TRIES=1 "$BRIG_TEST_LIB/run" --jobs 1 luck.sh
	assert_contains "$output" "not ok 1 - luck: second"
	rm tried
	run env BRIG_TEST_TRIES=2 "$BRIG_TEST_LIB/run" --jobs 1 tests/attack/attack.sh
	assert_contains "$output" "not ok 1 - attack: second"
}

test_the_first_of_each_file_is_asked_for() {
	printf 'test_one() { :; }\ntest_two() { false; }\n' | tee a.sh >b.sh
	run env BRIG_TEST_TRIES=1 "$BRIG_TEST_LIB/run" --jobs 1 --first a.sh b.sh
	assert_eq "$output" "ok 1 - a: one
ok 2 - b: one
1..2"
}

test_a_skip_that_is_not_expected_fails_the_run() {
	printf '%s\n' 'ok 1 - a' 'ok 2 - b # SKIP no' >tap
	assert_status 1 "$BRIG_TEST_LIB/count" suite tap
	assert_contains "$output" "1 passed, 0 failed, 1 skipped"
	echo 'suite: b # it cannot run there' >expected
	assert_runs env BRIG_EXPECTED_SKIPS="$PWD/expected" "$BRIG_TEST_LIB/count" suite tap
	echo 'not ok 1 # SKIP b' >tap # as older versions of cmocka write it
	assert_runs env BRIG_EXPECTED_SKIPS="$PWD/expected" "$BRIG_TEST_LIB/count" suite tap
	assert_contains "$output" "0 passed, 0 failed, 1 skipped"
	echo 'not ok 1 # SKIP c' >tap
	assert_status 1 env BRIG_EXPECTED_SKIPS="$PWD/expected" "$BRIG_TEST_LIB/count" suite tap
}

test_what_a_failed_test_printed_is_told() {
	printf '%s\n' 'ok 1 - a' '# of a' 'not ok 2 - b' '# why' '# and where' 'ok 3 - c' '# of c' 'not ok 4 - d' >tap
	assert_status 1 "$BRIG_TEST_LIB/count" suite tap
	assert_eq "$output" "failed: suite: b
    why
    and where
failed: suite: d
2 passed, 2 failed, 0 skipped"
	{ echo 'not ok 1 - long' && seq -f '# %g.' 30; } >tap
	assert_status 1 "$BRIG_TEST_LIB/count" suite tap
	assert_contains "$output" $'failed: suite: long\n    11.\n'
	assert_contains "$output" $'    30.\n0 passed'
}

# An entry that is left behind would leave out a test of the same name.
test_what_cannot_be_with_virtual_machines_is_there() {
	local tests=$BRIG_TEST_LIB/.. file function reason
	while read -r file function reason; do
		grep -q "^$function() {" "$tests/integration/$file.sh" || fail "$file has no $function"
		grep -q "'${file#oci_}'" "$tests/meson.build" || fail "$file is not run with virtual machines"
		[ -n "$reason" ] || fail "$file $function: why not?"
	done <"$tests/microvm/cannot"
}
