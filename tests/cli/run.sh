#!/bin/bash
# brig run: exit codes, streams, names, environment, user, working directory, what is left behind.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

test_exit_codes() {
	assert_status 0 brig run --rm busybox true
	assert_status 7 brig run --rm busybox sh -c 'exit 7'
	assert_status 127 brig run --rm busybox no-such-program
	assert_contains "$errors" "not found"
	assert_status 126 brig run --rm busybox /etc
	assert_status 125 brig run --rm --no-such-option busybox true
	assert_status 125 brig run --rm --pull never no-such-image true
	assert_eq "$(wc -l <<<"$errors")" 1 "one line"
	assert_status 143 brig run --rm busybox sh -c 'sleep 100 & kill -TERM $!; wait $!'
	nothing_left
}

test_streams() {
	run brig run --rm busybox sh -c 'echo out; echo err >&2'
	assert_eq "$output" out
	assert_eq "$errors" err
	assert_eq "$(echo hello | brig run --rm -i busybox cat)" hello
	assert_eq "$(echo hello | brig run --rm busybox cat)" "" "no input without -i"
	assert_eq "$(brig run --rm -a stderr busybox sh -c 'echo out; echo err >&2' 2>&1)" err
}

test_much_data_both_ways() {
	head -c 20000000 /dev/urandom >data.in
	brig run --rm -i busybox cat <data.in >data.out
	cmp data.in data.out
}

test_detached_prints_the_id() {
	local id
	id=$(brig run -d --name box busybox sleep 100)
	assert_matches "$id" '^[0-9a-f]{64}$'
	assert_eq "$(brig ps -q --no-trunc)" "$id"
	assert_eq "$(brig inspect -f '{{.Name}}' "${id:0:8}")" box
	assert_runs brig rm -f box
	nothing_left
}

test_names() {
	brig run -d --name box busybox sleep 100
	assert_status 125 brig run --name box busybox true
	assert_contains "$errors" "already in use"
	assert_status 125 brig run --name 'a/b' busybox true
	assert_runs brig run -d --replace --name box busybox sleep 100
	assert_eq "$(brig ps -aq | wc -l)" 1
	assert_runs brig rename box other
	assert_fails brig inspect box
	assert_runs brig inspect other
	assert_matches "$(brig inspect -f '{{.Name}}' "$(brig create busybox)")" '^[a-z]+_[a-z]+'
	brig rm -fa
}

test_environment() {
	printf 'A=1\n# comment\n\nB=two words\n' >env.list
	run env OUTER=yes "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" run --rm --env-file env.list \
		-e B=2 -e OUTER -e ABSENT -h name busybox env
	assert_contains "$output" "A=1"
	assert_contains "$output" "B=2"
	assert_contains "$output" "OUTER=yes"
	assert_contains "$output" "HOSTNAME=name"
	assert_contains "$output" "HOME=/root"
	assert_contains "$output" "PATH=/usr/local/sbin:"
	assert_not_contains "$output" ABSENT
	assert_not_contains "$output" BRIG
}

test_user_and_directory() {
	assert_eq "$(brig run --rm -u 12:34 busybox id -u):$(brig run --rm -u 12:34 busybox id -g)" 12:34
	assert_eq "$(brig run --rm -u www-data busybox id -un)" www-data
	assert_eq "$(brig run --rm -u www-data busybox sh -c 'echo $HOME')" /var/www
	assert_status 125 brig run --rm -u nosuchuser busybox true
	assert_contains "$errors" "unable to find user"
	assert_contains "$(brig run --rm --group-add tty --group-add 77 busybox id -G)" "5 77"
	assert_eq "$(brig run --rm -w /tmp busybox pwd)" /tmp
	assert_eq "$(brig run --rm -w /made/now busybox pwd)" /made/now
}

test_entrypoint_and_command() {
	assert_eq "$(brig run --rm --entrypoint echo busybox a b)" "a b"
	assert_status 125 brig run --rm --entrypoint '' busybox
	assert_contains "$errors" "no command"
}

test_host_and_files_of_etc() {
	assert_eq "$(brig run --rm -h web busybox hostname)" web
	assert_eq "$(brig run --rm -h web busybox cat /etc/hostname)" web
	assert_contains "$(brig run --rm --add-host db:10.1.2.3 busybox cat /etc/hosts)" "10.1.2.3"
	assert_contains "$(brig run --rm --network none --dns 9.9.9.9 --dns-search x.example busybox cat /etc/resolv.conf)" \
		"nameserver 9.9.9.9"
	assert_eq "$(brig run --rm --uts host busybox hostname)" "$(hostname)"
}

test_cidfile_and_labels() {
	brig run -d --cidfile cid -l a=b -l c --name box busybox sleep 100
	assert_eq "$(cat cid)" "$(brig inspect -f '{{.Id}}' box)"
	assert_status 125 brig run --cidfile cid busybox true
	assert_eq "$(brig inspect -f '{{.Config.Labels.a}}' box)" b
	assert_eq "$(brig ps -q --filter label=a=b --no-trunc)" "$(cat cid)"
	assert_eq "$(brig ps -q --filter label=a=x)" ""
	assert_eq "$(brig ps -aq | wc -l)" 1 "the failed one left nothing"
	brig rm -f box
}

test_init_reaps_and_passes_signals() {
	assert_eq "$(brig run --rm --init busybox sh -c 'cat /proc/1/comm')" init
	assert_status 4 brig run --rm --init busybox sh -c 'exit 4'
	brig run -d --init --name box busybox sleep 100
	assert_runs brig stop -t 20 box
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' box)" 143 "the signal was passed on, so no 137"
	brig rm box
}

test_read_only() {
	assert_fails brig run --rm --read-only busybox touch /x
	assert_runs brig run --rm --read-only --tmpfs /x busybox touch /x/y
}

test_signals_are_passed_on() {
	local pid
	brig run --name box busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done' >out &
	pid=$!
	wait_for 10 grep -q ready out
	kill -TERM "$(pgrep -P "$pid" -f runroot)" # the process below timeout(1)
	wait "$pid" || status=$?
	assert_eq "$status" 5
	brig rm box
}

test_rm_on_interrupted_start_leaves_nothing() {
	assert_status 125 brig run --rm --device /dev/no-such busybox true
	assert_status 125 brig run --rm --network no-such busybox true
	assert_eq "$(wc -l <<<"$errors")" 1
	assert_status 125 brig run --rm -m 1k busybox true
	assert_status 125 brig run --rm --device-read-bps /dev/null:1m busybox true
	assert_eq "$errors" "brig: --device-read-bps: /dev/null is not a disk"
	assert_status 125 brig run --rm --device-write-bps /dev/no-such:1m busybox true
	assert_status 125 brig run --rm --device-read-iops nonsense busybox true
	assert_status 125 brig run --rm --device-write-iops /dev/null:1m busybox true
	assert_contains "$errors" "is not DEVICE:RATE"
	assert_status 125 brig run --rm --cap-add no_such busybox true
	assert_status 125 brig run --rm --ulimit x busybox true
	nothing_left
}
