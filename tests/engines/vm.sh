#!/bin/bash
# podman and containerd with brig-oci-vm: every container in a virtual machine of its own.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/microvm.sh"

# The kernel of guests, for services too; the name that asks for machines, as an installation has it
offer_machines() {
	mkdir -p /boot
	ln -sf /run/brig-vm/host/vmlinuz "/boot/vmlinuz-$(uname -r)"
	ln -sf brig-oci "$RUNTIME-vm"
	need_tun
}

import_podman_image() {
	podman import --quiet $engines_dir/image.tar "$image"
}

import_containerd_image() {
	make_archive $engines_dir/ctr.tar "docker.io/library/brig-test:latest" '{Env: ["PATH=/bin"]}' &&
		ctr image import $engines_dir/ctr.tar
}

vm() {
	podman --runtime "$RUNTIME-vm" "$@"
}

inspect() {
	podman inspect "$1" --format "{{$2}}"
}

remove_all() {
	podman ps -aq --filter "name=-$$" | xargs -r podman rm --force --time 0 >/dev/null
	ctr task kill --signal KILL "$c" || :
	wait_for 60 no_task
	ctr container rm "$c" || :
}

no_task() {
	ctr task rm "$c" 2>/dev/null || :
	! ctr task ls | grep -q "^$c "
}

logs_have() {
	podman logs "$c" 2>&1 | grep -q "$1"
}

engines_once machines offer_machines
c=vm-$$
trap 'remove_all >/dev/null 2>&1 || :' EXIT

test_podman_life_of_a_machine() {
	engines_once podman-image import_podman_image
	mkdir share && echo from-host >share/file
	assert_runs vm run --detach --name "$c" --memory 96m --pids-limit 50 --publish 127.0.0.1:8089:80 \
		--volume "$PWD/share:/share" "$image" \
		sh -c 'trap "exit 7" TERM; trap "echo got-usr1" USR1; echo started; while :; do sleep 0.1; done'
	wait_for 120 logs_have started
	assert_eq "$(inspect "$c" .State.Status)" running

	# exec: output, exact codes, users, a terminal; another kernel than this one's
	assert_status 9 vm exec "$c" sh -c 'cat /share/file; exit 9'
	assert_eq "$output" from-host
	assert_status 127 vm exec "$c" missing-program
	assert_ne "$(vm exec "$c" cat /proc/sys/kernel/random/boot_id)" "$(cat /proc/sys/kernel/random/boot_id)"
	assert_eq "$(vm exec --user 5:6 --workdir /tmp --env A=b "$c" sh -c 'echo $(id -u) $(id -g) $(pwd) $A')" "5 6 /tmp b"
	assert_status 6 in_terminal "podman --runtime $RUNTIME-vm exec -it $c sh -c 'tty; stty size; exit 6'"
	assert_eq "$(lines "$output")" $'/dev/pts/0\n40 100'
	assert_eq "$(echo through | vm exec -i "$c" cat)" through
	assert_eq "$(vm exec "$c" cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)" $'100663296\n50'

	# What netavark has set up is the guest's: its address, the published port
	assert_contains "$(vm exec "$c" ip addr show eth0)" "$(inspect "$c" .NetworkSettings.IPAddress)"
	vm exec --detach "$c" nc -l -p 80 -e echo from-the-guest
	wait_for 60 eval '[ "$(busybox nc -w 5 127.0.0.1 8089 </dev/null)" = from-the-guest ]'

	vm exec "$c" sh -c 'echo from-guest >/share/new'
	assert_eq "$(cat share/new)" from-guest
	assert_matches "$(vm stats --no-stream --format '{{.PIDs}}' "$c")" '^[0-9]+$'
	podman kill --signal USR1 "$c"
	wait_for 60 logs_have got-usr1
	vm stop --time 120 "$c"
	assert_eq "$(inspect "$c" '.State.Status}} {{.State.ExitCode')" "exited 7"
	vm rm "$c"
}

test_podman_exit_codes_and_signals() {
	engines_once podman-image import_podman_image
	local once=(vm run --rm --network none)
	assert_eq "$(printf 'one\ntwo\n' | "${once[@]}" --interactive "$image" cat)" $'one\ntwo'
	assert_status 42 "${once[@]}" "$image" sh -c 'echo out; echo err >&2; exit 42'
	assert_eq "$output" out
	assert_eq "$errors" err
	assert_status 127 "${once[@]}" "$image" missing-program
	assert_status 5 in_terminal "podman --runtime $RUNTIME-vm run --rm --network none -it $image sh -c 'tty; stty size; exit 5'"
	assert_eq "$(lines "$output")" $'/dev/pts/0\n40 100'
	assert_runs vm run --detach --name "$c" --network none "$image" sleep 600
	podman kill --signal KILL "$c"
	wait_for 60 eval '[ "$(inspect "$c" .State.ExitCode)" = 137 ]'
}

test_containerd() {
	engines_once containerd-service configure_containerd
	engines_once containerd-image import_containerd_image
	ctr run --runtime io.containerd.runc.v2 --runc-binary "$RUNTIME-vm" --detach --memory-limit 100663296 \
		docker.io/library/brig-test:latest "$c" sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'
	assert_status 9 ctr task exec --exec-id one "$c" sh -c 'cat /proc/sys/kernel/random/boot_id; exit 9'
	assert_ne "$output" "$(cat /proc/sys/kernel/random/boot_id)"
	assert_fails ctr task exec --exec-id two "$c" missing-program
	assert_contains "$errors" "executable file not found"
	assert_matches "$(ctr task metrics "$c")" 'pids.current +[0-9]'
	ctr task kill --signal TERM "$c"
	wait_for 60 eval 'ctr task ls | grep -q "^$c .*STOPPED"'
	run ctr task rm "$c"
	assert_contains "$output$errors" 7
}
