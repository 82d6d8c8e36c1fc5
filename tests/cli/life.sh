#!/bin/bash
# A container's life: create, start, stop, restart, kill, wait, pause, rm, policies, health, monitors that die.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

test_create_start_stop() {
	brig create --name box busybox sh -c 'echo started; sleep 100'
	assert_eq "$(state_of box)" created
	assert_eq "$(brig start box)" box
	assert_eq "$(state_of box)" running
	assert_eq "$(brig start box)" box "starting what runs is no error"
	assert_eq "$(brig stop -t 0 box)" box
	assert_eq "$(state_of box)" exited
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' box)" 137
	assert_runs brig stop box
	brig start box
	brig stop -t 0 box
	assert_eq "$(brig logs box)" $'started\nstarted'
	assert_runs brig rm box
	nothing_left
}

test_what_it_wrote_stays() {
	brig run --name box busybox sh -c 'echo kept >/file'
	brig create --name other busybox cat /file
	assert_status 1 brig start -a other
	assert_eq "$(brig cp box:/file - >/dev/null 2>&1; brig cp box:/file copy && cat copy)" kept
	brig rm box other
}

test_start_attached() {
	brig create --name box -i busybox cat
	assert_eq "$(echo hi | brig start -ai box)" hi
	brig create --name seven busybox sh -c 'exit 7'
	assert_status 7 brig start -a seven
	brig rm -a
}

test_stop_signal_and_timeout() {
	brig run -d --name box --stop-signal USR1 busybox sh -c 'trap "exit 3" USR1; while :; do sleep 0.1; done'
	sleep 0.5
	brig stop box
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' box)" 3
	brig rm box
}

test_kill_and_wait() {
	brig run -d --name box busybox sleep 100
	brig wait box >code &
	brig kill box
	wait $!
	assert_eq "$(cat code)" 137
	assert_fails brig kill box
	assert_contains "$errors" "not running"
	assert_fails brig kill no-such
	assert_contains "$errors" "no such container"
	brig rm box
}

test_restart() {
	brig run -d --name box busybox sh -c 'echo x; sleep 100'
	brig restart -t 0 box
	assert_eq "$(state_of box)" running
	wait_for 10 lines_in_log box 2
	brig rm -f box
}

lines_in_log() {
	[ "$(brig logs "$1" | wc -l)" = "$2" ]
}

test_pause() {
	brig run -d --name box busybox sh -c 'while :; do echo x; sleep 0.05; done'
	brig pause box
	assert_eq "$(state_of box)" paused
	assert_contains "$(brig ps)" "(Paused)"
	assert_status 125 brig exec box true
	assert_fails brig pause box
	brig unpause box
	assert_runs brig exec box true
	brig pause box
	assert_runs brig stop -t 0 box
	brig rm box
}

test_rm_refuses_what_runs() {
	brig run -d --name box busybox sleep 100
	assert_fails brig rm box
	assert_contains "$errors" "running"
	assert_runs brig rm -f box
	assert_runs brig rm -f box
	assert_fails brig rm box
	nothing_left
}

test_rm_at_the_end() {
	brig run -d --rm --name box busybox sleep 100
	brig stop -t 0 box
	nothing_left
}

test_restart_policies() {
	brig run -d --name box --restart on-failure:2 busybox sh -c 'echo x; exit 3'
	wait_for 20 has_state box exited
	assert_eq "$(brig logs box)" $'x\nx\nx'
	assert_eq "$(brig inspect -f '{{.RestartCount}} {{.State.ExitCode}}' box)" "2 3"
	brig run -d --name ever --restart always busybox sh -c 'echo x; sleep 0.1'
	wait_for 20 lines_in_log ever 3
	brig stop -t 0 ever
	assert_eq "$(state_of ever)" exited
	sleep 1
	assert_eq "$(state_of ever)" exited "a stopped one stays so"
	brig run -d --name good --restart on-failure busybox true
	wait_for 10 has_state good exited
	assert_eq "$(brig inspect -f '{{.RestartCount}}' good)" 0
	assert_status 125 brig run --rm --restart always busybox true
	assert_status 125 brig run --restart whenever busybox true
	brig rm -fa
}

is_health() {
	[ "$(brig inspect -f '{{.State.Health.Status}}' "$1")" = "$2" ]
}

test_health() {
	brig run -d --name box --health-cmd 'test -e /ok' --health-interval 200ms --health-retries 2 busybox sleep 100
	assert_contains "$(brig ps)" "health: starting"
	wait_for 20 is_health box unhealthy
	assert_contains "$(brig ps)" "(unhealthy)"
	assert_eq "$(brig ps -q --filter health=unhealthy | wc -l)" 1
	brig exec box touch /ok
	wait_for 20 is_health box healthy
	assert_contains "$(brig events --since 1m --no-stream)" health_status
	brig rm -f box
	brig run -d --name slow --health-cmd 'sleep 100' --health-timeout 300ms --health-interval 200ms --health-retries 1 \
		busybox sleep 100
	wait_for 20 is_health slow unhealthy
	brig rm -f slow
}

