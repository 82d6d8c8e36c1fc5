#!/bin/bash
# containerd as kubelet calls it: pods by the Container Runtime Interface, of the runtime class "brig".
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

image=docker.io/library/brig-pod:latest

# The second name is that of the image of the process that holds a pod's namespaces.
import_images() {
	local name
	for name in "$image" registry.k8s.io/pause:3.6; do
		make_archive $engines_dir/pod.tar "$name" '{Env: ["PATH=/bin"], Entrypoint: ["sleep", "100000"]}' &&
			ctr --namespace k8s.io image import $engines_dir/pod.tar || return
	done
}

# A network for pods; kubelet waits for one too.
make_network() {
	mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-pods.conflist <<-EOF
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni-pods", "isGateway": true,
			"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/16"}]]}}]}
	EOF
	wait_for 60 network_ready
}

network_ready() {
	[ "$(cri Status | jq -r '.status.conditions[] | select(.type == "NetworkReady").status')" = 1 ]
}

# cri METHOD [JQ-ARGUMENT...]: the last one is the request
cri() {
	local method=$1
	shift
	[ $# -gt 0 ] || set -- '{}'
	python3 "$BRIG_TEST_LIB/cri.py" "$method" "$(jq -nc "$@")"
}

# start_pod [EDIT]: sets $sandbox, its configuration, and $pod
start_pod() {
	sandbox=$(jq -nc --arg id "$$" --arg logs "$TEST_DIR/logs" "{
		metadata: {name: \"pod-\\(\$id)\", uid: \$id, namespace: \"tests\"}, hostname: \"pod-host\", log_directory: \$logs,
		linux: {cgroup_parent: \"kubepods-pod\\(\$id).slice\", security_context: {namespace_options: {pid: 1}}}} | ${1:-.}")
	pod=$(cri RunPodSandbox --argjson config "$sandbox" '{$config, runtime_handler: "brig"}' | jq -r .pod_sandbox_id)
}

# start_container NAME SCRIPT [EDIT]: sets $id
start_container() {
	local config
	config=$(jq -nc --arg name "$1" --arg image "$image" --arg script "$2" "{metadata: {\$name}, image: {\$image},
		command: [\"sh\", \"-c\", \$script], log_path: \"\\(\$name).log\", linux: {resources: {memory_limit_in_bytes: 67108864},
		security_context: {namespace_options: {pid: 1}, seccomp: {profile_type: 0}}}} | ${3:-.}")
	id=$(cri CreateContainer --arg pod "$pod" --argjson config "$config" --argjson sandbox "$sandbox" \
		'{pod_sandbox_id: $pod, $config, sandbox_config: $sandbox}' | jq -r .container_id)
	cri StartContainer --arg id "$id" '{container_id: $id}' >/dev/null
}

# of_container METHOD [FIELDS]: about $id
of_container() {
	local none='{}'
	cri "$1" --arg id "$id" "{container_id: \$id} + ${2:-$none}"
}

status_field() {
	of_container ContainerStatus | jq -r ".status.$1 // 0"
}

is_exited() {
	[ "$(status_field state)" = 2 ]
}

# in_container WORD...: prints its standard output, sets nothing; its errors and status are shown when it fails
in_container() {
	of_container ExecSync "{cmd: $(jq -nc --args '$ARGS.positional' -- "$@"), timeout: 60}" |
		jq -r 'if .exit_code then error("\(.exit_code): \(.stderr)") else .stdout // "" end'
}

stop_pod() {
	cri StopPodSandbox --arg pod "$pod" '{pod_sandbox_id: $pod}' >/dev/null
	cri RemovePodSandbox --arg pod "$pod" '{pod_sandbox_id: $pod}' >/dev/null
	systemctl stop "kubepods-pod$$.slice"
}

clean_up() {
	[ -z "$pod" ] || stop_pod || :
}

engines_once containerd-service configure_containerd
engines_once pod-images import_images
engines_once pod-network make_network
pod=''
trap clean_up EXIT

test_life_of_a_pod() {
	local first pid
	start_pod
	assert_eq "$(cri PodSandboxStatus --arg pod "$pod" '{pod_sandbox_id: $pod}' | jq -r .status.runtime_handler)" brig
	start_container one 'echo out; echo err >&2; trap "exit 7" TERM; while :; do sleep 0.1; done'
	first=$id
	assert_eq "$(status_field state)" 1
	assert_eq "$(in_container sh -c 'hostname; cat /sys/fs/cgroup/memory.max; id -u')" $'pod-host\n67108864\n0'
	assert_eq "$(of_container ExecSync '{cmd: ["sh", "-c", "exit 9"]}' | jq .exit_code)" 9
	assert_fails of_container ExecSync '{cmd: ["missing-program"]}'
	assert_contains "$errors" "executable file not found"
	pid=$(in_container cut -d ' ' -f 1 /proc/self/stat)
	assert_matches "$pid" '^[1-9][0-9]*$'

	start_container two 'sleep 300' '.linux.resources.cpu_quota = 50000 | .linux.resources.cpu_period = 100000'
	assert_eq "$(in_container readlink /proc/self/ns/net)" "$(id=$first in_container readlink /proc/self/ns/net)"
	assert_ne "$(in_container readlink /proc/self/ns/pid)" "$(id=$first in_container readlink /proc/self/ns/pid)"
	assert_contains "$(in_container ip -o -4 address show eth0)" 10.77.
	assert_eq "$(in_container cat /sys/fs/cgroup/cpu.max)" "50000 100000"
	of_container UpdateContainerResources '{linux: {memory_limit_in_bytes: 100663296, cpu_quota: 25000, cpu_period: 100000}}' >/dev/null
	assert_eq "$(in_container cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max)" $'100663296\n25000 100000'
	[ "$(of_container ContainerStats | jq .stats.memory.working_set_bytes.value)" -gt 4096 ] || fail "no memory in the statistics"
	assert_file "/sys/fs/cgroup/kubepods.slice/kubepods-pod$$.slice/cri-containerd-$id.scope"

	id=$first of_container StopContainer '{timeout: 60}' >/dev/null
	assert_eq "$(id=$first status_field 'exit_code') $(id=$first status_field state)" "7 2"
	# Each comes through a pipe of its own, in either order.
	assert_eq "$(cut -d ' ' -f 2- logs/one.log | sort)" $'stderr F err\nstdout F out'
	of_container StopContainer '{timeout: 0}' >/dev/null
	assert_eq "$(status_field exit_code)" 137
	of_container RemoveContainer >/dev/null
	stop_pod
	pod=''
	assert_no_file "/sys/fs/cgroup/kubepods.slice/kubepods-pod$$.slice"
}

test_restrictions() {
	mkdir volume && echo there >volume/file
	start_pod
	start_container one 'sleep 300' ".linux.security_context += {readonly_rootfs: true, no_new_privs: true, run_as_user: {value: 1000},
			run_as_group: {value: 1001}, supplemental_groups: [2000], capabilities: {drop_capabilities: [\"ALL\"]},
			masked_paths: [\"/proc/kcore\"], readonly_paths: [\"/proc/sys\"]} |
		.linux.resources.oom_score_adj = 500 | .envs = [{key: \"A\", value: \"b\"}] | .working_dir = \"/tmp\" |
		.mounts = [{container_path: \"/volume\", host_path: \"$PWD/volume\", readonly: true}]"
	assert_eq "$(in_container sh -c 'id; echo $A $(pwd) $(cat /proc/1/oom_score_adj) $(cat /volume/file)
		awk "/CapBnd|NoNewPrivs|Seccomp:/ { print \$2 }" /proc/self/status; head -c 1 /proc/kcore | wc -c; cat /proc/1/attr/current
		touch /x /volume/x 2>&1 | cut -d : -f 3')" "uid=1000(user) gid=1001 groups=1001,2000
b /tmp 500 there
0000000000000000
1
2
0
cri-containerd.apparmor.d (enforce)
 Read-only file system
 Read-only file system"
}

test_how_containers_end() {
	start_pod
	start_container ends 'exit 42'
	wait_for 30 is_exited
	assert_eq "$(status_field exit_code) $(status_field reason)" "42 Error"
	assert_fails start_container missing '' '.command = ["missing-program"]'
	assert_contains "$errors" "executable file not found"
	start_container hungry 'x=a; while :; do x=$x$x; done; echo not reached' '.linux.resources.memory_limit_in_bytes = 16777216'
	wait_for 60 is_exited
	assert_eq "$(status_field exit_code)" 137
}

test_the_nodes_namespaces_and_privilege() {
	local all='namespace_options: {network: 2, pid: 2, ipc: 2}, privileged: true'
	start_pod "del(.hostname) | .linux.security_context = {$all}"
	start_container one 'sleep 300' ".linux.security_context = {$all}"
	assert_eq "$(in_container sh -c 'for n in net pid ipc; do readlink /proc/self/ns/$n; done')" \
		"$(readlink /proc/1/ns/net /proc/1/ns/pid /proc/1/ns/ipc)"
	assert_eq "$(in_container sh -c 'mkdir /m; mount -t tmpfs none /m && ls -d /dev/kmsg')" /dev/kmsg
}

# A container that looks at another one of its pod, as `kubectl debug --target` makes it
test_the_processes_of_another_container() {
	local target
	start_pod
	start_container target 'sleep 333'
	target=$id
	start_container debug 'sleep 300' ".linux.security_context.namespace_options = {pid: 3, target_id: \"$target\"}"
	assert_contains "$(in_container ps -o args)" "sleep 333"
}
