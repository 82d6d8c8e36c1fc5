#!/bin/bash
# What README's five minutes and docs/engines.md say, word for word, where no other file of this folder does.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

test_alone() {
	example README.md "mkdir -p box/rootfs/bin" >try
	mkfifo input
	script -qec "bash -e try" /dev/null <input >shell &
	exec 3>input
	wait_for 100 grep -q "/ #" shell
	echo exit >&3
	wait $!
	cd box
	example README.md "create box-2" >try
	assert_runs bash -e try
	assert_contains "$output" '"created"'
	assert_contains "$output" "sleep 1000"
	assert_contains "$output" paused
	assert_fails "$RUNTIME" state box-2
}

test_alone_without_root() {
	local name
	name=$(basename "$RUNTIME")
	make_readme_box
	cp -a rootfs /home/brig/ && chown -R brig: /home/brig/rootfs
	run nsenter --mount --target 1 -- su --login brig --command "$name spec --rootless &&
		jq '.process.terminal = false | .process.args = [\"id\"]' config.json >new && mv new config.json && $name run box-3"
	assert_contains "$output" uid=0
}

test_podman() {
	make_readme_box
	example README.md "podman import" >try
	assert_runs bash -e try
	assert_contains "$output" uid=0
	assert_matches "$output" '1 +(root|0) +.*ps'
	# docs/engines.md: where the containers of podman are
	podman run --detach --network none --name "box-$$" box sleep 300 >/dev/null
	! is_brig || assert_contains "$("$RUNTIME" --root /run/brig-oci list)" "$(podman inspect "box-$$" --format '{{.Id}}')"
	podman rm --force --time 0 "box-$$"
}
