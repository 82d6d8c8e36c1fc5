#!/bin/bash
# brig run --userns as root: which ids, allotted to nobody twice; whose files are; what other verbs make of it.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# pool TEXT: what /etc/subuid and /etc/subgid say
pool() {
	printf '%s\n' "$1" >subids
	for file in /etc/subuid /etc/subgid; do
		! mountpoint -q $file || umount $file
		mount --bind subids $file
	done
}

map() {
	brig run --rm --network none "$@" busybox cat /proc/self/uid_map | xargs
}

test_modes() {
	pool 'containers:2000000:200000'
	assert_eq "$(map --userns host)" "0 0 4294967295"
	assert_eq "$(map --userns auto)" "0 2000000 65536"
	assert_eq "$(map --userns auto:size=1000)" "0 2000000 1000"
	assert_eq "$(map --userns auto:size=1000,uidmapping=500:7000:1)" "0 2000000 500 501 2000501 499 500 7000 1"
	assert_eq "$(map --userns keep-id)" "0 0 4294967295"
	assert_eq "$(map --uidmap 0:5000:100 --uidmap 100:6000:5)" "0 5000 100 100 6000 5"
	assert_eq "$(map --uidmap 0:5000:100 --gidmap 0:6000:100)" "0 5000 100"
	assert_eq "$(brig run --rm --network none --uidmap 0:5000:100 --gidmap 0:6000:100 busybox cat /proc/self/gid_map | xargs)" \
		"0 6000 100"
	assert_eq "$(map --subuidname containers)" "0 2000000 200000"
	assert_eq "$(map --subgidname containers)" "0 2000000 200000"
	nothing_left
}

test_ids_are_nobody_elses() {
	local one two
	pool 'containers:2000000:150000'
	brig run -d --network none --name one --userns auto busybox sleep 100
	brig create --network none --name two --userns auto busybox cat /proc/self/uid_map
	one=$(brig exec one cat /proc/self/uid_map | xargs)
	two=$(brig start -a two | xargs)
	assert_eq "$one" "0 2000000 65536"
	assert_eq "$two" "0 2065536 65536"
	assert_status 125 brig run --network none --userns auto busybox true
	assert_contains "$errors" "no 65536 user ids are free"
	assert_eq "$(wc -l <<<"$errors")" 1
	assert_eq "$(map --userns auto:size=1000)" "0 2131072 1000"
	brig rm -f one
	assert_eq "$(map --userns auto)" "0 2000000 65536" "free again with its container"
	assert_eq "$(brig start -a two | xargs)" "0 2065536 65536" "the same at every start"
	brig rm -f two
}

test_ids_are_nobody_elses_at_once() {
	pool 'containers:2000000:200000'
	for i in 1 2 3 4 5 6 7 8; do
		brig create --network none --userns auto:size=1000 busybox true >"id.$i" &
	done
	wait
	assert_eq "$(brig ps -aq | wc -l)" 8
	assert_eq "$(jq -r '.uidMap[]' data/containers/*/container.json | sort -u | wc -l)" 8
	brig rm -a >/dev/null
}

test_files() {
	pool 'containers:2000000:200000'
	brig run -d --name box --userns auto busybox sh -c 'echo x >/new; chown 33:33 /new; echo y >>/etc/hosts; sleep 100'
	assert_eq "$(brig exec box stat -c %u:%g / /bin/busybox /etc/passwd)" $'0:0\n0:0\n0:0'
	assert_eq "$(brig exec box id -u)" 0
	assert_eq "$(brig exec -u www-data box id -u)" 33
	assert_eq "$(stat -c %u "/proc/$(brig inspect -f '{{.State.Pid}}' box)")" 2000000
	wait_for 10 brig exec box test -e /new
	assert_contains "$(brig exec box cat /etc/hosts)" y
	assert_fails brig exec box sh -c 'echo 1 >/proc/sys/kernel/panic'
	assert_eq "$(stat -c %u data/images/containers/*/upper/new)" 2000033
	echo in >in && brig cp in box:/in
	assert_eq "$(brig exec box stat -c %u:%g /in)" 0:0
	brig cp box:/new out && assert_eq "$(stat -c %u:%g out) $(cat out)" "0:0 x"
	brig stop -t 0 box
	assert_not_contains "$(brig diff box)" "/bin"
	assert_contains "$(brig diff box)" "A /new"
	brig cp in box:/stopped
	brig start box
	assert_eq "$(brig exec box stat -c %u:%g /stopped)" 0:0
	brig rm -f box
}

