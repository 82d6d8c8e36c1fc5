#!/bin/bash
# brig's units: what systemd says about them, and what starts after a reboot.
# time-limit: 120
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# systemd's own opinion
assert_good_unit() {
	assert_runs systemd-analyze verify --man=no "$@"
	assert_not_contains "$errors" "$(basename "$1")" "systemd-analyze"
}

test_units_are_well_formed() {
	brig create --name box --network none -e 'A=$x %y "z" \ ' -l 'a b=c' --restart always --stop-timeout 7 busybox sh -c 'echo "$A"'
	brig generate systemd --name --after dbus.service box >box.service
	assert_good_unit ./box.service
	assert_contains "$(cat box.service)" "ExecStop=$BRIG --root $TEST_DIR/data --runroot $TEST_DIR/run stop --ignore --time 7 box"
	brig generate systemd --new box >new.service
	assert_good_unit ./new.service
	assert_contains "$(cat new.service)" '$$x %%y \"z\" \\ '
	assert_not_contains "$(cat new.service)" --restart
	brig generate boot >boot.service
	assert_good_unit ./boot.service
	assert_eq "$(brig generate systemd --files --name box)" container-box.service
	assert_good_unit ./container-box.service
	assert_fails brig generate systemd no-such
	brig rm box
}

# another_boot NAME: its status as the machine's end has left it
another_boot() {
	local dir
	dir=$TEST_DIR/data/containers/$(brig inspect -f '{{.Id}}' "$1")
	kill -KILL "$(jq .monitor "$dir/status.json")" "$(brig inspect -f '{{.State.Pid}}' "$1")" 2>/dev/null || :
	jq '.boot = "00000000-0000-0000-0000-000000000000"' "$dir/status.json" >new && mv new "$dir/status.json"
}

test_after_a_reboot() {
	local name
	for name in always unless-stopped no; do
		brig run -d --name "$name" --network none --restart "$name" busybox sleep 100
	done
	brig run -d --name stopped --network none --restart unless-stopped busybox sleep 100
	brig stop -t 0 stopped
	brig create --name never-started --network none --restart always busybox sleep 100
	for name in always unless-stopped no; do
		another_boot "$name"
		assert_eq "$(state_of "$name")" exited
	done
	rm -rf run
	assert_eq "$(brig start --at-boot | sort)" $'always\nunless-stopped'
	assert_eq "$(state_of always) $(state_of unless-stopped) $(state_of no) $(state_of stopped)" "running running exited exited"
	assert_eq "$(brig start --at-boot)" ""
	assert_eq "$(brig start --all | sort)" $'never-started\nno\nstopped'
	assert_fails brig start
	assert_fails brig start --all box
	brig rm -fa
}
