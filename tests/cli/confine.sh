#!/bin/bash
# What a container may not do, and what options change about that.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

caps() {
	brig run --rm --network none "$@" busybox grep CapEff /proc/self/status | cut -f2
}

test_capabilities() {
	assert_eq "$(caps)" 00000000a80425fb
	assert_eq "$(caps --cap-drop all)" 0000000000000000
	assert_eq "$(caps --cap-drop ALL --cap-add chown)" 0000000000000001
	assert_eq "$(caps --cap-add SYS_TIME)" 00000000aa0425fb
	assert_eq "$(caps --cap-drop CAP_CHOWN)" 00000000a80425fa
	assert_eq "$(caps -u 1000)" 0000000000000000
	assert_eq "$(caps -u 1000 --cap-add net_bind_service)" 0000000000000400
}

test_seccomp() {
	assert_eq "$(brig run --rm --network none busybox grep '^Seccomp:' /proc/self/status | tr -d '\t')" Seccomp:2
	assert_eq "$(brig run --rm --network none --security-opt seccomp=unconfined busybox grep '^Seccomp:' /proc/self/status |
		tr -d '\t')" Seccomp:0
	assert_fails brig run --rm --network none busybox unshare -m true
	assert_fails brig run --rm --network none busybox mount -t tmpfs none /mnt
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' >p.json
	assert_fails brig run --rm --network none --security-opt seccomp=p.json busybox mkdir /x
	assert_contains "$errors" "not permitted"
	assert_status 125 brig run --rm --security-opt seccomp=no-such busybox true
	assert_status 125 brig run --rm --security-opt what=ever busybox true
}

test_no_new_privileges() {
	assert_eq "$(brig run --rm --network none --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status |
		tr -d '\t')" NoNewPrivs:1
}

test_kernel_files() {
	assert_eq "$(brig run --rm --network none busybox sh -c 'cat /proc/kcore | wc -c' 2>/dev/null)" 0
	assert_fails brig run --rm --network none busybox sh -c 'echo 1 >/proc/sys/kernel/panic'
	assert_fails brig run --rm --network none busybox sh -c 'echo b >/proc/sysrq-trigger'
	assert_fails brig run --rm --network none busybox touch /sys/kernel/x
	assert_eq "$(brig run --rm --network none busybox sh -c 'ls /sys/firmware | wc -l')" 0
}

test_namespaces() {
	local ns
	for ns in mnt pid net ipc uts cgroup; do
		assert_ne "$(brig run --rm --network none busybox readlink "/proc/self/ns/$ns")" "$(readlink "/proc/self/ns/$ns")"
	done
	assert_eq "$(brig run --rm --network host busybox readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
	assert_eq "$(brig run --rm --network none --pid host busybox readlink /proc/self/ns/pid)" "$(readlink /proc/self/ns/pid)"
	assert_eq "$(brig run --rm --network none --ipc host busybox readlink /proc/self/ns/ipc)" "$(readlink /proc/self/ns/ipc)"
	brig run -d --name box busybox sleep 100
	assert_eq "$(brig run --rm --network container:box busybox readlink /proc/self/ns/net)" \
		"$(brig exec box readlink /proc/self/ns/net)"
	assert_contains "$(brig run --rm --network none --pid container:box busybox ps)" "sleep 100"
	assert_status 125 brig run --rm --network container:none busybox true
	assert_status 125 brig run --rm --ipc what busybox true
	brig rm -f box
}

test_devices() {
	assert_eq "$(brig run --rm --network none busybox ls /dev | tr '\n' ' ')" \
		"fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
	assert_fails brig run --rm --network none busybox sh -c 'mknod /d c 1 1 && head -c 1 /d'
	assert_runs brig run --rm --network none --device /dev/null:/dev/other:r busybox head -c 1 /dev/other
	assert_status 125 brig run --rm --device null busybox true
	assert_status 125 brig run --rm --device-cgroup-rule 'x 1:1 r' busybox true
	assert_fails brig run --rm --gpus all --network none busybox true
}

test_privileged() {
	assert_eq "$(brig run --rm --network none --privileged busybox grep '^Seccomp:' /proc/self/status | tr -d '\t')" Seccomp:0
	assert_runs brig run --rm --network none --privileged busybox sh -c 'mount -t tmpfs none /tmp && mknod /d c 1 3 && echo >/d'
}

test_limits_and_sysctls() {
	assert_eq "$(brig run --rm --network none --ulimit nofile=123:456 busybox sh -c 'ulimit -n; ulimit -Hn')" $'123\n456'
	assert_eq "$(brig run --rm --network none --sysctl net.ipv4.ip_forward=1 busybox cat /proc/sys/net/ipv4/ip_forward)" 1
	assert_eq "$(brig run --rm --network none --oom-score-adj 500 busybox cat /proc/self/oom_score_adj)" 500
	assert_status 125 brig run --rm --cpus 0 busybox true
	assert_status 125 brig run --rm -m 64m --memory-swap 32m busybox true
}

# C1: the program that a container's process was, before it became the user's, cannot be written to
test_own_program_is_out_of_reach() {
	local sum
	sum=$(sha256sum <"$BRIG")
	brig run --rm --network none --privileged busybox sh -c 'for p in /proc/[0-9]*/exe; do echo bad >"$p"; done' 2>/dev/null || :
	assert_eq "$(sha256sum <"$BRIG")" "$sum"
}

# C2: no descriptor of ours is left in the container
test_no_descriptor_leaks() {
	local look='for n in $(seq 3 50); do [ ! -e /proc/self/fd/$n ] || echo $n; done'
	assert_eq "$(brig run --rm --network none busybox sh -c "$look")" ""
	brig run -d --name box busybox sleep 100
	assert_eq "$(ls "/proc/$(brig inspect -f '{{.State.Pid}}' box)/fd" | tr '\n' ' ')" "0 1 2 "
	assert_eq "$(brig exec box sh -c "$look")" ""
	brig rm -f box
}
