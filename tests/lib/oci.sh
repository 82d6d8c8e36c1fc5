# Shared by the tests of brig-oci: containers with ids and a state root of their own, which are
# deleted when the test ends, however it ends. The test library (test.sh) is there already.

# json_string TEXT: as JSON
json_string() {
	jq -cn --arg s "$1" '$s'
}

# The filter that makes a bundle run a shell script.
script_filter() {
	printf '.process.args=["/bin/sh","-c",%s]' "$(json_string "$1")"
}

# bundle_sh DIR SCRIPT [FILTER…]
bundle_sh() {
	local dir=$1 script=$2
	shift 2
	bundle_make "$dir" '.root.readonly = false' "$(script_filter "$script")" "$@"
}

# A new id in ID and a new directory for it in BUNDLE; unique also in a subshell.
next_container() {
	BUNDLE=$(mktemp -d "$TEST_DIR/bundle-XXXXXX")
	ID=t-${BUNDLE##*-}
	# Root of a user namespace has to pass.
	chmod 711 "$BUNDLE"
}

# run_sh SCRIPT [FILTER…]: runs it in a new container; output and exit code are the container's.
run_sh() {
	local script=$1
	shift
	next_container
	bundle_sh "$BUNDLE" "$script" "$@"
	oci run --bundle "$BUNDLE" "$ID" </dev/null
}

# start_sh SCRIPT [FILTER…]: the same, created and started in the background; sets ID, BUNDLE, PID.
start_sh() {
	local script=$1
	shift
	create_sh "$script" "$@"
	oci start "$ID"
}

create_sh() {
	local script=$1
	shift
	next_container
	bundle_sh "$BUNDLE" "$script" "$@"
	oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" \
		</dev/null >"$BUNDLE/out" 2>"$BUNDLE/err" || {
		cat "$BUNDLE/err" >&2
		return 1
	}
	PID=$(cat "$BUNDLE/pid")
}

status_of() {
	oci state "$1" | jq -r .status
}

# What a test waits for takes a moment here, and very long on a busy machine that is emulated. No test
# says how fast something is: the limit is for what never comes.
PATIENCE=60

# wait_status ID STATUS
wait_status() {
	local deadline=$((SECONDS + PATIENCE))
	while [ "$(status_of "$1")" != "$2" ]; do
		[ "$SECONDS" -lt "$deadline" ] || fail "container $1 is $(status_of "$1") and not $2 after $PATIENCE s"
		sleep 0.05
	done
}

# wait_until COMMAND…
wait_until() {
	wait_for "$PATIENCE" "$@"
}

# expect_failure COMMAND…: it fails, with one line on standard error, which is put into ERROR; the
# exit code into CODE.
expect_failure() {
	CODE=0
	"$@" >"$TEST_DIR/failed.out" 2>"$TEST_DIR/failed.err" </dev/null || CODE=$?
	ERROR=$(cat "$TEST_DIR/failed.err")
	[ "$CODE" -ne 0 ] || fail "succeeded: $*"
	assert_eq "$(wc -l <"$TEST_DIR/failed.err")" 1 "lines of the error of: $*: $ERROR"
}

# What a runtime could leave behind for this test: processes that name its directory, mounts
# beneath it, state, cgroups named after an id.
leftovers() {
	local state=$TEST_DIR/state dir root words
	awk -v dir="$TEST_DIR/" '$5 ~ "^" dir "(bundle|state)" { print "mount: " $0 }' /proc/self/mountinfo
	# A lock file or an empty index of the root is no container.
	[ ! -d "$state" ] || find "$state" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf 'state: %p\n'
	[ -z "${ID:-}" ] || find /sys/fs/cgroup -maxdepth 4 -type d -name "*$ID*" -printf 'cgroup: %p\n' 2>/dev/null || :
	for dir in /proc/[0-9]*; do
		[ "$dir" != "/proc/$$" ] && [ "$dir" != "/proc/$BASHPID" ] || continue
		words=()
		{ mapfile -d '' -t words <"$dir/cmdline"; } 2>/dev/null || continue
		case ${words[0]-} in *sh | strace | timeout) words=() ;; esac
		root=$(readlink "$dir/root" 2>/dev/null) || :
		[[ $root != "$TEST_DIR/"* && "${words[*]}" != *"--root $state"* ]] || echo "process: ${dir#/proc/}: ${words[*]}"
	done
}

