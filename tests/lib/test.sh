# What a test file may use. Each function test_<name> of the file is one test, run by tests/lib/run-test
# in a process of its own as root: $TEST_DIR is an empty folder and the current one, the mount, PID, network
# and cgroup namespaces are the test's alone (only the mount namespace under vm-systemd and vm-engines), and
# a command that fails outside of a condition fails the test. To be sourced by bash.
# shellcheck shell=bash

: "${BRIG_BUILD:=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../build")}"
export BRIG_OCI=${BRIG_OCI:-$BRIG_BUILD/cli/brig-oci}

# --- results

# fail WORD...: ends the test, with the place it was called from
fail() {
	local depth=1
	while [[ ${BASH_SOURCE[depth]-} = */lib/test.sh ]]; do
		depth=$((depth + 1))
	done
	trap - ERR
	echo "$(basename "${BASH_SOURCE[depth]-?}"):${BASH_LINENO[depth - 1]}: $*" >&2
	exit 1
}

# skip REASON: the run fails unless tests/expected-skips has the test
skip() {
	trap - ERR
	echo "SKIP: $*"
	exit 77
}

# --- running commands

# run COMMAND...: sets $status, $output (standard output) and $errors (standard error)
run() {
	status=0
	"$@" >"$TEST_DIR/.output" 2>"$TEST_DIR/.errors" || status=$?
	output=$(cat "$TEST_DIR/.output") errors=$(cat "$TEST_DIR/.errors")
}

# oci ARGUMENT...: brig-oci with its state in the test's folder
oci() {
	"$BRIG_OCI" --root "$TEST_DIR/state" "$@"
}

# unprivileged COMMAND...: as uid and gid 1000 without any capability
unprivileged() {
	setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all -- env HOME="$TEST_DIR" "$@"
}

# wait_for SECONDS COMMAND...: until it succeeds. SECONDS are a quiet machine's; a busy one has five times as many.
wait_for() {
	local deadline=$((SECONDS + $1 * 5))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || fail "not within the time: $*"
		sleep 0.05
	done
}

# --- asserts: the value first, then what it should be

assert_eq() {
	[ "$1" = "$2" ] || fail "${3:+$3: }expected '$2', got '$1'"
}

assert_ne() {
	[ "$1" != "$2" ] || fail "${3:+$3: }expected anything but '$2'"
}

assert_contains() {
	[[ $1 = *"$2"* ]] || fail "${3:+$3: }expected '$2' in: $1"
}

assert_not_contains() {
	[[ $1 != *"$2"* ]] || fail "${3:+$3: }did not expect '$2' in: $1"
}

assert_matches() {
	[[ $1 =~ $2 ]] || fail "${3:+$3: }expected a match of '$2', got: $1"
}

assert_file() {
	[ -e "$1" ] || fail "$1 is missing"
}

assert_no_file() {
	[ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 should not be there"
}

# assert_runs COMMAND...: it succeeds; sets what run sets
assert_runs() {
	run "$@"
	[ "$status" = 0 ] || fail "status $status of: $*"$'\n'"$output"$'\n'"$errors"
}

# assert_status N COMMAND...
assert_status() {
	local wanted=$1
	shift
	run "$@"
	[ "$status" = "$wanted" ] || fail "status $status, not $wanted, of: $*"$'\n'"$output"$'\n'"$errors"
}

# assert_fails COMMAND...: it refuses by itself; a crash or a sanitizer's report is not a refusal
assert_fails() {
	run "$@"
	[ "$status" != 0 ] || fail "succeeded: $*"$'\n'"$output"
	[ "$status" -lt 129 ] || fail "died of signal $((status - 128)): $*"$'\n'"$errors"
	[[ $errors != *Sanitizer* && $errors != *"runtime error:"* ]] || fail "$*"$'\n'"$errors"
}

# --- bundles

# bundle_make DIR [JQ-EDIT...]: a bundle with busybox as its root file system and the configuration that
# `brig-oci spec` writes, without a terminal, changed by the edits in their order
bundle_make() {
	local bundle=$1 edit edits='.process.terminal = false'
	shift
	rootfs_make "$bundle/rootfs"
	"$BRIG_OCI" spec --bundle "$bundle" || fail "brig-oci spec"
	for edit; do edits+=" | ($edit)"; done
	bundle_edit "$bundle" "$edits"
}

# bundle_edit DIR JQ-ARGUMENT...: the last one is the edit
bundle_edit() {
	local bundle=$1
	shift
	jq "$@" "$bundle/config.json" >"$bundle/config.json.new" || fail "jq refuses: $*"
	mv "$bundle/config.json.new" "$bundle/config.json"
}

# rootfs_make DIR: a small root file system, as a copy of one that is made once
rootfs_make() {
	local template=$BRIG_BUILD/tests/rootfs new
	if [ ! -d "$template" ]; then
		new=$(mktemp -d "$template.XXXXXX") && rootfs_make_template "$new"
		# Of several that begin at the same time one wins.
		mv -nT "$new" "$template" || [ -d "$template" ] || fail "cannot make $template"
		rm -rf "$new"
	fi
	mkdir -p "$1" && cp -a "$template/." "$1" || fail "cannot copy $template"
}

rootfs_make_template() {
	local applet
	chmod 755 "$1"
	mkdir -p "$1"/{bin,dev,etc,proc,root,run,sys,tmp,usr,var}
	cp "$(command -v busybox)" "$1/bin/busybox"
	for applet in $("$1/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
	ln -s ../bin "$1/usr/bin"
	chmod 1777 "$1/tmp"
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\n' >"$1/etc/group"
}

# --- the host must stay as it was

# host_canary_begin: makes a tree of every kind of file, and remembers it and the host's state
host_canary_begin() {
	local c=$TEST_DIR/canary
	mkdir -p "$c"/{dir/sub,empty} && chmod 1770 "$c/empty"
	echo precious >"$c/file" && echo set >"$c/setuid" && chown 1000:1000 "$c/setuid" && chmod 4711 "$c/setuid"
	ln "$c/file" "$c/dir/hardlink"
	ln -s ../file "$c/dir/relative" && ln -s "$c/file" "$c/absolute" && ln -s nowhere "$c/dangling"
	mkfifo -m 600 "$c/fifo"
	host_snapshot >"$TEST_DIR/.canary"
}

# host_canary_check: fails when anything differs from then
host_canary_check() {
	host_snapshot >"$TEST_DIR/.canary.now"
	diff -u "$TEST_DIR/.canary" "$TEST_DIR/.canary.now" >&2 || fail "the host has changed"
}

# The tree with contents, the mount table, processes, cgroups and links. Where the test has
# no namespaces of its own (vm-systemd, vm-engines) others come and go: only files and mounts there.
host_snapshot() {
	echo "== files" && (cd "$TEST_DIR/canary" &&
		find . -printf '%p %y %m %U:%G %n %s %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
	echo "== mounts" && cut -d ' ' -f 4- /proc/self/mountinfo
	[ "$BRIG_TEST_ISOLATION" = full ] || return 0
	echo "== processes" && process_list
	echo "== cgroups" && find /sys/fs/cgroup -type d | sort
	echo "== links" && ls /sys/class/net
	echo "== limits" && cat /proc/self/oom_score_adj /proc/self/limits
}

# Names of all processes; starts none itself
process_list() {
	local file comm
	for file in /proc/[0-9]*/comm; do
		! read -r comm 2>/dev/null <"$file" || echo "$comm"
	done
}
