#!/bin/bash
# podman as root, with the runtime as the default of its configuration, and cgroups made through systemd
# unless the test says otherwise.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

# quick OPTION... : a container without a network of its own, which takes podman longest
quick() {
	podman run --network none "$@"
}

# frozen NAME: what the kernel says of the cgroup of its first process, which may be below the scope
frozen() {
	grep frozen "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(inspect "$1" .State.Pid)/cgroup")/cgroup.events"
}

import_image() {
	podman import --quiet $engines_dir/image.tar "$image"
}

# inspect NAME FIELD: of .State and the like
inspect() {
	podman inspect "$1" --format "{{$2}}"
}

# Removes this test's containers, which all have its process's number in their names.
remove_all() {
	podman ps -aq --filter "name=-$$" | xargs -r podman rm --force --time 0 >/dev/null
}

engines_once podman-image import_image
trap remove_all EXIT
c=c-$$

test_exit_codes() {
	assert_status 42 quick --rm "$image" sh -c 'exit 42'
	assert_status 127 quick --rm "$image" missing-program
	assert_contains "$errors" missing-program
	assert_status 126 quick --rm "$image" /etc/passwd
	assert_status 126 quick --rm "$image" /etc
}

test_named_on_the_command_line() {
	local once=(podman --runtime "$RUNTIME" run --rm --network none)
	assert_status 42 "${once[@]}" "$image" sh -c 'exit 42'
	assert_status 127 "${once[@]}" "$image" missing-program
	assert_contains "$errors" missing-program
	assert_status 126 "${once[@]}" "$image" /etc/passwd
	assert_contains "$errors" "ermission denied"
	assert_eq "$(podman --runtime "$RUNTIME" info --format '{{.Host.OCIRuntime.Path}}')" "$RUNTIME"
	assert_eq "$(podman info --format '{{.Host.OCIRuntime.Path}}')" "$RUNTIME"
}

test_standard_streams() {
	assert_eq "$(printf 'one\ntwo\n' | quick --rm --interactive "$image" cat)" $'one\ntwo'
	run quick --rm "$image" sh -c 'echo out; echo err >&2'
	assert_eq "$output" out
	assert_eq "$errors" err
}

test_life_of_a_container() {
	quick --detach --name "$c" --memory 64m --pids-limit 50 --cpus 0.5 "$image" \
		sh -c 'echo started; trap "exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
	assert_eq "$(inspect "$c" .State.Status)" running
	local cgroup
	cgroup=/sys/fs/cgroup$(inspect "$c" .State.CgroupPath)
	assert_contains "$cgroup" machine.slice/libpod-
	assert_status 9 podman exec "$c" sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max); exit 9'
	assert_eq "$output" "67108864 50 50000 100000"
	assert_status 127 podman exec "$c" missing-program
	assert_eq "$(podman exec --user 5:6 --workdir /tmp --env A=b "$c" sh -c 'echo $(id -u) $(id -g) $(pwd) $A')" "5 6 /tmp b"
	assert_matches "$(podman stats --no-stream --format '{{.MemUsage}} pids {{.PIDs}}' "$c")" '^[1-9].*B / 67.11MB pids [23]$'
	assert_contains "$(podman top "$c" pid args)" "trap"
	podman pause "$c"
	assert_eq "$(inspect "$c" .State.Status)" paused
	assert_eq "$(frozen "$c")" "frozen 1"
	podman unpause "$c"
	assert_eq "$(frozen "$c")" "frozen 0"
	podman stop "$c"
	assert_eq "$(inspect "$c" '.State.Status}} {{.State.ExitCode')" "exited 7"
	podman start "$c"
	assert_eq "$(inspect "$c" .State.Status)" running
	podman kill "$c"
	assert_eq "$(podman wait "$c")" 137
	assert_eq "$(podman logs "$c")" $'started\nstarted'
	assert_no_file "$cgroup"
}

test_update() {
	quick --detach --name "$c" --memory 64m "$image" sleep 300 >/dev/null
	podman update --memory 96m --cpus 0.25 "$c"
	assert_eq "$(podman exec "$c" sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max cpu.max)')" "100663296 25000 100000"
	assert_eq "$(cat "/sys/fs/cgroup$(inspect "$c" .State.CgroupPath)/memory.max")" 100663296
}

test_terminals() {
	assert_status 5 in_terminal "podman run --rm --network none -it $image sh -c 'tty; stty size; exit 5'"
	assert_eq "$(lines "$output")" $'/dev/pts/0\n40 100'
	quick --detach --name "$c" "$image" sleep 300 >/dev/null
	assert_status 6 in_terminal "podman exec -it $c sh -c 'tty; stty size; exit 6'"
	assert_eq "$(lines "$output")" $'/dev/pts/0\n40 100'
}

