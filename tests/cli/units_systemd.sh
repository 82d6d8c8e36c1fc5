#!/bin/bash
# Units that `brig generate` writes, as systemd starts, restarts and stops them.
# where: vm-systemd
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

UNITS=/run/systemd/system

# as_unit NAME OPTION...: what brig generates, as a unit that is there
as_unit() {
	mkdir -p "$UNITS"
	brig generate "${@:2}" >"$UNITS/$1.service"
	# Of the build folder, not of an installation
	systemctl set-environment "BRIG_LIBEXEC=$BRIG_LIBEXEC" "BRIG_SHARE=$BRIG_SHARE"
	systemctl daemon-reload
}

# A container that ends when it is told to
polite() {
	assert_runs brig create --name "$1" --network none "${@:2}" busybox \
		sh -c 'trap "exit 0" TERM; echo here; while :; do sleep 0.1; done'
}

state() {
	brig inspect -f '{{.State.Status}}' "$1"
}

runs() {
	[ "$(state "$1")" = running ]
}

test_start_and_stop() {
	polite box
	as_unit box systemd --name box
	assert_runs systemctl start box
	wait_for 60 runs box
	assert_eq "$(systemctl is-active box)" active
	said() { journalctl -u box -o cat | grep -qx here; }
	wait_for 60 said
	assert_runs systemctl stop box
	assert_eq "$(state box) $(brig inspect -f '{{.State.ExitCode}}' box)" "exited 0"
	assert_eq "$(systemctl show -p Result --value box)" success
	# Ended by brig, it is ended for systemd
	assert_runs systemctl start box
	wait_for 60 runs box
	assert_runs brig stop box
	ended() { [ "$(systemctl is-active box)" = inactive ]; }
	wait_for 60 ended
	brig rm box
}

failing_twice() {
	[ "$(systemctl show -p NRestarts --value failing)" -ge 2 ]
}

test_restart_on_failure() {
	assert_runs brig create --name failing --network none busybox sh -c 'exit 3'
	as_unit failing systemd --name --restart-policy on-failure failing
	systemctl start failing || :
	wait_for 60 failing_twice
	systemctl stop failing
	assert_eq "$(brig inspect -f '{{.State.ExitCode}}' failing)" 3
	brig rm failing
	# Also when its process was killed from outside
	polite killed
	as_unit killed systemd --name --restart-policy on-failure killed
	systemctl start killed
	wait_for 60 runs killed
	kill -KILL "$(brig inspect -f '{{.State.Pid}}' killed)"
	again() { [ "$(systemctl show -p NRestarts --value killed)" = 1 ] && runs killed; }
	wait_for 60 again
	assert_runs systemctl stop killed
	assert_eq "$(state killed)" exited
	brig rm killed
}

test_a_new_container_for_each_start() {
	polite fresh
	as_unit fresh systemd --new fresh
	brig rm fresh
	assert_runs systemctl start fresh
	fresh_runs() { runs fresh 2>/dev/null; }
	wait_for 60 fresh_runs
	local first
	first=$(brig inspect -f '{{.Id}}' fresh)
	assert_runs systemctl restart fresh
	wait_for 60 fresh_runs
	assert_ne "$(brig inspect -f '{{.Id}}' fresh)" "$first"
	assert_runs systemctl stop fresh
	assert_eq "$(brig ps -aq)" ""
}

test_at_boot() {
	local dir
	polite box --restart always
	polite other
	brig start box other
	dir=$TEST_DIR/data/containers/$(brig inspect -f '{{.Id}}' box)
	# As the machine's end leaves it
	kill -KILL "$(jq .monitor "$dir/status.json")" "$(brig inspect -f '{{.State.Pid}}' box)"
	brig stop other
	jq '.boot = "00000000-0000-0000-0000-000000000000"' "$dir/status.json" >new && mv new "$dir/status.json"
	as_unit boot boot
	assert_runs systemctl start boot
	assert_eq "$(state box) $(state other)" "running exited"
	# What it has started is not its to stop
	assert_runs systemctl stop boot
	assert_eq "$(state box)" running
	brig rm -f box other
}

# A file of the Quadlet form is a unit after daemon-reload, by the generator that an installation has
test_files_that_the_generator_finds() {
	local files=/etc/brig/systemd generator=/run/systemd/system-generators/brig-system-generator
	mkdir -p "$files" "$(dirname "$generator")"
	# Of the build folder, and with this test's data
	printf '#!/bin/sh\nexec %q --root %q --runroot %q "$@"\n' "$BRIG" "$TEST_DIR/data" "$TEST_DIR/run" >as-brig
	chmod +x as-brig
	sed "s,/.*/bin/brig,$PWD/as-brig," "$BRIG_BUILD/cli/brig-system-generator" >"$generator"
	chmod +x "$generator"
	systemctl set-environment "BRIG_LIBEXEC=$BRIG_LIBEXEC" "BRIG_SHARE=$BRIG_SHARE"
	printf '[Volume]\nVolumeName=kept\n' >$files/kept.volume
	cat >$files/filed.container <<-'FILE'
		[Unit]
		Description=From a file
		[Container]
		Image=busybox
		ContainerName=filed
		Network=none
		Volume=kept.volume:/kept
		StopTimeout=3
		Exec=sh -c 'trap "exit 0" TERM; echo "$$0 was here" >/kept/file; while :; do sleep 0.1; done'
		[Install]
		WantedBy=multi-user.target
	FILE
	printf '[Container]\nImage=busybox\nExce=true\n' >$files/wrong.container
	systemctl daemon-reload
	assert_eq "$(systemctl show -p Description --value filed)" "From a file"
	assert_eq "$(systemctl show -p SourcePath --value filed)" $files/filed.container
	assert_contains "$(systemctl show -p Wants --value multi-user.target)" filed.service
	assert_eq "$(systemctl show -p LoadState --value wrong)" not-found
	assert_runs systemctl start filed
	wait_for 120 runs filed
	assert_eq "$(systemctl is-active kept-volume)" active
	wait_for 60 test -s "$TEST_DIR/data/volumes/kept/_data/file"
	assert_runs systemctl stop filed
	assert_eq "$(brig ps -aq)" ""
	assert_eq "$(systemctl show -p Result --value filed)" success
	rm -r "$files" "$generator"
	systemctl daemon-reload
	assert_eq "$(systemctl show -p LoadState --value filed)" not-found
}
