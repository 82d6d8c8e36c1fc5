#!/bin/bash
# Options and verbs that no other file comes to: each does what its help says.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# config NAME JQ-FILTER: of what the runtime was given for a container that runs
config() {
	jq -c "$2" "run/runtime/$(brig inspect -f '{{.Id}}' "$1")/config.json"
}

test_options_of_run() {
	printf 'from=file\n# no label\nother\n' >labels
	brig run -d --name box --network none --annotation a.b=c --domainname d.example --label-file labels --expose 81/udp \
		--cgroup-parent /tests --cgroupns host --dns-option ndots:3 busybox sleep 100
	assert_eq "$(config box '.annotations["a.b"]')" '"c"'
	assert_eq "$(config box .domainname)" '"d.example"'
	assert_eq "$(brig inspect -f '{{.Config.Labels.from}}' box)" file
	assert_contains "$(brig inspect box)" '"81/udp"'
	assert_matches "$(config box .linux.cgroupsPath)" '^"/tests/brig-'
	assert_eq "$(brig exec box readlink /proc/self/ns/cgroup)" "$(readlink /proc/self/ns/cgroup)"
	assert_contains "$(brig exec box cat /etc/resolv.conf)" "options ndots:3"
	brig rm -f box
	rmdir /sys/fs/cgroup/unified/tests /sys/fs/cgroup/tests 2>/dev/null || :
}

test_options_of_the_network() {
	brig network create --subnet 10.89.77.0/24 ours
	brig run -d --name box --network ours --network-alias other --mac-address 02:11:22:33:44:55 --ip 10.89.77.9 busybox \
		sleep 100
	assert_contains "$(brig exec box ip addr)" "02:11:22:33:44:55"
	assert_contains "$(brig exec box ip addr)" "10.89.77.9/24"
	assert_contains "$(brig run --rm --network ours busybox nslookup other)" 10.89.77.9
	brig rm -f box
	brig run -d --name box -P --expose 8000 busybox sleep 100
	assert_contains "$(brig port box)" "8000/tcp -> "
	brig rm -f box
	brig network rm ours
	brig network create --ipv6 --subnet fd09::/64 six
	assert_contains "$(brig run --rm --network six --ip6 fd09::9 busybox ip addr)" "fd09::9/64"
	brig network rm six
}

# Every verb about containers is there as "container VERB" too
test_groups_have_all_verbs() {
	local verb
	brig container create --name box --network none busybox sh -c 'echo hello; exec sleep 100' >/dev/null
	assert_runs brig container exists box
	assert_status 1 brig container exists no-such
	brig container start box
	brig container ls | grep -q box && brig container ps | grep -q box && brig container list | grep -q box
	assert_contains "$(brig container top box)" sleep
	assert_eq "$(brig container exec box echo x)" x
	wait_for 10 eval '[ -n "$(brig container logs box)" ]'
	assert_eq "$(brig container logs box)" hello
	brig container rename box other
	brig container pause other && brig container unpause other
	echo x >file && brig container cp file other:/file
	brig container restart -t 0 other
	brig container kill other
	assert_eq "$(brig container wait other)" 137
	assert_contains "$(brig container diff other)" "A /file"
	assert_contains "$(brig container export other | tar -t)" file
	brig container commit other localhost/made:1 >/dev/null
	assert_eq "$(brig container inspect -f '{{.Name}}' other)" other
	assert_eq "$(brig container port other)" ""
	assert_eq "$(brig container run --rm --network none made:1 cat /file)" x
	for verb in attach stats update; do
		assert_contains "$(brig container $verb --help)" "Usage: brig container $verb"
	done
	brig container stop -t 0 other
	brig container remove other
	brig container prune -f
	brig image remove made:1
	printf x | brig secret create s - && brig secret remove s
	brig network create ours && brig network remove ours
	nothing_left
}

# A number of processes that follow the command line's signals, and one that does not
test_start_without_signals() {
	brig create --name box --network none busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
	brig start --attach --sig-proxy=false box >out &
	wait_for 10 grep -q ready out
	kill -TERM "$(pgrep -P $! -f runroot)"
	wait $! || :
	assert_eq "$(state_of box)" running
	brig rm -f -t 0 box
}

test_health() {
	brig run -d --name box --network none --health-cmd false --health-interval 100ms --health-retries 1 \
		--health-start-period 100s busybox sleep 100
	sleep 1
	assert_eq "$(brig inspect -f '{{.State.Health.Status}}' box)" starting
	brig rm -f box
	brig create --name box --no-healthcheck busybox true
	assert_not_contains "$(brig ps -a)" health
	assert_status 125 brig create --no-healthcheck --health-cmd true busybox true
	brig rm box
}

