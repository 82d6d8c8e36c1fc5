#!/bin/bash
# Terminals: -it, size, detach keys, exec -it.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

test_shell() {
	in_terminal '
start("run", "--rm", "-it", "busybox", "sh")
expect("/ # ")
say("tty; echo wid\"\"th $(stty size)\n")
expect("/dev/pts/0")
expect("width 30 90")
size(40, 100)
time.sleep(0.5)
say("echo si\"\"ze $(stty size)\n")
expect("size 40 100")
say("exit 5\n")
assert end() == 5
'
	nothing_left
}

test_interrupt_goes_to_the_container() {
	in_terminal '
start("run", "--rm", "-it", "busybox", "sh", "-c", "trap \"echo caught; exit 9\" INT; echo ready; while :; do sleep 0.1; done")
expect("ready")
say("\x03")
expect("caught")
assert end() == 9
'
}

test_detach_and_attach() {
	in_terminal '
start("run", "-it", "--name", "box", "busybox", "sh")
expect("/ # ")
say("x=kept\n")
expect("/ # ")
say("\x10\x11")
assert end() == 0
start("attach", "box")
say("echo it is $x\n")
expect("it is kept")
say("\x10a") # not the keys: both are the shell'"'"'s
say("\x03exit 3\n")
assert end() == 3
'
	assert_eq "$(state_of box)" exited
	brig rm box
}

test_own_detach_keys() {
	in_terminal '
start("run", "-it", "--name", "box", "--detach-keys", "ctrl-x,q", "busybox", "sh")
expect("/ # ")
say("\x18q")
assert end() == 0
'
	assert_eq "$(state_of box)" running
	brig rm -f box
	assert_status 125 brig run --detach-keys bad-key busybox true
	brig rm -fa
}

test_exec() {
	brig run -d --name box busybox sleep 100
	in_terminal '
start("exec", "-it", "box", "sh")
expect("/ # ")
say("tty\n")
expect("/dev/pts/")
say("exit 4\n")
assert end() == 4
'
	brig rm -f box
}

test_exec_is_left_running() {
	brig run -d --name box busybox sleep 100
	in_terminal '
start("exec", "-it", "box", "sh")
expect("/ # ")
say("while [ ! -e /end ]; do sleep 0.1; date; done; echo y >/done\n")
expect(":")
say("\x10\x11")
assert end() == 0
start("exec", "-it", "--detach-keys", "a,b", "box", "sh")
expect("/ # ")
say("ac")
expect("ac")
say("ab")
assert end() == 0
'
	brig exec box touch /end
	wait_for 10 brig exec box test -e /done
	assert_status 125 brig exec -it --detach-keys what box sh
	brig rm -f box
	wait_for 10 bash -c '! pgrep -x brig-exec'
}

test_terminal_is_needed() {
	assert_status 125 brig run --rm -it busybox true </dev/null
	assert_contains "$errors" "not a terminal"
	brig run -d -t --name box busybox sh -c 'tty; sleep 100'
	wait_for 10 bash -c "'$BRIG' --root '$TEST_DIR/data' --runroot '$TEST_DIR/run' logs box | grep -q /dev/pts"
	brig rm -f box
}
