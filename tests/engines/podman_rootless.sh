#!/bin/bash
# podman for an ordinary user: with subordinate ids and without, logged in and not.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

# Of the machine, not of this test: where the user's systemd and its runtime folder are.
outside=(nsenter --mount --target 1 --)

make_users() {
	local user
	modprobe tun && chmod 666 /dev/net/tun || return # as udev does
	useradd --uid 1007 --create-home plain && sed -i /^plain:/d /etc/subuid /etc/subgid || return
	for user in brig plain; do
		loginctl enable-linger "$user" && mkdir -p "$engines_dir/$user" && chown "$user:" "$engines_dir/$user" || return
		wait_for 60 "${outside[@]}" test -S "/run/user/$(id -u "$user")/systemd/private"
	done
}

# pod USER WORD...: podman in the user's own storage, in $words
pod() {
	words=(podman --storage-driver vfs --root "$engines_dir/$1/storage" "${@:2}")
}

# pod_as USER WORD...: as one who has logged in
pod_as() {
	pod "$@"
	(cd / && "${outside[@]}" su --login "$1" --command "${words[*]@Q}")
}

# pod_without_login USER WORD...: where there is no cgroup that is the user's, and no service manager
pod_without_login() {
	pod "$@"
	(cd / && "${outside[@]}" runuser -u "$1" -- env -u DBUS_SESSION_BUS_ADDRESS HOME="/home/$1" \
		XDG_RUNTIME_DIR="/run/user/$(id -u "$1")" "${words[@]}")
}

# quick USER WORD...: a container without a network
quick() {
	pod_as "$1" run --network none "${@:2}"
}

import_for() {
	pod_as "$1" import --quiet $engines_dir/image.tar "$image"
}

engines_once users make_users
engines_once image-of-brig import_for brig
engines_once image-of-plain import_for plain
c=c-$$
trap 'pod_as brig rm --force --time 0 "$c" >/dev/null 2>&1 || :' EXIT

test_subordinate_ids() {
	assert_eq "$(quick brig --rm "$image" sh -c 'id -u; awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map')" \
		$'0\n0 1000 1\n1 100000 65536'
	assert_eq "$(quick brig --rm --userns keep-id "$image" id -u)" 1000
	assert_eq "$(quick brig --rm --user 7:8 "$image" sh -c 'id -u; id -g')" $'7\n8'
}

test_the_users_own_groups() {
	groupadd --force outer && usermod --append --groups outer brig
	assert_eq "$(quick brig --rm --group-add keep-groups "$image" id -G)" "0 65534"
	assert_eq "$(quick brig --rm "$image" id -G)" 0
}

test_life_of_a_container() {
	local cgroup
	quick brig --detach --name "$c" --memory 64m --pids-limit 50 "$image" \
		sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
	assert_status 9 pod_as brig exec "$c" sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; exit 9'
	assert_eq "$output" $'67108864\n50'
	assert_matches "$(pod_as brig stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' "$c")" '^[1-9].*B / 67.11MB [23]$'
	cgroup=/sys/fs/cgroup$(pod_as brig inspect "$c" --format '{{.State.CgroupPath}}')
	assert_contains "$cgroup" /user@1000.service/
	pod_as brig update --memory 96m "$c" >/dev/null
	assert_eq "$(pod_as brig exec "$c" cat /sys/fs/cgroup/memory.max) $(cat "$cgroup/memory.max")" "100663296 100663296"
	pod_as brig pause "$c"
	assert_eq "$(pod_as brig inspect "$c" --format '{{.State.Status}}')" paused
	pod_as brig unpause "$c"
	pod_as brig stop "$c"
	assert_eq "$(pod_as brig inspect "$c" --format '{{.State.ExitCode}}')" 7
}

test_exit_codes() {
	assert_status 42 quick brig --rm "$image" sh -c 'exit 42'
	assert_status 127 quick brig --rm "$image" missing-program
	assert_status 126 quick brig --rm "$image" /etc
	assert_status 137 quick brig --rm --memory 16m "$image" sh -c 'x=a; while :; do x=$x$x; done'
}

test_terminals() {
	local command
	pod brig run --rm --network none -it "$image" sh -c 'tty; exit 5'
	command=${words[*]@Q}
	cd /
	assert_status 5 in_terminal "${outside[*]} su --login brig --command ${command@Q}"
	assert_eq "$(lines "$output" | head -n 1)" /dev/pts/0
}

test_without_a_login() {
	assert_status 5 pod_without_login brig --cgroup-manager=cgroupfs run --rm --network none "$image" sh -c 'echo runs; exit 5'
	assert_eq "$output" runs
}

test_a_user_without_subordinate_ids() {
	assert_eq "$(quick plain --rm "$image" sh -c 'id -u; awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map')" \
		$'0\n0 1007 1'
}

test_a_network() {
	assert_contains "$(pod_as brig run --rm --network slirp4netns "$image" ip -o -4 address)" 10.0.2.100
}