test_no_signals_are_passed_on() {
	brig run --name box --network none --sig-proxy=false busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done' \
		>out &
	wait_for 10 grep -q ready out
	kill -TERM "$(pgrep -P $! -f runroot)"
	wait $! || :
	assert_eq "$(state_of box)" running
	brig stop -a -t 0
	assert_eq "$(state_of box)" exited
	brig rm box
}

test_all_and_signal() {
	local loop='trap "exit 3" USR1; trap "exit 4" TERM; while :; do sleep 0.05; done'
	brig run -d --name one --network none busybox sh -c "$loop"
	brig run -d --name two --network none busybox sh -c "$loop"
	sleep 0.5
	brig pause --all
	assert_eq "$(state_of one) $(state_of two)" "paused paused"
	brig unpause --all
	assert_eq "$(state_of one) $(state_of two)" "running running"
	brig stop --signal USR1 one
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' one)" 3
	brig restart --all --signal TERM --time 5
	assert_eq "$(state_of one) $(state_of two)" "exited running" "of those that run"
	brig start one
	assert_eq "$(state_of one) $(state_of two)" "running running"
	assert_runs brig restart --ignore no-such
	sleep 0.5
	brig kill --all --signal USR1
	wait_for 10 has_state one exited
	wait_for 10 has_state two exited
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' two)" 3
	brig rm -a
}

test_exec_and_attach() {
	printf 'A=from-file\n' >env.list
	brig run -d --name box --network none busybox sh -c 'while sleep 0.2; do echo late; done'
	assert_eq "$(brig exec --env-file env.list box sh -c 'echo $A')" from-file
	assert_status 125 brig exec --env-file no-such box true
	timeout 5 "$BRIG" --root data --runroot run attach --sig-proxy=false --no-stdin box >out || :
	assert_eq "$(sort -u out)" late
	brig start box
	assert_status 125 brig attach --detach-keys what box
	brig rm -f box
}

test_cp_keeps_owners_and_follows() {
	mkdir dir && echo x >dir/file && chown 7:8 dir/file && ln -s file dir/link
	brig create --name box --network none busybox true
	brig cp --archive dir box:/kept
	brig cp dir box:/given
	brig cp --follow-link dir/link box:/followed
	brig export box | tar -tv --numeric-owner >list
	assert_matches "$(cat list)" '7/8 .* kept/file'
	assert_matches "$(cat list)" '0/0 .* given/file'
	assert_matches "$(grep followed list)" '^-'
	brig rm box
}

test_sizes_and_long_ids() {
	brig create --name box --network none busybox true
	assert_matches "$(brig ps -a --size)" 'SIZE.*0B'
	assert_contains "$(brig inspect --size box)" SizeRw
	assert_contains "$(brig container ls --all --no-trunc)" "$(brig inspect -f '{{.Id}}' box)"
	assert_eq "$(brig container inspect -f '{{.Name}}' box)" box
	assert_runs brig container rm box
	assert_contains "$(brig info)" version
	assert_eq "$(brig system info)" "$(brig info)"
}

test_commit_and_events() {
	brig run --name box --network none busybox touch /made
	brig commit --author someone --pause=false box made
	assert_contains "$(brig image inspect made)" someone
	assert_eq "$(brig run --rm --network none made ls /made)" /made
	assert_eq "$(brig events --since 1h --until 30m --no-stream)" ""
	assert_contains "$(brig events --since 1h --until 1s --no-stream; brig events --since 1h --no-stream)" commit
	brig rm box
}

test_units() {
	brig create --name box --network none busybox true
	brig generate systemd --requires a.service --wants b.service --restart-policy always --stop-timeout 5 box >unit
	assert_contains "$(cat unit)" "Requires=a.service"
	assert_contains "$(cat unit)" "Wants=b.service"
	assert_contains "$(cat unit)" "Restart=always"
	assert_contains "$(cat unit)" "TimeoutStopSec=65"
	assert_fails brig generate systemd --restart-policy whenever box
	brig rm box
}

# Limits need controllers that this place may not have: here only that they are understood and refused alike
test_bad_limits() {
	local option
	for option in --blkio-weight=5 --cpu-quota=x --cpu-period=-1 --cpus=none --pids-limit=many --memory-reservation=1x \
		--ulimit=nofile=5:4 --stop-timeout=-3 --shm-size=much --oom-score-adj=high; do
		assert_status 125 brig run --rm --network none "$option" busybox true
		assert_eq "$(wc -l <<<"$errors")" 1 "$option"
		assert_contains "$errors" "${option%%=*}"
	done
	nothing_left
}
