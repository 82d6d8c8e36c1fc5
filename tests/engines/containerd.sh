#!/bin/bash
# containerd's ctr through its shim for runc.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

image=docker.io/library/brig-test:latest

import_image() {
	make_archive $engines_dir/ctr.tar "$image" '{Env: ["PATH=/bin"]}' && ctr image import $engines_dir/ctr.tar
}

# ctr_run OPTION... IMAGE ID [ARG...]
ctr_run() {
	ctr run --runtime io.containerd.runc.v2 --runc-binary "$RUNTIME" "$@"
}

remove_all() {
	ctr task kill --signal KILL "$c" || :
	wait_for 60 stopped
	ctr task rm "$c" || :
	ctr container rm "$c" || :
}

status_of() {
	ctr task ls | awk -v id="$c" '$1 == id { print $3 }'
}

stopped() {
	[[ $(status_of) = @(STOPPED|) ]]
}

engines_once containerd-service configure_containerd
engines_once containerd-image import_image
c=test-$$
trap 'remove_all >/dev/null 2>&1 || :' EXIT

test_exit_codes() {
	assert_status 42 ctr_run --rm "$image" "$c" sh -c 'exit 42'
	assert_fails ctr_run --rm "$image" "$c" missing-program
	assert_contains "$errors" 'exec: "missing-program": executable file not found in $PATH'
}

test_life_of_a_container() {
	ctr_run --detach --memory-limit 67108864 --cpus 0.5 "$image" "$c" sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
	assert_eq "$(status_of)" RUNNING
	assert_status 9 ctr task exec --exec-id one "$c" sh -c 'echo inside; id -u; exit 9'
	assert_eq "$output" $'inside\n0'
	assert_fails ctr task exec --exec-id two "$c" missing-program
	assert_contains "$errors" "executable file not found"
	assert_eq "$(cat "/sys/fs/cgroup/default/$c/memory.max")" 67108864
	assert_matches "$(ctr task metrics "$c")" 'memory.usage_limit +67108864'
	assert_matches "$(ctr task metrics "$c")" 'pids.current +[23]'
	assert_contains "$(ctr task ps "$c")" "$(ctr task ls | awk -v id="$c" '$1 == id { print $2 }')"
	ctr task pause "$c"
	assert_eq "$(status_of)" PAUSED
	ctr task resume "$c"
	assert_eq "$(status_of)" RUNNING
	ctr task kill --signal TERM "$c"
	wait_for 60 stopped
	run ctr task rm "$c"
	assert_contains "$output$errors" "7"
	assert_no_file "/sys/fs/cgroup/default/$c"
}

test_terminals() {
	assert_status 5 in_terminal "ctr run --runc-binary $RUNTIME --rm -t $image $c sh -c 'tty; exit 5'"
	assert_eq "$(lines "$output")" /dev/pts/0
}

test_systemd_cgroup() {
	ctr_run --detach --runc-systemd-cgroup --cgroup "system.slice:test:$$" "$image" "$c" sleep 300
	assert_contains "$(cat "/proc/$(ctr task ls | awk -v id="$c" '$1 == id { print $2 }')/cgroup")" "system.slice/test-$$.scope"
}

test_signals_to_all_processes() {
	ctr_run --detach "$image" "$c" sh -c 'sleep 300 & sleep 300 & wait'
	ctr task kill --all --signal KILL "$c"
	wait_for 60 stopped
	run ctr task rm "$c"
	assert_contains "$output$errors" 137
}

test_as_the_documents_say() {
	make_readme_box
	example README.md "ctr run" >try
	assert_contains "$(bash -e try)" uid=0
	ctr_run --detach "$image" "$c" sleep 300
	! is_brig || assert_contains "$("$RUNTIME" --root /run/containerd/runc/default list)" "$c"
}