test_images_of_it_have_its_own_ids() {
	pool 'containers:2000000:200000'
	brig run --network none --name box --userns auto busybox sh -c 'echo x >/new; chown 33:34 /new'
	assert_runs brig commit box made
	# A layer that says nothing of its root has one that everybody may walk through
	assert_eq "$(brig run --rm --network none -u 33 made stat -c %a /)" 755
	assert_eq "$(brig run --rm --network none made stat -c %u:%g /new /)" $'33:34\n0:0'
	brig export box | tar -tv --numeric-owner >list
	assert_contains "$(grep new list)" 33/34
	assert_contains "$(grep bin/busybox list)" 0/0
	brig rm box
}

test_volumes() {
	pool 'containers:2000000:200000'
	mkdir dir && echo x >dir/file
	assert_eq "$(brig run --rm --network none --userns auto -v "$PWD/dir:/d" busybox stat -c %u /d/file)" 65534
	assert_eq "$(brig run --rm --network none --userns auto -v "$PWD/dir:/d:idmap" busybox stat -c %u /d/file)" 0
	brig run --rm --network none --userns auto -v "$PWD/dir:/d:idmap" busybox touch /d/made
	assert_eq "$(stat -c %u dir/made)" 0
	assert_eq "$(brig run --rm --network none --userns auto -u 33 -v "$PWD/dir:/d:U" busybox stat -c %u /d/file)" 33
	assert_eq "$(stat -c %u dir/file)" 2000033
	assert_eq "$(brig run --rm --network none --userns auto -u 33 -v data:/etc busybox stat -c %u /etc/passwd)" 0
	assert_eq "$(stat -c %u data/volumes/data/_data/passwd)" 2000000
	assert_eq "$(brig run --rm --network none --userns auto -v raw:/etc:idmap busybox stat -c %u /etc/passwd)" 0
	assert_eq "$(stat -c %u data/volumes/raw/_data/passwd)" 0
	assert_runs brig run --rm --network none --userns auto -v new:/new busybox touch /new/file
	brig volume rm data raw new
}

test_another_ones_namespace() {
	local pid
	pool 'containers:2000000:200000'
	brig run -d --network none --name one --userns auto busybox sleep 100
	assert_eq "$(brig run --rm --network none --userns container:one busybox readlink /proc/self/ns/user)" \
		"$(brig exec one readlink /proc/self/ns/user)"
	assert_eq "$(brig run --rm --network none --userns container:one busybox stat -c %u /bin/busybox)" 0
	pid=$(brig inspect -f '{{.State.Pid}}' one)
	assert_eq "$(map --userns "ns:/proc/$pid/ns/user")" "0 2000000 65536"
	assert_runs brig run --rm --network container:one --userns container:one busybox true
	brig rm -f one
	assert_status 125 brig run --rm --userns container:one busybox true
	assert_status 125 brig run --rm --userns ns:/no/such busybox true
	nothing_left
}

test_network_secrets_limits() {
	pool 'containers:2000000:200000'
	printf secret | brig secret create s -
	assert_eq "$(brig run --rm --network none --userns auto --secret s,mode=0400 busybox cat /run/secrets/s)" secret
	assert_eq "$(brig run --rm --network none --userns auto --secret s,uid=33,mode=0400 -u 33 busybox cat /run/secrets/s)" secret
	assert_runs brig run --rm --userns auto busybox ping -c 1 127.0.0.1
	assert_runs brig run --rm --userns auto --tmpfs /t --shm-size 1m --init busybox sh -c 'touch /t/x /dev/shm/x'
	assert_runs brig run --rm --network none --userns auto -t busybox tty
	brig secret rm s
}

test_bad_input() {
	local mode
	pool 'containers:2000000:200000'
	for mode in what auto:size=0 auto:size=x auto:uid=3 keep-id:uid=1 keep-id:size=3 nomap container: ns: ns:relative \
		auto:uidmapping=1:2 container:no-such; do
		assert_status 125 brig run --rm --userns "$mode" busybox true
		assert_eq "$(wc -l <<<"$errors")" 1 "$mode"
		assert_contains "$errors" --userns
	done
	assert_status 125 brig run --rm --uidmap 0:1 busybox true
	assert_contains "$errors" 'brig: --uidmap: "0:1" is not CONTAINER:HOST:SIZE'
	assert_status 125 brig run --rm --uidmap 0:100:10 --uidmap 5:200:10 busybox true
	assert_contains "$errors" overlap
	assert_status 125 brig run --rm --uidmap 0:100:10 --userns auto busybox true
	pool 'somebody:1:2'
	assert_status 125 brig run --rm --userns auto busybox true
	assert_contains "$errors" 'containers:2147483648'
	nothing_left
}
