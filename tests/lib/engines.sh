# Shared by the tests with container engines: what is built is installed as an administrator would, and
# there is a small image for each engine. $RUNTIME is the installed brig-oci; BRIG_OCI=crun or another
# name runs the same tests with that runtime, as proof that nothing in them is made for brig.
# To be sourced after test.sh. shellcheck shell=bash

engines_dir=/run/brig-engines
image=localhost/brig-test:latest

# engines_once NAME COMMAND...: runs the command in the first test of this boot that wants it
engines_once() {
	local done=$engines_dir/$1.done
	shift
	[ ! -e "$done" ] || return 0
	mkdir -p $engines_dir
	(
		flock 9
		[ -e "$done" ] || { "$@" >&2 && : >"$done"; } || exit 1
	) 9>"$done.lock" || fail "cannot prepare: $*"
}

# Every file of the build goes where `meson install` puts it.
install_build() {
	local from to
	while read -r from to; do
		[ ! -e "$from" ] || install -D "$from" "$to" || return 1
	done < <(jq -r 'to_entries[] | "\(.key) \(.value)"' "$BRIG_BUILD/meson-info/intro-installed.json")
}

make_image() {
	rootfs_make $engines_dir/rootfs && tar -C $engines_dir/rootfs -cf $engines_dir/image.tar .
}

# is_brig: whether the runtime under test is brig's
is_brig() {
	[[ $RUNTIME = */brig-oci ]]
}

# lines OUTPUT: without what a terminal adds: carriage returns, empty lines, the echo of the end of the input
lines() {
	tr -d '\r\0\004' <<<"$1" | sed 's/\^[@D]//g; /^$/d'
}

# in_terminal COMMAND: its words as one text, in a terminal of 40 rows and 100 columns
in_terminal() {
	script -qec "stty rows 40 cols 100; $1" /dev/null </dev/null
}

case $BRIG_OCI in
*/*)
	engines_once install install_build
	RUNTIME=$(jq -r 'to_entries[] | select(.key | endswith("/brig-oci")) | .value' \
		"$BRIG_BUILD/meson-info/intro-installed.json" | grep '/bin/brig-oci$')
	;;
*) RUNTIME=$(command -v "$BRIG_OCI") || fail "there is no runtime $BRIG_OCI" ;;
esac
engines_once image make_image
