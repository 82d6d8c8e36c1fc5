#!/bin/bash
# dockerd with the runtime added to its configuration, under systemd.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

image=brig-test:latest

# As docs/engines.md has it
start_docker() {
	mkdir -p /etc/docker
	example docs/engines.md native.cgroupdriver | jq '."default-runtime" = "brig"' >/etc/docker/daemon.json
	systemctl start docker.service && docker import $engines_dir/image.tar "$image"
}

# quick OPTION...: a container without a network of its own, which takes dockerd longest
quick() {
	docker run --network none "$@"
}

inspect() {
	docker inspect --format "{{$2}}" "$1"
}

engines_once containerd-service configure_containerd
engines_once docker start_docker
c=test-$$
trap 'docker rm --force "$c" >/dev/null 2>&1 || :' EXIT

test_uses_the_runtime() {
	assert_eq "$(docker info --format '{{.DefaultRuntime}} {{.CgroupDriver}} {{.CgroupVersion}}')" "brig systemd 2"
	assert_eq "$(docker info --format '{{.Runtimes.brig.Path}}')" "$RUNTIME"
}

test_exit_codes() {
	assert_status 42 quick --rm "$image" sh -c 'exit 42'
	assert_status 127 quick --rm "$image" missing-program
	assert_contains "$errors" 'exec: "missing-program": executable file not found in $PATH'
	assert_status 126 quick --rm "$image" /etc/passwd
	assert_contains "$errors" "permission denied"
	assert_status 126 quick --rm "$image" /etc
}

test_life_of_a_container() {
	quick --detach --name "$c" --memory 64m --pids-limit 50 --cpus 0.5 "$image" \
		sh -c 'trap "exit 7" TERM; echo out; echo err >&2; while :; do sleep 0.1; done' >/dev/null
	assert_status 9 docker exec "$c" sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max); exit 9'
	assert_eq "$output" "67108864 50 50000 100000"
	assert_contains "$(cat "/proc/$(inspect "$c" .State.Pid)/cgroup")" "system.slice/docker-"
	run docker exec "$c" missing-program
	assert_matches "$status" '^12[67]$'
	assert_contains "$output$errors" "executable file not found"
	assert_eq "$(docker exec --user 5:6 --workdir /tmp --env A=b "$c" sh -c 'echo $(id -u) $(id -g) $(pwd) $A')" "5 6 /tmp b"
	assert_matches "$(docker stats --no-stream --format '{{.MemUsage}} pids {{.PIDs}}' "$c")" '^[1-9].*B / 64MiB pids [23]$'
	assert_contains "$(docker top "$c")" "trap"
	docker pause "$c"
	assert_eq "$(inspect "$c" .State.Status)" paused
	docker unpause "$c"
	assert_eq "$(inspect "$c" .State.Status)" running
	docker stop "$c"
	assert_eq "$(inspect "$c" '.State.Status}} {{.State.ExitCode')" "exited 7"
	docker start "$c"
	docker restart --time 1 "$c"
	assert_eq "$(inspect "$c" .State.Status)" running
	docker kill "$c"
	assert_eq "$(docker wait "$c")" 137
	run docker logs "$c"
	assert_eq "$output/$errors" $'out\nout\nout/err\nerr\nerr'
}

test_update() {
	quick --detach --name "$c" --memory 64m --memory-swap 64m "$image" sleep 300 >/dev/null
	docker update --memory 96m --memory-swap 96m --pids-limit 77 --cpus 0.25 "$c"
	assert_eq "$(docker exec "$c" sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max)')" "100663296 77 25000 100000"
}

test_terminals() {
	assert_status 5 in_terminal "docker run --rm --network none -it $image sh -c 'tty; exit 5'"
	assert_eq "$(lines "$output")" /dev/pts/0
	quick --detach --name "$c" "$image" sleep 300 >/dev/null
	assert_status 6 in_terminal "docker exec -it $c sh -c 'tty; exit 6'"
	assert_eq "$(lines "$output")" /dev/pts/0
}

test_restrictions() {
	run quick --rm --read-only --cap-drop all --cap-add chown --device /dev/fuse --security-opt no-new-privileges \
		--ulimit nofile=100:200 --tmpfs /scratch:size=1m --sysctl kernel.msgmax=1234 --hostname named \
		--volume $engines_dir/rootfs:/volume:ro --user 1000:1000 --workdir /tmp "$image" sh -c '
		touch /x /volume/x; awk "/CapBnd|NoNewPrivs|Seccomp:/ { print \$2 }" /proc/self/status
		ls -l /dev/fuse | cut -c 1; echo $(ulimit -Sn) $(ulimit -Hn) $(cat /proc/sys/kernel/msgmax) $(hostname) $(pwd)
		df -k /scratch | awk "END { print \$2 }"; id -u; cat /proc/self/attr/current'
	assert_eq "$output" $'0000000000000001\n1\n2\nc\n100 200 1234 named /tmp\n1024\n1000\ndocker-default (enforce)'
	assert_contains "$errors" "/x: Read-only file system"
	assert_contains "$errors" "/volume/x: Read-only file system"
}

