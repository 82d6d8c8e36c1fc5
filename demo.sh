#!/bin/bash
# Builds brig and shows one container of it: what it sees and may do, beside the same on the host; then
# containers of an image, by brig.
# usage: ./demo.sh      BRIG_OCI names another runtime to show, BRIG_BUILD a folder with what is built
# already; nothing is built then.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"
. tests/lib/packages.sh
. tests/lib/build.sh

# Runs on the host and in the container: lines of "what TAB value"
probe() {
	cat <<'EOF'
row() { printf '%s\t%s\n' "$1" "$2"; }
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
bits() { n=$((0x$1)) c=0; while [ $n -ne 0 ]; do c=$((c + (n & 1))); n=$((n >> 1 & 0x7fffffffffffffff)); done; echo $c; }
limit() { cat "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$1" 2>/dev/null || echo none; }
opens() { if (: >>"$1") 2>/dev/null; then echo yes; else echo no; fi; }
row "kernel" "$(uname -r)"
row "host name" "$(hostname)"
row "processes in sight" "$(ls -d /proc/[0-9]* | wc -l)"
row "process number" "$$"
row "user and group" "$(id -u):$(id -g)"
row "user 0 is, outside" "uid $(awk '{ print $2; exit }' /proc/self/uid_map)"
row "capabilities" "$(bits "$(status CapEff)") of $(($(cat /proc/sys/kernel/cap_last_cap) + 1))"
row "may gain privileges" "$([ "$(status NoNewPrivs)" = 1 ] && echo no || echo yes)"
row "system call filter" "$([ "$(status Seccomp)" = 2 ] && echo seccomp || echo none)"
row "memory limit" "$(limit memory.max)"
row "process limit" "$(limit pids.max)"
row "processor limit" "$(limit cpu.max)"
row "network links" "$(ls /sys/class/net 2>/dev/null | tr '\n' ' ')"
row "entries in /dev" "$(ls /dev | wc -l)"
row "root is writable" "$(awk '$2 == "/" { o = $4 } END { print o ~ /^rw/ ? "yes" : "no" }' /proc/mounts)"
row "/proc/sys is writable" "$(opens /proc/sys/kernel/hostname)"
row "kernel memory in sight" "$([ "$(head -c 1 /proc/kcore 2>/dev/null | wc -c)" = 1 ] && echo yes || echo no)"
EOF
}

