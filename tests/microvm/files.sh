#!/bin/bash
# The file server as a POSIX file system, with this host's kernel as its guest: tests/microvm/posix finds
# nothing that the file system beneath does not do, too.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/test.sh"

programs=$BRIG_BUILD/tests/microvm

# serve FOLDER: at the folder "mounted"
serve() {
	mkdir -p "$1" mounted
	"$programs/fuse-mount" "$(realpath "$1")" "$TEST_DIR/mounted" >served 2>&1 &
	wait_for 20 grep -q mounted served
}

test_as_the_file_system_beneath() {
	mkdir native
	"$programs/posix" native >expected
	serve served-folder
	"$programs/posix" mounted >actual
	diff expected actual || fail "the file server differs"
	[ "$(wc -l <actual)" -gt 250 ] || fail "few results: $(cat actual)"
}

# How often the server calls its kernel for files that are made and written, and for such that are found and
# read, but for the requests themselves.
test_few_system_calls() {
	local i begin made
	command -v strace >/dev/null || skip "no strace"
	mkdir tree mounted
	for i in $(seq 100); do echo "$i" >"tree/old$i"; done
	strace -qq -o calls -e 'trace=!read,write' "$programs/fuse-mount" "$(realpath tree)" "$TEST_DIR/mounted" >served 2>&1 &
	wait_for 20 grep -q mounted served
	begin=$(wc -l <calls)
	for i in $(seq 100); do echo "$i" >"mounted/new$i"; done
	made=$(wc -l <calls)
	for i in $(seq 100); do read -r _ <"mounted/old$i"; done
	echo "calls: $((made - begin)) for 100 files that are made, $(($(wc -l <calls) - made)) for 100 that are read"
	[ $((made - begin)) -le 900 ] || fail "$((made - begin)) system calls for 100 new files"
	[ $(($(wc -l <calls) - made)) -le 550 ] || fail "$(($(wc -l <calls) - made)) system calls for 100 old files"
}

test_files_of_two_mounts() {
	mkdir -p tree/one tree/two
	mount -t tmpfs one tree/one && mount -t tmpfs two tree/two
	echo 1 >tree/one/file && echo 2 >tree/two/file
	assert_eq "$(stat -c %i tree/one/file)" "$(stat -c %i tree/two/file)" "the host's numbers"
	serve tree
	# cp(1) refuses what it takes for the same file.
	cp mounted/one/file mounted/two/file
	assert_eq "$(cat tree/two/file)" 1
	assert_eq "$(cd mounted/two && find . -name file -printf %i)" "$(stat -c %i mounted/two/file)"
}

test_changes_from_outside() {
	mkdir tree && echo old >tree/file
	touch -d '1 hour ago' tree/file
	sleep 2.1 # until the file server trusts the change time
	serve tree
	assert_eq "$(cat mounted/file)$(cat mounted/file)" oldold
	echo new >tree/file
	assert_eq "$(cat mounted/file)" new
	echo one >mounted/log
	exec 5>>mounted/log
	echo two >>tree/log
	echo three >&5
	assert_eq "$(tr '\n' ' ' <tree/log)" 'one two three '
}
