# Shared by the scripts of this folder: messages, the cache and Debian's mirror. To be sourced by bash.
# shellcheck shell=bash disable=SC2034

cache=${BRIG_TEST_CACHE:-/var/cache/brig-test}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
name=tests/vm/$(basename "$0")

say() { echo "$name: $*" >&2; }

die() {
	local status=$1
	shift
	say "$@"
	exit "$status"
}

# need COMMAND|FILE PACKAGE ...: ends with one sentence when something is not installed
need() {
	local missing=
	while [ $# -gt 0 ]; do
		[ -e "$1" ] || command -v "$1" >/dev/null || missing+=" $2"
		shift 2
	done
	[ -z "$missing" ] || die 125 "needs: apt-get install --no-install-recommends$missing"
}

# The Debian mirror of this host: the first of apt's sources that carries "main" of a release.
debian_mirror() {
	local found
	found=${BRIG_TEST_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
		sed -n 's,^\([^ ]*/debian\)/* main$,\1,p' | head -n 1)}
	echo "${found:-http://deb.debian.org/debian}"
}

# with_lock NAME COMMAND...: one process at a time makes the cache entry NAME, the others wait
with_lock() {
	local lock=$cache/$1.lock
	shift
	mkdir -p "$cache"
	(
		flock 9
		"$@" 9>&-
	) 9>"$lock"
}
