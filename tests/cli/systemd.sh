#!/bin/bash
# Whole systems: Debian's systemd as the first process of a container.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# The test machine's root as an image
make_image() {
	local root
	root=$("$(dirname "${BASH_SOURCE[0]}")/../vm/make-root" systemd)
	tar -C "$root" --exclude='./usr/share/*/*' --exclude=./var/cache --exclude=./var/lib/apt --exclude=./boot -c . >root.tar
	tar -C "$root" -r -f root.tar ./usr/share/dbus-1
	brig import root.tar system >/dev/null
}

is_up() {
	[[ $(brig exec sys systemctl is-system-running) =~ ^(running|degraded)$ ]]
}

test_a_system() {
	make_image
	brig run -d --name sys --network none --stop-timeout 100 system /sbin/init
	wait_for 120 is_up
	assert_eq "$(brig exec sys systemctl list-units --failed --no-legend --plain)" "" "units that failed"
	assert_eq "$(brig exec sys cat /proc/1/comm)" systemd
	assert_contains "$(brig exec sys systemctl list-units --no-legend --plain)" multi-user.target
	assert_eq "$(brig exec sys systemctl is-active dbus.service systemd-journald.service | sort -u)" active
	assert_runs brig exec sys systemd-run --wait --unit hello echo greetings
	assert_contains "$(brig exec sys journalctl -u hello --no-pager)" greetings
	assert_eq "$(brig exec sys stat -c %a /tmp)" 1777
	assert_runs brig stop sys
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' sys)" 0 "it ended by itself"
	assert_runs brig start sys
	wait_for 120 is_up
	assert_runs brig rm -f sys
	nothing_left
}

test_what_is_a_system() {
	# busybox's init is one by its name, and gets what systemd would need; it stops by another signal
	assert_eq "$(brig run --rm --network none busybox sh -c 'echo $container')" ""
	assert_eq "$(brig run --rm --network none --systemd busybox sh -c 'echo $container')" oci
	assert_eq "$(brig run --rm --network none --systemd=false busybox sh -c 'echo $container')" ""
	brig create --name one --network none busybox /sbin/init
	brig create --name two --network none --systemd=false busybox /sbin/init
	assert_eq "$(jq -r '.systemd, .stopSignal' data/containers/"$(brig inspect -f '{{.Id}}' one)"/container.json | xargs)" "true 37"
	assert_eq "$(jq -r '.systemd, .stopSignal' data/containers/"$(brig inspect -f '{{.Id}}' two)"/container.json | xargs)" "false 15"
	assert_status 125 brig run --rm --systemd=perhaps busybox true
	brig rm -fa
}