assert_nothing_left() {
	local left deadline=$((SECONDS + PATIENCE / 3))
	left=$(leftovers)
	# A killed process may take a moment to be reaped.
	while [ -n "$left" ] && [ "$SECONDS" -lt "$deadline" ]; do
		sleep 0.05
		left=$(leftovers)
	done
	assert_eq "$left" "" "left behind${1:+ after $1}"
}

# Runs when a test ends.
oci_cleanup() {
	local id
	if [ -d "$TEST_DIR/state" ]; then
		for id in "$TEST_DIR/state"/*/; do
			[ -d "$id" ] || continue
			oci delete --force "$(basename "$id")" >/dev/null 2>&1 || :
		done
	fi
}

trap oci_cleanup EXIT

# The same tests with virtual machines: by the name that asks for them.
if [ "${BRIG_TEST_ISOLATED-}" = vm ]; then
	export BRIG_LIBEXEC=$BRIG_BUILD/runtime/microvm
	# shellcheck source-path=SCRIPTDIR
	. "$(dirname "${BASH_SOURCE[0]}")/microvm.sh"
	offer_kernel
	ln -s "$BRIG_OCI" "$TEST_DIR/brig-oci-vm"
	export BRIG_OCI=$TEST_DIR/brig-oci-vm
fi

# A field of /proc/PID/status of the container's first process.
proc_status() {
	awk -v key="$2:" '$1 == key { $1 = ""; sub(/^[ \t]+/, ""); print }' "/proc/$1/status"
}

# Whether the runtime may manage cgroups here (cgroup v2 with controllers, as in the test machine).
need_cgroup_controller() {
	grep -qw "$1" /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
		skip "no cgroup v2 controller $1 here: run in the test machine"
}

# A disk of 64 MiB: its file is DISK, its number DEVICE ("7:0"). It goes with the test's folder.
block_device() {
	modprobe loop 2>/dev/null || :
	truncate -s 64M "$TEST_DIR/disk"
	DISK=$(losetup --find --show "$TEST_DIR/disk") || skip "no loop devices"
	DEVICE=$(lsblk -rno MAJ:MIN "$DISK")
	# Freed when the last who has it open is gone.
	exec {DISK_FD}<"$DISK"
	losetup --detach "$DISK"
}

# A small program of tests/tools, by path; its absence skips the test.
tool() {
	local path=${TEST_TOOLS:-$BRIG_BUILD/tests/tools}/$1
	[ -x "$path" ] || {
		echo "tests/tools/$1 is not built (TEST_TOOLS=$(dirname "$path"))" >&2
		return 1
	}
	realpath "$path"
}

# namespace_filter TYPE: the bundle gets a new namespace of that type.
namespace_filter() {
	printf '.linux.namespaces |= (map(select(.type != "%s")) + [{"type":"%s"}])' "$1" "$1"
}

# caps_filter CAP…: the same five sets but inheritable and ambient.
caps_filter() {
	local list
	list=$(printf '"%s",' "$@")
	list=[${list%,}]
	[ $# -gt 0 ] || list='[]'
	printf '.process.capabilities={"bounding":%s,"effective":%s,"permitted":%s}' \
		"$list" "$list" "$list"
}

# The mask of capability numbers as in /proc/PID/status: cap_mask NUMBER…
cap_mask() {
	local mask=0 n
	for n; do
		mask=$((mask | 1 << n))
	done
	printf '%016x' "$mask"
}