test_monitor_survives_the_command() {
	local pid
	brig run -d --name box busybox sh -c 'sleep 0.5; echo late; exit 9'
	pid=$(monitor_of box)
	assert_eq "$(cat "/proc/$pid/comm")" brig-monitor
	wait_for 10 has_state box exited
	assert_eq "$(brig logs box)" late
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' box)" 9
	wait_for 10 test ! -e "/proc/$pid"
	brig rm box
}

# What the caller has in its environment is neither kept in memory nor shown, but for what is needed at the next start.
test_monitor_is_small() {
	local pid text
	text=$(head -c 100000 /dev/zero | tr '\0' x)
	A_TOKEN=$text brig run -d --restart on-failure:1 --name box busybox sleep 100
	pid=$(monitor_of box)
	sleep 0.5
	[ "$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")" -le 1024 ] || fail "$(grep -E '^(Vm|Rss)' "/proc/$pid/status")"
	assert_eq "$(tr -d '\0' <"/proc/$pid/environ")" ""
	assert_eq "$(tr -d '\0' <"/proc/$pid/cmdline")" "brig-monitor $(brig inspect -f '{{slice .Id 0 12}}' box)"
	kill -KILL "$(brig inspect -f '{{.State.Pid}}' box)"
	wait_for 10 has_restarted_once
	brig rm -f box
}

has_restarted_once() {
	[ "$(brig inspect -f '{{.State.Status}} {{.RestartCount}}' box)" = 'running 1' ]
}

test_monitor_killed() {
	brig run -d --name box busybox sleep 100
	kill -KILL "$(monitor_of box)"
	assert_eq "$(state_of box)" running
	assert_contains "$(brig ps)" "Up "
	assert_runs brig exec box true
	assert_runs brig stop -t 0 box
	assert_eq "$(state_of box)" exited
	assert_runs brig start box
	kill -KILL "$(monitor_of box)"
	assert_runs brig rm -f box
	nothing_left
}

test_monitor_and_container_killed() {
	local pid
	brig run -d --name box busybox sleep 100
	pid=$(brig inspect -f '{{.State.Pid}}' box)
	kill -KILL "$(monitor_of box)"
	kill -KILL "$pid"
	wait_for 10 has_state box exited
	assert_contains "$(brig ps -a)" "Exited"
	assert_runs brig start box
	assert_eq "$(state_of box)" running
	brig rm -f box
	nothing_left
}

# A container is gone by a rename; who was killed before its files were has left them to prune.
test_files_of_a_removal_that_was_killed() {
	local left
	left=$TEST_DIR/data/containers/.$(printf 'a%.0s' {1..64}).old
	mkdir -p "$left/rootfs" && : >"$left/container.json"
	assert_eq "$(brig ps -aq)" "" "it is none"
	assert_runs brig container prune -f
	[ ! -e "$left" ] || fail "prune leaves it"
	mkdir -p "$left/rootfs"
	assert_runs brig system prune -f
	[ ! -e "$left" ] || fail "system prune leaves it"
}

# What run --rm leaves to the monitor goes soon after it, and is in no list meanwhile
test_what_rm_leaves_goes() {
	assert_runs brig run --rm --name box -p 8080:80 busybox sh -c 'echo x >/x'
	assert_eq "$(brig ps -aq)$(brig network inspect -f '{{json .Containers}}' brig | tr -d '{}[]nul')" ""
	assert_runs brig run --rm --name box -p 8080:80 busybox true
	nothing_left
}

test_prune() {
	brig run --name ended busybox true
	brig run -d --name runs busybox sleep 100
	assert_runs brig container prune -f
	assert_eq "$(brig ps -a --format '{{.Names}}')" runs
	brig rm -f runs
}

test_events() {
	brig run --rm --name box busybox true
	run brig events --since 1m --no-stream --format '{{.Action}}'
	assert_eq "$output" $'create\nstart\ndie\ndestroy'
	run brig events --since 1m --no-stream --filter event=die --format json
	assert_eq "$(jq -r .attributes.exitCode <<<"$output")" 0
}

test_update() {
	brig run -d --name box busybox sleep 100
	assert_runs brig update --restart unless-stopped box
	assert_eq "$(brig inspect -f '{{.HostConfig.RestartPolicy.Name}}' box)" unless-stopped
	assert_fails brig update --restart whenever box
	assert_fails brig update --cpus none box
	brig rm -f box
}
