#!/bin/bash
# brig run --record-seccomp: a program runs under the profile that was recorded of it, and does nothing else.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

calls() {
	jq -r '.syscalls[].names[]' "$1"
}

test_program_runs_under_its_profile() {
	assert_eq "$(brig run --rm --record-seccomp p.json busybox sh -c 'mkdir /x && ls -d /x')" /x
	jq -e '.defaultAction == "SCMP_ACT_ERRNO"' p.json
	assert_contains "$(calls p.json)" mkdir
	assert_not_contains "$(calls p.json)" symlink
	[ "$(calls p.json | wc -l)" -lt 80 ] || fail "not the smallest: $(calls p.json)"
	assert_eq "$(brig run --rm --security-opt seccomp=p.json busybox sh -c 'mkdir /x && ls -d /x')" /x
	assert_fails brig run --rm --security-opt seccomp=p.json busybox ln -s /x /y
	assert_contains "$errors" "not permitted"
	nothing_left
}

test_all_processes_and_users() {
	brig run -d --name box --record-seccomp p.json busybox sh -c 'chroot / sync; while [ ! -e /end ]; do sleep 0.1; done'
	brig exec box sh -c 'ln /etc/passwd /hard; mkfifo /fifo'
	brig exec -u 33 box true
	brig exec box touch /end
	brig wait box
	for call in chroot sync link mknod; do
		calls p.json | grep -qE "^$call(at)?\$" || fail "$call is missing: $(calls p.json)"
	done
	brig rm box
	brig run -d --name box --security-opt seccomp=p.json busybox sh -c 'while [ ! -e /end ]; do sleep 0.1; done'
	assert_runs brig exec -u 33 box true
	assert_fails brig exec box ln -s /a /b
	brig exec box touch /end
	brig wait box
	brig rm box
}

# With privileges kept, dropped and forbidden the filter is loaded at another moment
test_every_place_of_the_filter() {
	local options
	for options in "" "-u 33" "--cap-drop all" "--privileged" "--security-opt no-new-privileges -u 33" "--init" "-w /tmp"; do
		# shellcheck disable=SC2086
		assert_eq "$(brig run --rm --record-seccomp p.json $options busybox echo a)" a "recorded $options"
		# shellcheck disable=SC2086
		assert_eq "$(brig run --rm $options --security-opt seccomp=p.json busybox echo a)" a "$options"
	done
}

test_program_is_not_disturbed() {
	assert_status 7 brig run --rm --record-seccomp p.json busybox sh -c 'exit 7'
	assert_status 127 brig run --rm --record-seccomp q.json busybox no-such
	assert_no_file q.json
	assert_eq "$(brig run --rm --record-seccomp p.json busybox sh -c 'trap "echo got" USR1; (sleep 0.2; kill -USR1 1) & wait; wait; echo end')" \
		$'got\nend'
	brig run -d --rm --name box --record-seccomp p.json busybox sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	assert_runs brig stop box
	assert_contains "$(calls p.json)" rt_sigaction
}


test_python() {
	local run=(--rm --network none -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro)
	[ -x /usr/bin/python3 ] || fail "needs: python3"
	assert_eq "$(brig run "${run[@]}" --record-seccomp p.json busybox python3 -c 'print(sum(range(10)))')" 45
	assert_eq "$(brig run "${run[@]}" --security-opt seccomp=p.json busybox python3 -c 'print(sum(range(10)))')" 45
	assert_fails brig run "${run[@]}" --security-opt seccomp=p.json busybox python3 -c 'import socket; socket.socket()'
	assert_contains "$errors" "Operation not permitted"
}

test_bad_input() {
	assert_status 125 brig run --rm --record-seccomp /no/such/p.json busybox true
	assert_eq "$errors" "brig: --record-seccomp: write to /no/such: No such file or directory"
	assert_status 125 brig run --rm --record-seccomp p.json --security-opt seccomp=unconfined busybox true
	assert_status 125 brig run --record-seccomp p.json --restart always busybox true
	assert_eq "$(wc -l <<<"$errors")" 1
	nothing_left
}
