# What tests of checkpoint and restore share: a container that counts, so that one sees whether it goes on.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/oci.sh"

need_criu() {
	command -v criu >/dev/null || skip "criu is not installed"
	criu check >/dev/null 2>&1 || skip "criu does not work on this kernel"
}

# Counts in /tmp/n of its rootfs and prints nothing, also when it is restored between the two steps and the files have
# gone on meanwhile, which are no part of a checkpoint.
COUNTER='i=0; while :; do i=$((i+1)); echo $i >/tmp/m; mv /tmp/m /tmp/n 2>/dev/null; sleep 0.1; done'

count() {
	cat "$BUNDLE/rootfs/tmp/n"
}

counts_beyond() {
	[ "$(count)" -gt "$1" ]
}

# start_counter [FILTER…]: a container that has counted to 3
# shellcheck disable=SC2120 # filters, for those who have some
start_counter() {
	need_criu
	start_sh "$COUNTER" "$@"
	wait_until counts_beyond 3
}

# start_piped SCRIPT [FILTER…]: as start_sh, with pipes for output, as engines have it
start_piped() {
	local script=$1
	shift
	next_container
	bundle_sh "$BUNDLE" "$script" "$@"
	oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" </dev/null > >(cat >/dev/null) 2>&1
	PID=$(cat "$BUNDLE/pid")
	oci start "$ID"
}

# checkpoint [OPTION…] and restore [OPTION…]: of the container of the test; IMAGES is where
IMAGES=$TEST_DIR/images
checkpoint() {
	oci checkpoint --image-path "$IMAGES" "$@" "$ID"
}

# shellcheck disable=SC2120 # options, for those who have some
restore() {
	oci restore --detach --bundle "$BUNDLE" --image-path "$IMAGES" --pid-file "$BUNDLE/pid" "$@" "$ID" \
		</dev/null >"$BUNDLE/out" 2>"$BUNDLE/err" || {
		cat "$BUNDLE/err" >&2
		return 1
	}
	[ ! -s "$BUNDLE/err" ] || fail "restore printed: $(cat "$BUNDLE/err")"
	PID=$(cat "$BUNDLE/pid")
}

# It counts on from where it was, and not from 1.
goes_on_from() {
	local now
	now=$(count)
	[ "$now" -ge "$1" ] || fail "counts from $now, and was at $1"
	wait_until counts_beyond "$((now + 3))"
}
