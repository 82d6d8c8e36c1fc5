#!/bin/bash
# podman for an ordinary user: with subordinate ids and without, in the user's own systemd and out of it.
# where: vm-engines
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

# Of the machine, not of this test: where the user's systemd and its runtime folder are.
outside=(nsenter --mount --target 1 --)

make_users() {
	local user
	modprobe tun
	useradd --uid 1007 --create-home plain
	for user in brig plain; do
		loginctl enable-linger "$user"
		mkdir -p "$engines_dir/$user" && chown "$user:" "$engines_dir/$user"
		wait_for 60 "${outside[@]}" test -S "/run/user/$(id -u "$user")/systemd/private"
	done
}

# as USER COMMAND...: outside of the user's systemd, so without a cgroup that is the user's
as() {
	local user=$1
	shift
	(cd / && "${outside[@]}" runuser -u "$user" -- env HOME="/home/$user" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" "$@")
}

# as_unit USER COMMAND...: as a unit of the user's systemd
as_unit() {
	local user=$1
	shift
	as "$user" systemd-run --user --quiet --wait --pipe --property Delegate=yes -- "$@"
}

# pod USER OPTION...: the words of a podman in the user's own storage
pod() {
	words=(podman --runtime "$RUNTIME" --storage-driver vfs --root "$engines_dir/$1/storage" "${@:2}")
}

pod_as_unit() {
	pod "$@"
	as_unit "$1" "${words[@]}"
}

import_for() {
	pod "$1" import --quiet $engines_dir/image.tar "$image"
	as "$1" "${words[@]}"
}

engines_once users make_users
engines_once image-of-brig import_for brig
engines_once image-of-plain import_for plain
c=c-$$
trap 'pod_as_unit brig rm --force --time 0 "$c" >/dev/null 2>&1 || :' EXIT

test_subordinate_ids() {
	assert_eq "$(pod_as_unit brig run --rm --network none "$image" sh -c 'id -u; awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map')" \
		$'0\n0 1000 1\n1 100000 65536'
	assert_eq "$(pod_as_unit brig run --rm --network none --userns keep-id "$image" id -u)" 1000
	assert_eq "$(pod_as_unit brig run --rm --network none --user 7:8 "$image" sh -c 'id -u; id -g')" $'7\n8'
}

test_life_of_a_container() {
	pod_as_unit brig run --detach --network none --name "$c" --memory 64m --pids-limit 50 "$image" \
		sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done' >/dev/null
	assert_status 9 pod_as_unit brig exec "$c" sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; exit 9'
	assert_eq "$output" $'67108864\n50'
	assert_contains "$(pod_as_unit brig inspect "$c" --format '{{.State.CgroupPath}}')" /user@1000.service/
	pod_as_unit brig pause "$c"
	pod_as_unit brig unpause "$c"
	pod_as_unit brig stop "$c"
	assert_eq "$(pod_as_unit brig inspect "$c" --format '{{.State.ExitCode}}')" 7
}

test_exit_codes() {
	assert_status 42 pod_as_unit brig run --rm --network none "$image" sh -c 'exit 42'
	assert_status 127 pod_as_unit brig run --rm --network none "$image" missing-program
	assert_status 137 pod_as_unit brig run --rm --network none --memory 16m "$image" sh -c 'x=a; while :; do x=$x$x; done'
}

test_cgroups_made_without_systemd() {
	assert_eq "$(pod_as_unit brig --cgroup-manager=cgroupfs run --rm --network none "$image" sh -c 'echo runs')" runs
}

test_without_a_cgroup_of_its_own() {
	pod brig --cgroup-manager=cgroupfs run --rm --network none "$image" sh -c 'echo runs; exit 5'
	assert_status 5 as brig "${words[@]}"
	assert_eq "$output" runs
}

test_a_user_without_subordinate_ids() {
	assert_eq "$(pod_as_unit plain run --rm --network none "$image" sh -c 'id -u; awk "{ print \$1, \$2, \$3 }" /proc/self/uid_map')" \
		$'0\n0 1007 1'
}

test_a_network() {
	assert_contains "$(pod_as_unit brig run --rm --network slirp4netns "$image" ip -o -4 address)" 10.0.2.100
}
