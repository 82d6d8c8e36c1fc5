#!/bin/bash
# ps, inspect, logs, exec, top, stats, attach.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

test_ps() {
	brig run -d --name one busybox sleep 100
	brig run --name two busybox true
	assert_eq "$(brig ps --format '{{.Names}}')" one
	assert_eq "$(brig ps -a --format '{{.Names}}')" $'two\none' "the newest first"
	assert_eq "$(brig ps -l --format '{{.Names}}')" two
	assert_eq "$(brig ps -n 1 --format '{{.Names}}')" two
	assert_contains "$(brig ps | head -1)" "CONTAINER ID   IMAGE     COMMAND"
	assert_contains "$(brig ps -a)" "Exited (0)"
	assert_eq "$(brig ps -aq --filter status=exited | wc -l)" 1
	assert_eq "$(brig ps -a --filter name=tw --format '{{.Image}} {{.Command}}')" 'busybox "true"'
	assert_eq "$(brig ps -a --filter exited=0 --format '{{.Names}}')" two
	assert_eq "$(brig ps -a --filter before=two --format '{{.Names}}')" one
	assert_eq "$(brig ps --format json | jq -r .State)" running
	assert_fails brig ps --filter colour=red
	assert_fails brig ps --format '{{.NoSuch}}'
	brig rm -fa
}

test_inspect() {
	brig create --name box -v data:/d -e A=b --memory-swap -1 --cpus 1.5 --restart no busybox sleep 100
	assert_eq "$(brig inspect box | jq -r '.[0].Config.Env[] | select(startswith("A="))')" A=b
	assert_eq "$(brig inspect -f '{{.HostConfig.NanoCpus}}' box)" 1500000000
	assert_eq "$(brig inspect -f '{{(index .Mounts 0).Destination}}' box)" /d
	assert_eq "$(brig inspect -f '{{json .State.Running}}' box)" false
	assert_fails brig inspect box no-such
	assert_contains "$errors" no-such
	brig rm -f box
}

test_logs() {
	brig run --name box busybox sh -c 'for i in 1 2 3 4 5; do echo $i; done; echo end >&2'
	assert_eq "$(brig logs box 2>/dev/null)" $'1\n2\n3\n4\n5'
	assert_eq "$(brig logs box 2>&1 >/dev/null)" end
	assert_eq "$(brig logs --tail 2 box 2>/dev/null)" 5
	assert_eq "$(brig logs --tail 0 box 2>&1)" ""
	assert_matches "$(brig logs -t --tail 1 box 2>&1)" '^20[0-9-]+T[0-9:.]+Z end$'
	assert_eq "$(brig logs --since 1h box 2>&1 | wc -l)" 6
	assert_eq "$(brig logs --until 1h box 2>&1)" ""
	brig rm box
}

test_logs_of_any_bytes() {
	head -c 100000 /dev/urandom >bytes
	brig run --name box -i busybox cat <bytes >/dev/null
	brig logs box >copy
	cmp bytes copy
	brig run --name text busybox printf 'no newline, "quotes" and \\ and \t tab'
	assert_eq "$(brig logs text)" $'no newline, "quotes" and \\ and \t tab'
	brig rm -a
}

test_logs_follow() {
	brig run -d --name box busybox sh -c 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done'
	assert_eq "$(brig logs -f box)" $'1\n2\n3\n4\n5\n6'
	brig rm box
}

test_logs_rotate() {
	brig run --name box --log-opt max-size=16k --log-opt max-file=2 busybox sh -c 'seq 1 2000'
	local dir
	dir=$TEST_DIR/data/containers/$(brig inspect -f '{{.Id}}' box)
	assert_eq "$(find "$dir" -name 'log*' | wc -l)" 2
	[ "$(cat "$dir"/log* | wc -c)" -lt 40000 ] || fail "the log has grown"
	assert_eq "$(brig logs box | tail -1)" 2000
	assert_eq "$(brig logs --tail 3 box)" $'1998\n1999\n2000'
	brig run --name none --log-driver none busybox echo x
	assert_fails brig logs none
	brig rm -a
}

