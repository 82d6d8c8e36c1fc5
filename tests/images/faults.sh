#!/bin/bash
# A pull that is killed, or whose system calls fail, at every call that changes the store: nothing half-made.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

CALLS=(renameat2 fsync syncfs mkdirat unlinkat flock clone3 ftruncate pwrite64 socketpair)

# traced ARGUMENT...: a pull under strace
traced() {
	strace -f -qq -o trace "$@" "$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" \
		pull 127.0.0.1:5001/good:1
}

setup() {
	need strace
	start_hostile
	traced -e "trace=$(IFS=,; echo "${CALLS[*]}")" >/dev/null
	cp trace calls
	rm -rf store
}

# points CALL: how often the busiest thread makes it; what strace counts
points() {
	grep -oE "^[0-9]+ +$1\(" calls | sort | uniq -c | sort -rn | awk 'NR == 1 { print $1 } END { if (!NR) print 0 }'
}

# What has a name is whole, blobs are what they are called, and the next pull does it.
assert_sound() {
	local blob
	for blob in store/blobs/sha256/*; do
		[ ! -f "$blob" ] || assert_eq "$(sha256sum <"$blob" | cut -d ' ' -f 1)" "${blob##*/}" "$1: a blob"
	done
	if [ -d store/names ] && [ -n "$(images names)" ]; then
		images create box 127.0.0.1:5001/good:1
		mkdir -p m && images mount box m
		assert_eq "$(cat m/hello)" world "$1"
		umount m
		images delete box
	fi
	assert_runs images pull 127.0.0.1:5001/good:1
	assert_runs images collect
	assert_store_clean
	assert_eq "$(find store/parts store/deferred -mindepth 1 -not -name '*.map')" "" "$1: left"
	[ -n "$(images names)" ] || fail "$1: no image in the end"
}

# sweep INJECTION
sweep() {
	local call n count=0
	for call in "${CALLS[@]}"; do
		for ((n = 1; n <= $(points "$call"); n++)); do
			rm -rf store
			run traced -e trace="$call" -e "inject=$call:$1:when=$n"
			[ "$status" -lt 129 ] || [ "$1" = signal=KILL ] || fail "$call $n: died of $status"
			count=$((count + 1))
			assert_sound "$call $n"
		done
	done 2>&1
	echo "$count points"
	[ "$count" -gt 20 ] || fail "only $count points"
}

test_killed_at_every_call() {
	setup
	sweep signal=KILL
	assert_eq "$(ps -e -o comm | grep -c brig-unpack || :)" 0
}

test_every_call_fails_of_want_of_space() {
	setup
	sweep error=ENOSPC
}

test_every_call_fails() {
	setup
	sweep error=EIO
}
