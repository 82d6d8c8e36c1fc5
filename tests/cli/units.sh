#!/bin/bash
# brig's units: what systemd says about them, and what starts after a reboot.
# time-limit: 300
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
	assert_not_contains "$(cat new.service)" --net= "the other name of --network"
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

# quadlet FILE: writes it from standard input, and has it translated; sets $output
quadlet() {
	cat >"$1"
	assert_runs brig generate unit "$1"
}

test_a_container_file() {
	cat >data.volume <<-'FILE'
		[Volume]
		Label=a=b
	FILE
	cat >ours.network <<-'FILE'
		[Network]
		NetworkName=ours
		Subnet=10.99.0.0/24
		Internal=yes
	FILE
	quadlet web.container <<-'FILE'
		# a web server
		[Unit]
		Description=Our web server
		After=local-fs.target

		[Container]
		Image=busybox
		ContainerName=web
		Exec=sh -c 'echo "$0 is" %n; exec httpd -f' \
		    # the port comes from the network
		    -p 80
		Environment="GREETING=good day" OTHER=x
		Environment=THIRD=y
		EnvironmentFile=%h/env
		PublishPort=8080:80
		PublishPort=127.0.0.1:8081:81/udp
		Volume=data.volume:/data:ro
		Volume=/etc/hosts:/hosts
		Network=ours.network:alias=www
		AddCapability=NET_ADMIN SYS_TIME
		DropCapability=all
		DropCapability=
		DropCapability=CHOWN
		NoNewPrivileges=true
		ReadOnly=no
		RunInit=yes
		User=33
		Group=34
		StopTimeout=7
		PodmanArgs=--memory 50m

		[Service]
		Restart=always

		[Install]
		WantedBy=multi-user.target default.target
		Alias=www.service

		[X-Note]
		Anything=goes
	FILE
	assert_contains "$output" $'# web.service\n[Unit]\nDescription=Our web server\nAfter=local-fs.target\nSourcePath='"$PWD/web.container"
	assert_contains "$output" $'Requires=data-volume.service\nAfter=data-volume.service\nRequires=ours-network.service'
	assert_contains "$output" " run --rm --replace --sig-proxy=false --name=web --user=33:34 --volume=systemd-data:/data:ro"
	assert_contains "$output" " --volume=/etc/hosts:/hosts --network=ours:alias=www --stop-timeout=7 --cap-add=NET_ADMIN"
	assert_contains "$output" ' --cap-add=SYS_TIME --cap-drop=CHOWN "--env=GREETING=good day" --env=OTHER=x --env=THIRD=y "--env-file=%h/env"'
	assert_contains "$output" " --security-opt=no-new-privileges --publish=8080:80 --publish=127.0.0.1:8081:81/udp --init --memory 50m busybox sh -c"
	assert_contains "$output" ' "echo \"$0 is\" %n; exec httpd -f" -p 80'
	assert_contains "$output" "stop --ignore --time 7 web"
	assert_contains "$output" "TimeoutStopSec=67"
	assert_contains "$output" $'\nRestart=always\n'
	assert_not_contains "$output" Anything
	assert_not_contains "$output" read-only
	brig generate unit --output . web.container data.volume ours.network
	assert_good_unit ./web.service ./data-volume.service ./ours-network.service
	assert_eq "$(readlink multi-user.target.wants/web.service default.target.wants/web.service www.service)" \
		$'../web.service\n../web.service\nweb.service'
	assert_contains "$(cat data-volume.service)" "volume create --ignore --label=a=b systemd-data"
	assert_contains "$(cat ours-network.service)" "network create --ignore --internal --subnet=10.99.0.0/24 ours"
}

# What the unit would start is started
test_a_container_file_runs() {
	cat >data.volume </dev/null
	cat >box.container <<-'FILE'
		[Container]
		Image=busybox
		Network=none
		Environment="A=b c"
		Volume=data.volume:/data
		Exec=sh -c 'echo "$A" "it is" >/data/file; exec sleep 100'
	FILE
	brig generate unit --output . box.container data.volume
	command_of() { sed -n "s/^$2=//p" "$1"; }
	bash -ec "$(command_of data-volume.service ExecStart)" >/dev/null
	# systemd itself would replace $A
	bash -ec "A='\$A'; $(command_of box.service ExecStart)" &
	wait_for 10 has_state systemd-box running
	wait_for 10 brig exec systemd-box test -s /data/file
	assert_eq "$(brig exec systemd-box cat /data/file)" "b c it is"
	bash -ec "$(command_of box.service ExecStop)"
	bash -ec "$(command_of box.service ExecStopPost)"
	wait
	brig volume rm systemd-data
	nothing_left
}

# refused_quadlet LINE TEXT: an error that names the line
refused_quadlet() {
	printf '[Container]\nImage=busybox\n%s\n' "$1" >bad.container
	assert_fails brig generate unit bad.container
	assert_contains "$errors" "$PWD/bad.container:3: "
	assert_contains "$errors" "$2"
	assert_eq "$(wc -l <<<"$errors")" 1
}

test_wrong_files() {
	refused_quadlet PublishPorts=80 'has no key "PublishPorts": did you mean PublishPort?'
	refused_quadlet Nonsense=1 'has no key "Nonsense"'
	refused_quadlet 'Exec="a' 'does not end'
	refused_quadlet 'Volume=no.volume:/x' "there is no no.volume"
	refused_quadlet 'ReadOnly=perhaps' "neither yes nor no"
	refused_quadlet 'Group=3' "needs User"
	refused_quadlet 'StopTimeout=x' "no number"
	refused_quadlet 'nonsense' "is not KEY=VALUE"
	printf '[Container]\n' >bad.container
	assert_fails brig generate unit bad.container
	assert_contains "$errors" "has no Image"
	printf '[Volume]\nLabel=a=b\n' >bad.container
	assert_fails brig generate unit bad.container
	assert_contains "$errors" "bad.container:2: a .container file has no section [Volume]"
	assert_fails brig generate unit bad.service
	assert_fails brig generate unit no.container
}

# What systemd calls
test_generator() {
	mkdir -p home/.config/brig/systemd out
	printf '[Container]\nImage=busybox\nExec=true\n[Install]\nWantedBy=default.target\n' >home/.config/brig/systemd/a@.container
	cp home/.config/brig/systemd/a@.container home/.config/brig/systemd/b.container
	printf '[Container]\nwrong\n' >home/.config/brig/systemd/c.container
	mkdir bin && ln -s "$BRIG" bin/brig
	sed "s,/.*/bin/brig,$PWD/bin/brig," "$BRIG_BUILD/cli/brig-user-generator" >x-user-generator
	HOME=$PWD/home XDG_CONFIG_HOME='' sh ./x-user-generator "$PWD/out" early late 2>said || :
	assert_contains "$(cat said)" "c.container:2"
	assert_eq "$(cd out && find . -mindepth 1 | sort | xargs)" "./a@.service ./b.service ./default.target.wants ./default.target.wants/b.service"
	assert_contains "$(cat "out/a@.service")" '"--name=systemd-a_%i"'
}
