#!/bin/bash
# Whole systems: Debian's systemd as the first process of a container; and brig's units under systemd.
# where: vm-systemd
# kernel: 6.12
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# The machine's own root as an image
make_image() {
	tar -C / --one-file-system --exclude=./var/cache --exclude=./usr/share --exclude=./boot --exclude='./usr/lib/modules' \
		-c ./bin ./sbin ./lib ./lib64 ./etc ./usr ./var 2>/dev/null | brig import - system ||
		fail "cannot make the image"
}

is_up() {
	[[ $(brig exec sys systemctl is-system-running) =~ ^(running|degraded)$ ]]
}

test_system_as_a_container() {
	make_image
	brig run -d --name sys --network none --stop-timeout 120 system /sbin/init
	wait_for 300 is_up
	brig exec sys systemctl list-units --failed --no-legend --plain
	assert_eq "$(brig exec sys cat /proc/1/comm)" systemd
	assert_contains "$(brig exec sys systemctl list-units --no-legend --plain)" systemd-journald.service
	assert_eq "$(brig exec sys systemctl is-active dbus.service systemd-journald.service | sort -u)" active
	assert_runs brig exec sys systemd-run --wait --unit hello echo greetings
	assert_runs brig exec sys journalctl --sync
	assert_contains "$(brig exec sys journalctl -u hello --no-pager)" greetings
	assert_eq "$(brig exec sys systemd-detect-virt --container)" container-other
	assert_eq "$(brig exec sys stat -c %a /tmp)" 1777
	# The host's system is another one
	assert_not_contains "$(systemctl list-units --all --no-legend --plain)" hello.service
	assert_runs brig stop sys
	assert_eq "$(brig inspect -f '{{.State.Status}}' sys)" exited
	assert_ne "$(brig inspect -f '{{.State.ExitCode}}' sys)" 137 "it ended by itself"
	assert_runs brig start sys
	wait_for 300 is_up
	brig rm -f sys
}
