#!/bin/bash
# What `brig run` and `brig update` limit is what the kernel limits; stats, and the end for want of memory, are told.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# of NAME FILE: what its cgroup's FILE says
of() {
	cat "/sys/fs/cgroup/brig-$(brig inspect -f '{{.Id}}' "$1")/$2"
}

# idle NAME OPTION...: a container that does nothing
idle() {
	assert_runs brig run -d --network none --name "$@" busybox sleep 1000
}

test_limits_are_those_of_the_cgroup() {
	idle box -m 64m --memory-reservation 32m --memory-swap 96m --cpus 0.5 --pids-limit 20 --cpu-shares 512 --cpuset-cpus 0
	assert_eq "$(of box memory.max)" $((64 << 20))
	assert_eq "$(of box memory.low)" $((32 << 20))
	assert_eq "$(of box memory.swap.max)" $((32 << 20)) "both together are 96"
	assert_eq "$(of box cpu.max)" "50000 100000"
	assert_eq "$(of box cpu.weight)" 59 "512 shares"
	assert_eq "$(of box cpuset.cpus.effective)" 0
	assert_eq "$(of box pids.max)" 20
	assert_eq "$(brig inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' box)" "$((64 << 20)) 20"
	idle two --cpu-quota 30000 --cpu-period 60000 --memory 32m --memory-swap -1
	assert_eq "$(of two cpu.max)" "30000 60000"
	assert_eq "$(of two memory.swap.max)" max
	assert_fails brig run --rm --network none --cpus 0 busybox true
	assert_fails brig run --rm --network none -m 64m --memory-swap 32m busybox true
	brig rm -af
}

# A block device of this machine, and what it is called in io.max
test_disks() {
	local disk number
	modprobe loop 2>/dev/null || :
	disk=$(lsblk -dnpo NAME | head -n 1)
	[ -n "$disk" ] || disk=/dev/loop0
	[ -b "$disk" ] || skip "there is no block device"
	number=$((0x$(stat -c %t "$disk"))):$((0x$(stat -c %T "$disk")))
	idle box --blkio-weight 500 --device-write-bps "$disk:1mb" --device-read-iops "$disk:100"
	assert_contains "$(of box io.max)" "$number "
	assert_contains "$(of box io.max)" wbps=1048576
	assert_contains "$(of box io.max)" riops=100
	assert_matches "$(cat /sys/fs/cgroup/brig-*/io{,.bfq}.weight 2>/dev/null || :)" "default [0-9]+"
	assert_fails brig run --rm --network none --blkio-weight 5 busybox true
	brig rm -af
}

test_pids_limit_holds() {
	run brig run --rm --network none --pids-limit 5 busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 20 & done; echo all'
	assert_contains "$errors" fork
	assert_not_contains "$output" all
}

# ended_for_memory NAME: whether it is told so everywhere
ended_for_memory() {
	assert_eq "$(brig inspect -f '{{.State.OOMKilled}}' "$1")" true
	assert_eq "$(brig events --since 1h --until 0s --filter container="$1" --filter event=oom --format '{{.Action}}')" oom
}

test_the_end_for_want_of_memory() {
	run brig run --name hog --network none -m 16m --memory-swap 16m busybox tail /dev/zero
	assert_eq "$status" 137
	ended_for_memory hog
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' hog)" 137
	assert_contains "$(brig ps -a --filter name=hog --format '{{.Status}}')" "Exited (137)"
	assert_contains "$(brig events --since 1h --until 0s --filter event=die --format '{{json .}}')" '"exitCode":"137"'
	# One process of it, and the container goes on
	assert_runs brig run --name part --network none -m 16m --memory-swap 16m busybox sh -c 'tail /dev/zero; echo "it had $?"'
	assert_contains "$output" "it had 137"
	ended_for_memory part
	assert_runs brig run --name fine --network none -m 16m busybox true
	assert_eq "$(brig inspect -f '{{.State.OOMKilled}}' fine)" false
	run brig run --rm --network none -m 16m --memory-swap 16m busybox tail /dev/zero
	assert_eq "$status" 137
	brig rm -af
}

test_stats() {
	assert_runs brig run -d --name box --network none -m 64m busybox \
		sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; : >/dev/shm/done; while :; do :; done'
	written() { brig exec box test -e /dev/shm/done; }
	wait_for 60 written
	local stats
	stats=$(brig stats --no-stream --format '{{json .}}' box)
	assert_matches "$(jq -r .MemUsage <<<"$stats")" '^2[0-9](\.[0-9]+)?MiB / 64MiB$'
	assert_matches "$(jq -r .MemPerc <<<"$stats")" '^[34][0-9]\.[0-9]+%$'
	assert_eq "$(jq -r .PIDs <<<"$stats")" 1
	assert_ne "$(jq -r .CPUPerc <<<"$stats")" 0.00%
	assert_eq "$(brig stats --no-stream --format '{{.Name}}')" box
	brig rm -af
}

test_update() {
	idle box -m 64m --pids-limit 20
	assert_runs brig update --memory 128m --memory-swap 128m --cpus 1.5 --pids-limit 50 box
	assert_eq "$(of box memory.max) $(of box cpu.max) $(of box pids.max)" "$((128 << 20)) 150000 100000 50"
	assert_runs brig update --pids-limit 0 box
	assert_eq "$(of box pids.max)" max
	assert_runs brig update --pids-limit 30 box
	assert_runs brig update --pids-limit -1 --cpu-quota 20000 box
	assert_eq "$(of box pids.max) $(of box cpu.max)" "max 20000 100000"
	assert_eq "$(of box memory.max)" $((128 << 20)) "what was not asked for stays"
	assert_fails brig update --blkio-weight 5 box
	# What was changed is what the next start has; so also of one that does not run
	assert_runs brig stop -t 0 box
	assert_runs brig update --memory 96m --memory-swap 96m box
	assert_runs brig start box
	assert_eq "$(of box memory.max) $(of box pids.max) $(of box cpu.max)" "$((96 << 20)) max 20000 100000"
	brig rm -af
}