test_exec() {
	brig run -d --name box -e OUTER=1 -w /tmp busybox sleep 100
	assert_eq "$(brig exec box pwd)" /tmp
	assert_eq "$(brig exec box sh -c 'echo $OUTER')" 1
	assert_eq "$(brig exec -e A=b -w / box sh -c 'echo $A $PWD')" "b /"
	assert_eq "$(brig exec -u www-data box id -un)" www-data
	assert_eq "$(echo in | brig exec -i box cat)" in
	assert_eq "$(echo in | brig exec box cat)" ""
	assert_status 3 brig exec box sh -c 'exit 3'
	assert_status 127 brig exec box no-such
	assert_status 126 brig exec box /etc
	assert_status 125 brig exec no-such true
	brig exec -d box touch /made
	wait_for 10 brig exec box test -e /made
	assert_eq "$(brig exec -u 1000 box grep CapEff /proc/self/status | cut -f2)" 0000000000000000
	assert_eq "$(brig exec --privileged box grep CapEff /proc/self/status | cut -f2)" \
		"$(brig run --rm --privileged busybox grep CapEff /proc/self/status | cut -f2)"
	brig stop -t 0 box
	assert_status 125 brig exec box true
	brig rm box
}

test_top_and_stats() {
	brig run -d --name box busybox sh -c 'sleep 100; true'
	assert_contains "$(brig top box)" "sleep 100"
	assert_contains "$(brig top box -o pid,comm)" sleep
	assert_eq "$(brig stats --no-stream --format '{{.Name}}')" box
	assert_matches "$(brig stats --no-stream --format '{{.CPUPerc}}' box)" '^[0-9.]+%$'
	brig create --name idle busybox true
	assert_eq "$(brig stats --no-stream --all --format '{{.Name}}' | sort | xargs)" "box idle"
	assert_eq "$(brig stats --no-stream --no-trunc --format '{{.ID}}' box)" "$(brig inspect -f '{{.Id}}' box)"
	brig rm idle
	assert_fails brig top no-such
	brig rm -f box
}

test_attach() {
	brig run -d -i --name box busybox sh -c 'while read -r line; do echo "got $line"; done; exit 6'
	run bash -c "(sleep 0.3; echo hello) | '$BRIG' --root '$TEST_DIR/data' --runroot '$TEST_DIR/run' attach box"
	assert_eq "$status" 6
	assert_eq "$output" "got hello"
	assert_fails brig attach box
	brig rm box
}

test_two_watch_one() {
	brig run -d --name box busybox sh -c 'sleep 1; seq 1 5000'
	brig attach --no-stdin box >one &
	brig attach --no-stdin box >two
	wait $!
	assert_eq "$(md5sum <one)" "$(md5sum <two)"
	assert_eq "$(wc -l <one)" 5000
	brig rm box
}