note() { printf '  %s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# The static busybox of the distribution is all of the root file system.
make_rootfs() {
	local busybox applet
	busybox=$(command -v busybox)
	mkdir -p "$1"/{bin,dev,etc,proc,sys,tmp}
	cp "$busybox" "$1/bin/busybox"
	for applet in $("$busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
	probe >"$1/probe"
}

edit() {
	jq "$@" "$bundle/config.json" >"$bundle/new.json"
	mv "$bundle/new.json" "$bundle/config.json"
}

# Says in one line each what the host lacks, and leaves it out of the container.
fit_to_host() {
	limited=
	if [ "$(id -u)" != 0 ]; then
		note "Not root: the container runs rootless, and without limits."
		edit --argjson u "$(id -u)" --argjson g "$(id -g)" 'del(.linux.resources, .linux.cgroupsPath) |
			.linux.namespaces |= (map(select(.type != "user")) + [{type: "user"}]) |
			.linux.uidMappings = [{containerID: 0, hostID: $u, size: 1}] |
			.linux.gidMappings = [{containerID: 0, hostID: $g, size: 1}] |
			(.mounts[]? | select(.destination == "/dev/pts") | .options) -= ["gid=5"] |
			(.mounts[]? | select(.destination == "/sys")) = {destination: "/sys", type: "none", source: "/sys",
				options: ["rbind", "nosuid", "noexec", "nodev", "ro"]} |
			del(.mounts[]? | select(.destination == "/sys/fs/cgroup"))'
	elif ! grep -qs memory /sys/fs/cgroup/cgroup.controllers; then
		note "No cgroup v2 controllers here: --cgroup-manager disabled, so there are no limits."
		edit 'del(.linux.resources, .linux.cgroupsPath) | del(.mounts[]? | select(.destination == "/sys/fs/cgroup"))'
	else
		limited=1
		edit --arg path "/$id" '.linux.cgroupsPath = $path | .linux.resources.memory.limit = 67108864 |
			.linux.resources.pids.limit = 32 | .linux.resources.cpu = {quota: 50000, period: 100000}'
	fi
	[ -n "$limited" ] || global+=(--cgroup-manager disabled)
}

# container NAME SCRIPT: runs it with /bin/sh in a fresh container
container() {
	edit --arg script "$2" '.process.args = ["/bin/sh", "-c", $script]'
	"$oci" "${global[@]}" run --bundle "$bundle" "$id-$1" </dev/null
}

show_comparison() {
	local what host inside
	printf '  %s%-24s %-26s %s%s\n' "$dim" "" "on this host" "in the container" "$plain"
	while IFS=$'\t' read -r what host inside; do
		if [ "$host" = "$inside" ]; then
			printf '  %-24s %-26.26s %s\n' "$what" "$host" "$inside"
		else
			printf '  %-24s %-26.26s %s%s%s\n' "$what" "$host" "$green" "$inside" "$plain"
		fi
	done < <(paste "$work/host" "$work/inside" | cut -f 1,2,4)
}

show_exit_status() {
	local status=0
	container status 'exit 42' || status=$?
	note "A command that exits with 42: brig-oci exits with $status."
}

show_memory_limit() {
	local status=0
	container memory 'tail /dev/zero' >"$work/memory" 2>&1 || status=$?
	note "A command that wants all memory: ended with status $status at 64 MiB; the host did not notice."
}

# The command for people, from the build folder, for COMMAND as a shell has it
brig() {
	BRIG_LIBEXEC=$work/libexec BRIG_SHARE=$build/cli \
		bash -c "'$build/cli/brig' --root '$data' --runroot '$work/run' $1" 2>&1 </dev/null
}

install_brig() {
	local file
	mkdir "$work/libexec" "$data"
	for file in "$build"/images/{brig-unpack,brig-registry} "$build"/netns/brig-dns "$build"/cli/brig-init \
		"$build"/runtime/microvm/brig-{vmm,fsd,guest}; do
		[ ! -e "$file" ] || cp "$file" "$work/libexec"
	done
}

# Without a network, so that the host's stays as it is
show_brig() {
	local command
	for command in 'run --rm --network none busybox echo "hello from a container"' \
		'run --detach --name demo --network none busybox sh -c "echo started; exec sleep 1000"' \
		'ps --format "{{.Names}}: {{.Image}}, {{.Command}}"' 'exec demo ps' 'logs demo' 'rm --force demo' 'images'; do
		note "\$ brig $command"
		brig "$command" | sed 's/^/      /'
	done
}

# The same command on the host, in a container and in a virtual machine, or one line that says why not
show_isolation() {
	local why how row
	local script='"uname -r; cut -d \" \" -f 1 /proc/uptime"'
	why=$(brig 'doctor --format json' | jq -r 'if type == "array" then .[] else . end |
		select((.Check == "KVM" or .Check == "guest kernel") and .Status != "ok") | .Text' | head -n 1)
	if [ -n "$why" ]; then
		note "Not shown: $why"
		return
	fi
	printf '  %s%-24s %-26s %s%s\n' "$dim" "" "kernel" "up for (s)" "$plain"
	printf '  %-24s %-26s %s\n' "on this host" "$(uname -r)" "$(cut -d ' ' -f 1 /proc/uptime)"
	for how in container vm; do
		mapfile -t row < <(brig "run --rm --network none --isolation $how busybox sh -c $script")
		printf '  %-24s %s%-26s %s%s\n' "--isolation $how" "$green" "${row[0]-}" "${row[1]-}" "$plain"
	done
}

clean_up() {
	local status=$?
	rm -rf "$work" "$data"
	exit "$status"
}

main() {
	local begin end
	bold='' dim='' green='' plain='' id=brig-demo-$$ build=${BRIG_BUILD:-$PWD/build}
	oci=${BRIG_OCI:-$build/cli/brig-oci}
	[ ! -t 1 ] || { bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'; }
	title "brig: one container, from nothing"
	packages_ensure demo
	if [ -z "${BRIG_OCI-}${BRIG_BUILD-}" ]; then
		packages_ensure build
		build_project build/build.log
		note "Built $oci ($(du -hL "$oci" | cut -f 1))."
	fi
	data=$build/demo-$$
	work=$(mktemp -d "${TMPDIR:-/tmp}/brig-demo.XXXXXX") bundle=$work/bundle global=(--root "$work/state")
	trap clean_up EXIT
	chmod 755 "$work"
	make_rootfs "$bundle/rootfs"
	"$oci" spec --bundle "$bundle"
	edit '.process.terminal = false | .root = {path: "rootfs", readonly: true} | .hostname = "brig-demo" |
		.process.noNewPrivileges = true'
	note "Made a bundle: config.json and a root file system of one static busybox."
	fit_to_host

	title "What the same script finds"
	busybox sh "$bundle/rootfs/probe" >"$work/host"
	begin=$(date +%s%N)
	container probe '. /probe' >"$work/inside"
	end=$(date +%s%N)
	show_comparison

	title "What happens at the end"
	show_exit_status
	[ -z "$limited" ] || show_memory_limit
	note "The first container took $(((end - begin) / 1000000)) ms, from its start until it was gone."

	if [ -z "${BRIG_OCI-}" ] && [ "$(id -u)" = 0 ]; then
		title "The same with an image, by brig"
		install_brig
		show_brig
		title "A kernel of its own, with --isolation vm"
		show_isolation
	fi
}

main "$@"
