# The bundle that is measured: what podman asks for by default (namespaces, mounts, masks, a seccomp profile
# of some 350 names for three architectures, a device filter) around a static `true`. To be sourced by bash.
# shellcheck shell=bash

# Names of the machine's system calls but for some that a profile leaves out, for three architectures
bench_seccomp() {
	local names
	names=$(echo '#include <sys/syscall.h>' | cc -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/\1/p' |
		grep -vxE 'kexec_.*|bpf|perf_event_open|userfaultfd|io_uring_.*|.*_module|swapon|swapoff|add_key|keyctl|request_key|uretprobe|.*_max|syscalls' |
		sort | jq -R . | jq -cs .)
	jq -cn --argjson names "$names" '{
		defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38,
		architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
		syscalls: [
			{names: ($names - ["personality", "clone"]), action: "SCMP_ACT_ALLOW"},
			{names: ["bpf", "perf_event_open", "kexec_load"], action: "SCMP_ACT_ERRNO", errnoRet: 1},
			{names: ["personality"], action: "SCMP_ACT_ALLOW", args: [{index: 0, value: 0, op: "SCMP_CMP_EQ"}]},
			{names: ["personality"], action: "SCMP_ACT_ALLOW", args: [{index: 0, value: 8, op: "SCMP_CMP_EQ"}]},
			{names: ["clone"], action: "SCMP_ACT_ALLOW",
				args: [{index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ"}]}]}'
}

# bench_config BIND: the config.json that binds three files of the directory BIND
bench_config() {
	jq -n --argjson seccomp "$(bench_seccomp)" --argjson files "$(ulimit -Hn)" --arg bind "$1" '
	["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
		"SETUID", "SYS_CHROOT"] as $caps | ($caps | map("CAP_" + .)) as $caps |
	{
		ociVersion: "1.0.2", hostname: "bench", root: {path: "rootfs"},
		process: {
			user: {uid: 0, gid: 0, umask: 18}, args: ["/bin/true"], cwd: "/", oomScoreAdj: 0,
			env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", "container=podman",
				"HOME=/root", "HOSTNAME=bench"],
			capabilities: {bounding: $caps, effective: $caps, permitted: $caps},
			rlimits: [{type: "RLIMIT_NOFILE", hard: $files, soft: $files}]
		},
		mounts: [
			{destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]},
			{destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]},
			{destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]},
			{destination: "/dev/pts", type: "devpts", source: "devpts",
				options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
			{destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]},
			{destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
			{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
				options: ["rprivate", "nosuid", "noexec", "nodev", "relatime", "ro"]},
			(("hosts", "resolv.conf", "hostname") | {destination: "/etc/\(.)", type: "bind", source: "\($bind)/\(.)",
				options: ["bind", "rprivate", "nosuid", "nodev"]})
		],
		linux: {
			namespaces: [("pid", "network", "ipc", "uts", "mount", "cgroup") | {type: .}],
			maskedPaths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block"],
			readonlyPaths: ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
			sysctl: {"net.ipv4.ping_group_range": "0 0"},
			seccomp: $seccomp
		}
	}'
}

# bench_bundle DIR [JQ-EDIT]: makes the bundle DIR and, beside it, the directory "bind" of what it binds
bench_bundle() {
	local file bind
	mkdir -p "$1"/rootfs/{bin,dev,etc,proc,sys,tmp} "$(dirname "$1")/bind"
	bind=$(realpath "$(dirname "$1")/bind")
	for file in hosts resolv.conf hostname; do
		echo "# $file" >"$bind/$file"
	done
	cp "$(command -v busybox)" "$1/rootfs/bin/busybox"
	for file in true sleep sh; do ln -sf busybox "$1/rootfs/bin/$file"; done
	bench_config "$bind" | jq "${2:-.}" >"$1/config.json"
}

# bench_limits: the edit that gives it a cgroup's worth of limits: the device rules that every container has, and
# one of processes where there is the controller
bench_limits() {
	local limits='{devices: [{allow: false, access: "rwm"}]}'
	! has_controller pids || limits='{devices: [{allow: false, access: "rwm"}], pids: {limit: 2048}}'
	echo ".linux.resources = $limits"
}

has_controller() {
	grep -qsw "$1" /sys/fs/cgroup/cgroup.controllers
}
