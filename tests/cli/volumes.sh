#!/bin/bash
# brig's verbs about volumes and secrets.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

test_volumes() {
	assert_runs brig volume create --label a=b -l c one
	assert_eq "$output" one
	assert_fails brig volume create one
	assert_runs brig volume create --ignore one
	assert_fails brig volume create ../x
	assert_fails brig volume create --driver nfs x
	assert_fails brig volume create --opt type=nfs x
	local anonymous
	anonymous=$(brig volume create)
	assert_matches "$anonymous" '^[0-9a-f]{64}$'
	assert_matches "$(brig volume ls -f name=one)" "^DRIVER +VOLUME NAME
local +one$"
	assert_eq "$(brig volume ls -q -f anonymous=true)" "$anonymous"
	assert_eq "$(brig volume ls -q -f label=a=b -f driver=local)" one
	assert_eq "$(brig volume ls -q -f dangling=false)" ""
	assert_eq "$(brig volume ls --noheading -f name=one --format '{{.Label "a"}} {{.Labels}}')" "b a=b,c="
	assert_eq "$(brig volume ls --format json | jq -rs 'length')" 2
	assert_eq "$(brig volume inspect -f '{{.Mountpoint}} {{.Scope}}' one)" "$TEST_DIR/data/volumes/one/_data local"
	assert_eq "$(brig inspect --type volume one | jq -r '.[0].Labels.a')" b
	run brig volume inspect one none
	assert_eq "$status $(jq length <<<"$output")" "1 1"
	# Each that is missing is named.
	assert_eq "$(brig volume inspect none one nothing 2>&1 >/dev/null | grep -c '^brig: ')" 2
	assert_eq "$(brig volume rm none nothing 2>&1 | grep -c '^brig: ')" 2
	assert_runs brig volume exists one
	assert_status 1 brig volume exists none
	echo content >data/volumes/one/_data/file
	assert_runs brig volume prune --force --filter label!=x
	assert_contains "$output" "$anonymous"
	assert_not_contains "$output" one
	assert_runs brig volume prune -f -a --filter until=1h
	assert_runs brig volume exists one
	assert_runs brig volume prune -f -a
	assert_eq "$output" "Deleted Volumes:
one

Total reclaimed space: 8B"
	brig volume create a >/dev/null && brig volume create b >/dev/null
	assert_eq "$(brig volume rm a)" a
	assert_fails brig volume rm a
	assert_runs brig volume rm --force a
	assert_eq "$(brig volume rm --all)" b
	assert_status 1 brig volume rm
}

test_secrets() {
	local id
	printf s3cret >file
	id=$(brig secret create --label a=b --driver file one file)
	assert_matches "$id" '^[0-9a-f]{24}$'
	assert_fails brig secret create one file
	brig secret create --replace one - <file >/dev/null
	V=other brig secret create --env two V >/dev/null
	assert_fails brig secret create --env three NOT_SET
	assert_fails brig secret create ../x file
	assert_fails brig secret create empty /dev/null
	head -c 600000 /dev/zero >large
	assert_fails brig secret create large large
	assert_eq "$(stat -c %a data/secrets data/secrets/one data/secrets/one/data | xargs)" "700 700 600"
	assert_matches "$(brig secret ls -f name=one)" "^ID +NAME +DRIVER +CREATED +UPDATED"
	assert_eq "$(brig secret ls --noheading --format '{{.Name}} {{.Driver}}')" $'one file\ntwo file'
	assert_eq "$(brig secret ls -q | wc -l)" 2
	assert_not_contains "$(brig secret inspect one two; brig inspect one)" s3cret
	assert_eq "$(brig secret inspect --showsecret -f '{{.SecretData}} {{.Spec.Name}}' two)" "other two"
	id=$(brig secret inspect -f '{{.ID}}' two)
	assert_runs brig secret exists "${id:0:8}"
	assert_status 1 brig secret exists none
	assert_eq "$(brig secret rm "${id:0:8}")" "$id"
	assert_fails brig secret rm two
	assert_runs brig secret rm --ignore two
	assert_runs brig secret rm --all
	assert_eq "$(brig secret ls -q)" ""
	assert_eq "$(find data/secrets -type f)" ""
}

# Another container has the volume while it is filled, and puts a link in the place of what was just made there.
test_filling_follows_no_link_of_others() {
	need strace
	local dir
	mkdir -p root/data root/bin && cp "$(command -v busybox)" root/bin/true && mkfifo -m 666 root/data/fifo
	tar -C root -cf root.tar . && brig import -q root.tar localhost/fifo:1 >/dev/null
	echo mine >victim && chmod 600 victim
	assert_runs brig volume create v
	dir=$(brig volume inspect -f '{{.Mountpoint}}' v)
	{
		while [ ! -p "$dir/fifo" ]; do sleep 0.01; done
		rm "$dir/fifo" && ln -s "$TEST_DIR/victim" "$dir/fifo" && : >swapped
	} &
	BRIG_LIBEXEC=$BRIG_BUILD/images run strace -f -qq -o trace -e trace=mknodat -e inject=mknodat:delay_exit=500000 \
		"$BRIG_BUILD/cli/brig" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" run --rm --network none -v v:/data localhost/fifo:1 /bin/true
	wait
	[ -e swapped ] || fail "nothing was swapped"
	assert_eq "$(stat -c '%a %U' victim)" "600 root"
	assert_eq "$status" 125
	assert_contains "$errors" fifo
}