test_limits_are_enforced() {
	assert_status 137 quick --rm --memory 16m --memory-swap 16m "$image" sh -c 'x=a; while :; do x=$x$x; done'
	# With the last process the cgroup goes, at times before the shim has read of the event there, with runc too.
	assert_status 4 quick --name "$c" --memory 16m --memory-swap 16m "$image" \
		sh -c 'sh -c "x=a; while :; do x=\$x\$x; done"; echo $?; sleep 3; exit 4'
	assert_eq "$output" 137
	assert_eq "$(inspect "$c" .State.OOMKilled)" true
	run quick --rm --pids-limit 5 "$image" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	assert_contains "$errors" "can't fork"
}

test_an_init_process() {
	assert_matches "$(quick --rm --init "$image" ps -o pid,args)" '1 /sbin/docker-init -- ps'
}

test_network_and_published_port() {
	docker run --detach --name "$c" --publish 127.0.0.1:8089:80 "$image" \
		sh -c 'mkdir /w; echo page >/w/index.html; exec httpd -f -h /w' >/dev/null
	assert_contains "$(docker exec "$c" ip -o -4 address show eth0)" 172.17.0.
	wait_for 60 curl -sf http://127.0.0.1:8089/
	assert_eq "$(curl -s http://127.0.0.1:8089/)" page
}

test_builds() {
	printf 'FROM %s\nENV PATH=/bin\nRUN id -u >/made && ! ls /sys/fs/cgroup/system.slice\nRUN exit 3\n' "$image" >Dockerfile
	assert_fails docker build --network none .
	assert_contains "$errors$output" "returned a non-zero code: 3"
	sed -i '$d' Dockerfile
	docker build --quiet --network none --tag "made-$$" . >/dev/null
	assert_eq "$(quick --rm "made-$$" cat /made)" 0
}

# A second daemon beside the first: with the runtime from its command line, and cgroups without systemd. In a network
# namespace of its own, because without a bridge it removes docker0.
second_docker() {
	local dir=/run/second-docker
	mkdir -p $dir && echo '{}' >$dir/daemon.json
	systemd-run --quiet --unit second-docker --property Delegate=yes unshare --net dockerd --config-file $dir/daemon.json \
		--data-root /var/lib/docker/second --exec-root $dir --pidfile $dir/pid --host unix://$dir/sock \
		--containerd /run/containerd/containerd.sock --bridge none --iptables=false \
		--add-runtime "tested=$RUNTIME" --exec-opt native.cgroupdriver=cgroupfs
	export DOCKER_HOST=unix://$dir/sock
	wait_for 120 docker info
	docker import $engines_dir/image.tar "$image" >/dev/null
}

test_runtime_of_the_command_line_and_cgroups_without_systemd() {
	local cgroup
	second_docker
	assert_eq "$(docker info --format '{{.Runtimes.tested.Path}} {{.CgroupDriver}}')" "$RUNTIME cgroupfs"
	assert_status 42 quick --runtime tested --rm "$image" sh -c 'exit 42'
	quick --runtime tested --detach --name "$c" --memory 64m --pids-limit 50 --cpus 0.5 "$image" sleep 300 >/dev/null
	cgroup=/sys/fs/cgroup$(cut -d : -f 3 "/proc/$(inspect "$c" .State.Pid)/cgroup")
	assert_matches "$cgroup" /docker/
	assert_eq "$(cat "$cgroup"/{memory,pids,cpu}.max)" $'67108864\n50\n50000 100000'
	assert_eq "$(docker exec "$c" cat /proc/self/cgroup /sys/fs/cgroup/memory.max)" $'0::/\n67108864'
	docker pause "$c"
	assert_contains "$(cat "$cgroup/cgroup.events")" "frozen 1"
	docker unpause "$c"
	docker update --memory 96m --memory-swap 96m --pids-limit 77 "$c"
	assert_eq "$(cat "$cgroup"/{memory,pids}.max)" $'100663296\n77'
	assert_matches "$(docker stats --no-stream --format '{{.MemUsage}} pids {{.PIDs}}' "$c")" '^[1-9].*B / 96MiB pids 1$'
	assert_status 4 quick --runtime tested --name "oom-$$" --memory 16m --memory-swap 16m "$image" \
		sh -c 'sh -c "x=a; while :; do x=\$x\$x; done"; echo $?; sleep 3; exit 4'
	assert_eq "$output $(inspect "oom-$$" .State.OOMKilled)" "137 true"
	docker rm --force "$c" "oom-$$"
	assert_no_file "$cgroup"
	systemctl stop second-docker.service
}

# The last one: it changes the daemon's configuration.
test_as_the_documents_say() {
	make_readme_box
	example README.md "systemctl reload docker" >try
	assert_contains "$(bash -e try | tail -n 1)" uid=0
	docker run --detach --network none --runtime brig --name "$c" box sleep 300 >/dev/null
	! is_brig || assert_contains "$("$RUNTIME" --root /run/docker/runtime-runc/moby list)" "$(inspect "$c" .Id)"
}