test_restrictions() {
	run quick --rm --read-only --cap-drop all --cap-add chown --device /dev/fuse --security-opt no-new-privileges \
		--ulimit nofile=100:200 --tmpfs /scratch:size=1m --sysctl kernel.msgmax=1234 --hostname named \
		--volume $engines_dir/rootfs:/volume:ro --user 1000:1000 --workdir /tmp "$image" sh -c '
		touch /x /volume/x; awk "/CapBnd|NoNewPrivs|Seccomp:/ { print \$2 }" /proc/self/status
		ls -l /dev/fuse | cut -c 1; echo $(ulimit -Sn) $(ulimit -Hn) $(cat /proc/sys/kernel/msgmax) $(hostname) $(pwd)
		df -k /scratch | awk "END { print \$2 }"; id -u; cat /proc/kcore'
	assert_eq "$output" $'0000000000000001\n1\n2\nc\n100 200 1234 named /tmp\n1024\n1000'
	assert_contains "$errors" "/x: Read-only file system"
	assert_contains "$errors" "/volume/x: Read-only file system"
	assert_contains "$errors" kcore
}

test_a_seccomp_profile_of_the_users() {
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >profile.json
	assert_status 1 quick --rm --security-opt seccomp="$PWD/profile.json" "$image" mkdir /tmp/new
	assert_contains "$errors" "Function not implemented"
}

# A node of its own for a device: only the cgroup can tell reading from writing.
test_devices_are_guarded_by_the_cgroup() {
	run quick --rm --cap-add mknod --device-cgroup-rule "c 10:229 r" --device /dev/fuse:/dev/granted:w "$image" sh -c '
		mknod /tmp/node c 10 229; mknod /tmp/kvm c 10 232
		(: </tmp/node) && echo readable; (: >/tmp/node) || echo not writable
		(: >/dev/granted) && echo writable
		(: </tmp/kvm) || echo no kvm'
	assert_eq "$output" $'readable\nwritable\nno kvm'
}

test_user_namespaces_chosen_by_podman() {
	grep -q ^containers: /etc/subuid || echo containers:1000000:1000000 | tee -a /etc/subuid >>/etc/subgid
	run quick --rm --userns=auto "$image" sh -c 'id -u; awk "{ print \$1, \$2 }" /proc/self/uid_map; touch /tmp/x; stat -c %u /tmp/x'
	assert_eq "$output" $'0\n0 1000000\n0'
}

test_limits_are_enforced() {
	assert_status 137 quick --rm --memory 16m "$image" sh -c 'x=a; while :; do x=$x$x; done'
	run quick --rm --pids-limit 5 "$image" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	assert_contains "$errors" "can't fork"
}

test_cgroups_made_without_systemd() {
	quick --cgroup-manager=cgroupfs --detach --name "$c" --memory 32m --pids-limit 30 "$image" sleep 300 >/dev/null
	assert_eq "$(cat "/sys/fs/cgroup$(inspect "$c" .State.CgroupPath)/memory.max")" 33554432
	assert_contains "$(inspect "$c" .State.CgroupPath)" libpod_parent
	assert_eq "$(podman exec "$c" cat /sys/fs/cgroup/pids.max)" 30
	podman rm --force --time 0 "$c" >/dev/null
	[ -z "$(find /sys/fs/cgroup/libpod_parent -mindepth 1 -type d -name 'libpod-*')" ] || fail "a cgroup is left"
}

test_without_cgroups() {
	quick --cgroups disabled --detach --name "$c" "$image" sleep 300 >/dev/null
	assert_eq "$(inspect "$c" .State.CgroupPath)" ""
	assert_eq "$(podman exec "$c" ps -o args | sed -n 2p)" "sleep 300"
}

test_with_the_hosts_namespaces() {
	run quick --rm --pid host --ipc host --uts host "$image" sh -c 'for n in pid ipc uts; do readlink /proc/self/ns/$n; done'
	assert_eq "$output" "$(readlink /proc/1/ns/pid /proc/1/ns/ipc /proc/1/ns/uts)"
	assert_eq "$(quick --rm --cgroupns host "$image" cut -d / -f 2 /proc/self/cgroup)" machine.slice
}

test_privileged() {
	run quick --rm --privileged "$image" sh -c 'awk "/CapEff|Seccomp:/ { print \$2 }" /proc/self/status; mkdir /m; mount -t tmpfs none /m && ls -d /dev/kmsg'
	assert_eq "$output" "$(awk '/CapBnd/ { print $2 }' /proc/self/status)"$'\n0\n/dev/kmsg'
}

test_an_init_process() {
	assert_matches "$(quick --rm --init "$image" ps -o pid,args)" '1 /run/podman-init -- ps'
}

test_descriptors_are_passed_on() {
	echo passed >file
	assert_eq "$(quick --rm --preserve-fds 1 "$image" cat /proc/self/fd/3 3<file)" passed
}

# namespaces_of NAME: of its first process
namespaces_of() {
	readlink /proc/"$(inspect "$1" .State.Pid)"/ns/{net,ipc,uts,mnt}
}

