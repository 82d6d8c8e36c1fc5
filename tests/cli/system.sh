#!/bin/bash
# brig's verbs about the machine: disk usage, pruning, doctor, completion, units.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

test_df() {
	make_layout layout
	brig load -q -i layout >/dev/null
	brig volume create v >/dev/null
	head -c 5000 /dev/zero >data/volumes/v/_data/file
	assert_runs brig system df
	assert_matches "$output" "^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE
Images +1 +0 +300kB +300kB \(100%\)
Containers +0 +0 +0B +0B
Local Volumes +1 +0 +5kB +5kB \(100%\)$"
	assert_eq "$(brig system df --format '{{.Type}} {{.TotalCount}}' | head -n 1)" "Images 1"
	assert_eq "$(brig system df --format json | jq -rs '.[2].Size')" 5kB
	assert_matches "$(brig system df -v)" "VOLUME NAME +LINKS +SIZE
v +0 +5kB"
	assert_fails brig system df -v --format json
}

test_system_prune() {
	make_layout layout
	brig load -q -i layout >/dev/null
	brig volume create >/dev/null
	assert_runs brig system prune -f
	assert_eq "$(brig images -q | wc -l) $(brig volume ls -q | wc -l)" "1 1"
	assert_runs brig system prune -f --all --filter label=x
	assert_eq "$(brig images -q | wc -l)" 1
	assert_runs brig system prune --force --all --volumes
	assert_contains "$output" "Total reclaimed space: "
	assert_eq "$(brig images -q | wc -l) $(brig volume ls -q | wc -l)" "0 0"
}

test_doctor() {
	run brig doctor
	assert_contains "$output" "ok      seccomp"
	assert_contains "$output" "brig-registry"
	assert_eq "$(brig doctor --format json | jq -rs 'map(select(.Check == "store" or .Check == "overlay")) | .[0].Status')" ok
	BRIG_LIBEXEC=$TEST_DIR/nothing run "$BRIG_BUILD/cli/brig" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" doctor
	assert_eq "$status" 1
	assert_contains "$output" "broken  brig-unpack"
	echo 'nonsense' >registries.conf
	CONTAINERS_REGISTRIES_CONF=$TEST_DIR/registries.conf run brig doctor
	assert_contains "$output" "broken  registries.conf"
}

test_completion() {
	local shell
	for shell in bash zsh fish; do
		assert_contains "$(brig completion $shell)" "brig --complete"
	done
	bash -n <(brig completion bash)
	assert_fails brig completion tcsh
}
