# What tests of `brig` share; sourced after test.sh. Everything is in the test's folder and in its namespaces:
# its own network is the host's for the containers.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

export BRIG=${BRIG:-$BRIG_BUILD/cli/brig}
export BRIG_SHARE=$BRIG_BUILD/cli

# The programs that brig executes, in one folder as an installation has them
export BRIG_LIBEXEC=$TEST_DIR/libexec
mkdir -p "$BRIG_LIBEXEC"
cp "$BRIG_BUILD"/images/{brig-unpack,brig-registry} "$BRIG_BUILD/netns/brig-dns" "$BRIG_BUILD/cli/brig-init" \
	"$BRIG_BUILD"/runtime/microvm/brig-{vmm,fsd,guest} "$BRIG_LIBEXEC"

# brig ARGUMENT...: with its data and state in the test's folder
brig() {
	timeout "${BRIG_TIMEOUT:-60}" "$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" "$@"
}

# image_store: the embedded image's store, as a copy of one that is made once
image_store() {
	local template=$BRIG_BUILD/tests/brig-data new
	if [ ! -d "$template" ]; then
		new=$(mktemp -d "$template.XXXXXX")
		timeout 60 "$BRIG" --root "$new/data" --runroot "$new/run" create --network none busybox true >/dev/null ||
			fail "cannot load the embedded image"
		timeout 60 "$BRIG" --root "$new/data" --runroot "$new/run" rm -a >/dev/null
		mv -nT "$new" "$template" || [ -d "$template" ] || fail "cannot make $template"
		rm -rf "$new"
	fi
	cp -a "$template/data" "$TEST_DIR/data"
}
image_store

# monitor_of NAME: the pid of its monitor
monitor_of() {
	jq .monitor "$TEST_DIR/data/containers/$(brig inspect -f '{{.Id}}' "$1")/status.json"
}

state_of() {
	brig inspect -f '{{.State.Status}}' "$1"
}

has_state() {
	[ "$(state_of "$1")" = "$2" ]
}

# removal_left: what the monitor of a container that is gone has not removed yet
removal_left() {
	find "$TEST_DIR/data"/{containers,images/{containers,trash}} "$TEST_DIR/run"/{containers,networks/pending} \
		-mindepth 1 2>/dev/null
	ip -o link | grep veth
}

removal_is_done() {
	[ -z "$(removal_left)" ]
}

# nothing_left: no container, mount, link or state of one is there any more
nothing_left() {
	assert_eq "$(brig ps -aq)" ""
	wait_for 30 removal_is_done || fail "left: $(removal_left)"
	assert_eq "$(find "$TEST_DIR/data/names" "$TEST_DIR/run/runtime" -mindepth 1 -not -path '*/.seccomp*' 2>/dev/null)" "" "files"
	assert_not_contains "$(cat /proc/self/mountinfo)" "$TEST_DIR/data" "mounts"
}

# in_terminal SCRIPT: runs the Python statements with a brig in a pty: start(ARGUMENT...), say(TEXT),
# expect(TEXT) and end(), which returns the exit status
in_terminal() {
	timeout "${BRIG_TIMEOUT:-60}" python3 - <<-PYTHON
		import fcntl, os, pty, select, struct, sys, termios, time
		seen = b""
		def start(*args):
		    global pid, fd
		    pid, fd = pty.fork()
		    if pid == 0:
		        os.execv("$BRIG", ["brig", "--root", "$TEST_DIR/data", "--runroot", "$TEST_DIR/run", *args])
		    size(30, 90)
		def size(rows, columns):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
		def say(text):
		    os.write(fd, text.encode())
		def read():
		    global seen
		    if not select.select([fd], [], [], ${BRIG_TIMEOUT:-60} / 3)[0]:
		        sys.exit("nothing more after: %r" % seen)
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        data = b""
		    seen += data
		    return data
		def expect(text):
		    global seen
		    while text.encode() not in seen:
		        if not read():
		            sys.exit("expected %r in %r" % (text, seen))
		    seen = seen[seen.index(text.encode()) + len(text):]
		def end():
		    while read():
		        pass
		    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		$1
	PYTHON
}