test_completion_knows_what_is_there() {
	local line
	mkdir bin && ln -s "$BRIG" bin/brig
	# shellcheck source=/dev/null
	. <(brig completion bash)
	completed() {
		# shellcheck disable=SC2034
		COMP_LINE=$1 COMP_POINT=${#1}
		PATH=$PWD/bin:$PATH _brig
		echo "${COMPREPLY[*]}"
	}
	brig create --name box --network none busybox true
	brig network create ours && brig volume create vol
	line="brig --root $TEST_DIR/data --runroot $TEST_DIR/run"
	assert_eq "$(completed "$line start b")" box
	assert_eq "$(completed "$line rmi localhost/busybox:l")" latest
	assert_eq "$(completed "$line network connect o")" ours
	assert_eq "$(completed "$line network connect ours b")" box
	assert_eq "$(completed "$line volume inspect ")" vol
	assert_eq "$(completed "$line run --network o")" ours
	assert_eq "$(completed "brig network dis")" disconnect
	assert_eq "$(completed "brig run --pull=n")" "never newer"
	assert_eq "$(completed "brig run --record")" "--record-seccomp"
	brig network rm ours && brig volume rm vol && brig rm box
}

# calls COMMAND...: how many system calls it makes
calls() {
	strace -f -c -U calls,name -o counted "$@" >/dev/null
	awk '$2 == "total" { print $1 }' counted
}

# A list of a thousand is as quick as each of them is cheap
test_ps_takes_few_calls_for_each() {
	local ps=("$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" ps) one three
	command -v strace >/dev/null || skip "no strace"
	brig run -d --network none --name box1 busybox sleep 100
	one=$(calls "${ps[@]}")
	brig run -d --network none --name box2 busybox sleep 100
	brig run -d --network none --name box3 busybox sleep 100
	three=$(calls "${ps[@]}")
	# its folder; two files by three; its process; its cgroup by three
	[ $(((three - one) / 2)) -le 14 ] || fail "$(((three - one) / 2)) calls for each: $(cat counted)"
	brig rm -af -t 0
}

# read_again: which containers' records a `ps` opens
read_again() {
	strace -e trace=openat -o opened "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" ps -aq --no-trunc >listed
	sed -n 's|.*"\([0-9a-f]\{64\}\)/container\.json".*|\1|p' opened
}

# What has not changed since the last list is not read again
test_ps_reads_what_has_changed() {
	local ps=("$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" ps) none all i id
	command -v strace >/dev/null || skip "no strace"
	none=$(calls "${ps[@]}")
	for i in {1..20}; do brig run -d --network none --name "box$i" busybox sleep 1000 >/dev/null; done
	assert_eq "$(read_again | wc -l)" 20
	assert_eq "$(read_again | wc -l)" 20 "they were changed just now: the clock of files may not tell a change"
	sleep 3.1
	assert_eq "$(read_again | wc -l)" 20
	assert_eq "$(read_again)" ""
	assert_eq "$(wc -l <listed)" 20
	all=$(calls "${ps[@]}" --filter name=box20)
	[ $(((all - none) / 20)) -le 2 ] || fail "$(((all - none) / 20)) calls for each that does not fit: $(cat counted)"
	all=$(calls "${ps[@]}")
	# its folder; its process by four, where pidfds have numbers; its cgroup by three
	[ $(((all - none) / 20)) -le 9 ] || fail "$(((all - none) / 20)) calls for each: $(cat counted)"
	brig rename box3 other
	brig stop -t 0 box4 >/dev/null
	brig pause box5
	assert_eq "$(read_again | sort)" "$(brig inspect -f '{{.Id}}' other box4 | sort)"
	assert_eq "$(brig ps -a --format '{{.Names}} {{.State}}' | grep -v running | sort)" $'box4 exited\nbox5 paused'
	assert_contains "$(brig ps --format '{{.Names}}')" other
	id=$(brig inspect -f '{{.Id}}' box6)
	grep -q "$id" run/records || fail "not kept"
	brig rm -f -t 0 box6
	assert_eq "$(brig ps -aq | wc -l)" 19
	! grep -q "$id" run/records || fail "what is gone is kept nowhere"
	# What is kept may be anything: it is not needed
	for i in 0 1 16 200 3000; do
		head -c "$i" run/records >shorter && mv shorter run/records
		assert_eq "$(brig ps -aq | wc -l)" 19 "$i bytes"
	done
	brig unpause box5
	brig rm -af -t 0
}

# edit FILE FILTER: as its writers do, a new file in its place
edit() {
	jq -c "$2" "$1" >edited
	mv edited "$1"
}

# has_ended PID: a zombie at the most, which comes after its files have gone
has_ended() {
	! grep -qs '^State:.[^ZX]' "/proc/$1/status"
}

# Its state by what the monitor has noted, and by the runtime's record where that is not enough
test_ps_tells_who_lives() {
	local id status pid filter
	brig run -d --network none --name box busybox sleep 1000 >/dev/null
	id=$(brig inspect -f '{{.Id}}' box)
	status=data/containers/$id/status.json
	cp "$status" noted
	assert_eq "$(jq 'has("pidStart") and has("cgroup")' "$status")" true
	# As an older version has it, of another boot, of another process, of a cgroup that is not there
	for filter in 'del(.pidStart, .pidInode, .cgroup)' '.boot = "x"' '.pidStart += 1 | .pidInode += 1' '.cgroup = "/none"' \
		'del(.pidInode)'; do
		cp noted "$status"
		edit "$status" "$filter"
		assert_eq "$(brig ps --format '{{.State}}')" running "$filter"
		brig pause box
		assert_eq "$(brig ps --format '{{.State}}')" paused "$filter"
		brig unpause box
	done
	cp noted "$status"
	pid=$(jq .pid "$status")
	kill -KILL "$(monitor_of box)"
	assert_eq "$(brig ps --format '{{.State}}')" running "without its monitor"
	kill -KILL "$pid"
	wait_for 30 has_ended "$pid"
	assert_eq "$(brig ps -a --format '{{.State}} {{.Status}}')" "exited Exited (unknown)"
	# Its number is another's by now: who has it is not the container
	sleep 1000 &
	edit "$status" ".pid = $!"
	edit "run/runtime/$id/state.json" ".pid = $!"
	assert_eq "$(brig ps -a --format '{{.State}}')" exited "a number that was used again"
	edit "$status" 'del(.pidInode)'
	assert_eq "$(brig ps -a --format '{{.State}}')" exited "the same without inodes"
	kill $!
	brig rm -f box
}