test_a_pod_shares_namespaces() {
	local p=p-$$ one two
	podman pod create --name "$p" --network none >/dev/null
	podman run --detach --pod "$p" --name "$c" "$image" sleep 300 >/dev/null
	podman run --detach --pod "$p" --name "d-$$" "$image" sleep 300 >/dev/null
	assert_eq "$(podman exec "$c" hostname)" "$p"
	one=$(namespaces_of "$c") two=$(namespaces_of "d-$$")
	assert_eq "$(head -n 3 <<<"$one")" "$(head -n 3 <<<"$two")"
	assert_ne "$(tail -n 1 <<<"$one")" "$(tail -n 1 <<<"$two")"
	assert_matches "$(cat "/proc/$(inspect "$c" .State.Pid)/cgroup")" 'machine.slice/machine-libpod_pod_.*.slice/libpod-'
	podman pod pause "$p"
	assert_eq "$(podman pod inspect "$p" --format '{{.State}}')" Paused
	podman pod unpause "$p"
	podman pod stop --time 1 "$p"
	assert_eq "$(podman pod inspect "$p" --format '{{.State}}')" Exited
	podman pod rm --force --time 0 "$p" >/dev/null
}

test_a_pod_in_kubernetes_words() {
	cat >pod.yaml <<-EOF
		apiVersion: v1
		kind: Pod
		metadata: {name: k-$$}
		spec:
		  hostNetwork: true
		  containers:
		  - name: box
		    image: $image
		    imagePullPolicy: Never
		    command: [sleep, "300"]
		    resources: {limits: {memory: 64Mi}}
		    securityContext: {readOnlyRootFilesystem: true, runAsUser: 1000, capabilities: {drop: [ALL]}}
	EOF
	podman kube play pod.yaml >/dev/null
	run podman exec "k-$$-box" sh -c 'id -u; cat /sys/fs/cgroup/memory.max; sed -n "s/CapBnd:.//p" /proc/self/status; touch /x'
	assert_eq "$output" $'1000\n67108864\n0000000000000000'
	assert_contains "$errors" "Read-only file system"
	podman kube down pod.yaml >/dev/null
}

test_healthchecks() {
	quick --detach --name "$c" --health-cmd 'test -e /tmp/well' --health-interval disable --health-retries 1 \
		"$image" sleep 300 >/dev/null
	assert_status 1 podman healthcheck run "$c"
	assert_eq "$(inspect "$c" .State.Health.Status)" unhealthy
	podman exec "$c" touch /tmp/well
	assert_status 0 podman healthcheck run "$c"
	assert_eq "$(inspect "$c" .State.Health.Status)" healthy
}

test_signals_go_through_to_the_foreground() {
	podman run --network none --name "$c" "$image" \
		sh -c 'trap "echo got; exit 11" USR1; echo ready; while :; do sleep 0.1; done' >out 2>&1 &
	wait_for 60 grep -q ready out
	kill -USR1 $!
	status=0
	wait $! || status=$?
	assert_eq "$status" 11
	assert_eq "$(cat out)" $'ready\ngot'
}

test_a_network_with_a_published_port() {
	podman run --detach --name "$c" --publish 127.0.0.1:8088:80 "$image" \
		sh -c 'mkdir /w; echo page >/w/index.html; exec httpd -f -h /w' >/dev/null
	assert_contains "$(podman exec "$c" ip -o -4 address show eth0)" 10.88.0.
	wait_for 60 curl -sf http://127.0.0.1:8088/
	assert_eq "$(curl -s http://127.0.0.1:8088/)" page
}

test_a_container_that_runs_systemd_s_way() {
	run quick --rm --systemd always --cgroupns private "$image" sh -c 'mkdir /sys/fs/cgroup/sub && echo writable; echo $container; awk "\$2 == \"/run\" { print \$3 }" /proc/mounts'
	assert_eq "$output" $'writable\npodman\ntmpfs'
}

# counted NAME: how far the container has counted
counted() {
	podman exec "$1" cat /n
}

counted_beyond() {
	[ "$(counted "$1")" -gt "$2" ]
}

start_counter() {
	quick --detach --name "$c" "$@" "$image" sh -c 'i=0; while :; do i=$((i+1)); echo $i >/m; mv /m /n; sleep 0.1; done' >/dev/null
	wait_for 60 counted_beyond "$c" 3
}

test_checkpoint_and_restore() {
	local at
	"$RUNTIME" checkpoint --help >/dev/null 2>&1 || skip "$RUNTIME is built without criu"
	start_counter --memory 64m
	podman container checkpoint "$c"
	assert_eq "$(inspect "$c" .State.Status)" exited
	podman container restore "$c"
	assert_eq "$(inspect "$c" .State.Status)" running
	at=$(counted "$c")
	[ "$at" -gt 3 ] || fail "counts from $at again"
	wait_for 60 counted_beyond "$c" $((at + 3))
	assert_eq "$(podman exec "$c" cat /sys/fs/cgroup/memory.max)" 67108864

	podman container checkpoint --leave-running --export "$PWD/first.tar" "$c"
	wait_for 60 counted_beyond "$c" $((at + 10))
	podman container checkpoint --export "$PWD/last.tar" "$c"
	podman rm "$c" >/dev/null
	podman container restore --import "$PWD/last.tar" --name "moved-$$" >/dev/null
	wait_for 60 counted_beyond "moved-$$" $((at + 10))
	podman stop --time 0 "moved-$$"
	assert_eq "$(podman wait "moved-$$")" 137
}
