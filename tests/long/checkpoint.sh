#!/bin/bash
# Checkpoint and restore of containers that are virtual machines.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

counter='exec 7>>/log; i=0; while :; do i=$((i + 1)); echo $i >&7; echo $i; sleep 0.2; done'
small='.linux.resources.memory = {"limit": 50331648}'

# restored NAME IMAGES: a container that goes on from IMAGES with the bundle of the last one
restored() {
	oci restore --detach --image-path "$2" --bundle "$BUNDLE" --pid-file "$1.pid" "$1" \
		</dev/null >"$1.out" 2>"$1.err" || { cat "$1.err" >&2 && return 1; }
}

test_checkpoint_and_restore() {
	start_sh "$counter" "$small"
	wait_until grep -q '^3$' "$BUNDLE/out"
	oci exec --detach "$ID" sleep 4711 </dev/null >/dev/null 2>&1
	oci checkpoint --image-path images "$ID"
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_nothing_left
	local last
	last=$(tail -n 1 "$BUNDLE/out")
	assert_eq "$(tail -n 1 "$BUNDLE/rootfs/log")" "$last" "what was written and what was said"

	restored "$ID-2" images
	assert_eq "$(status_of "$ID-2")" running
	wait_until grep -q "^$((last + 2))\$" "$ID-2.out"
	assert_eq "$(head -n 1 "$ID-2.out")" $((last + 1)) "the first words after the restore"
	wait_until grep -q "^$((last + 2))\$" "$BUNDLE/rootfs/log"
	# Nobody stands for it here.
	assert_contains "$(oci ps "$ID-2")" 'sleep 4711'
	assert_eq "$(oci exec "$ID-2" cat /proc/1/comm)" sh
	assert_eq "$(oci exec "$ID-2" sh -c 'echo new >/new; cat /new')" new
	assert_eq "$(cat "$BUNDLE/rootfs/new")" new
	assert_eq "$(($(oci exec "$ID-2" date +%s) - $(date +%s) < 60))" 1 "the clock"
	oci pause "$ID-2"
	oci resume "$ID-2"
	oci kill "$ID-2" KILL
	wait_status "$ID-2" stopped
	oci delete "$ID-2"
	assert_nothing_left
}

# says_more THAN FILE: a line of the counter beyond that
says_more() {
	[ "$(tail -n 1 "$2")" -gt "$1" ]
}

test_the_disk_is_full_and_leave_running() {
	local last
	start_sh "$counter" "$small"
	wait_until grep -q '^3$' "$BUNDLE/out"
	mkdir full && mount -t tmpfs -o size=4m tmpfs full
	expect_failure oci checkpoint --image-path full "$ID"
	assert_contains "$ERROR" 'No space left'
	assert_eq "$(find full -mindepth 1)" '' "half a machine"
	assert_eq "$(status_of "$ID")" running
	last=$(tail -n 1 "$BUNDLE/out")
	wait_until says_more $((last + 2)) "$BUNDLE/out"
	assert_eq "$(oci exec "$ID" echo alive)" alive
	umount full

	oci checkpoint --leave-running --image-path images "$ID"
	assert_eq "$(status_of "$ID")" running
	assert_eq "$(oci exec "$ID" echo alive)" alive
	last=$(tail -n 1 "$BUNDLE/out")
	wait_until says_more $((last + 2)) "$BUNDLE/out"
	# One that was paused stays so, and is saved as it is.
	oci pause "$ID"
	oci checkpoint --leave-running --image-path paused "$ID"
	assert_eq "$(status_of "$ID")" paused
	last=$(tail -n 1 "$BUNDLE/out")
	oci delete --force "$ID"
	assert_nothing_left

	restored "$ID-2" paused
	wait_until says_more $((last + 2)) "$ID-2.out"
	assert_eq "$(head -n 1 "$ID-2.out")" $((last + 1)) "the first words after the restore"
	oci delete --force "$ID-2"
	restored "$ID-3" images
	wait_until says_more 3 "$ID-3.out"
	[ "$(head -n 1 "$ID-3.out")" -le "$last" ] || fail "$ID-3 goes on from $(head -n 1 "$ID-3.out"), and not from before $last"
	oci delete --force "$ID-3"
	assert_nothing_left
}

# terminal_at SOCKET: what is written to descriptor 9 is typed there, what it shows is in "screen"
terminal_at() {
	rm -f typed
	mkfifo typed
	exec 9<>typed
	"$(tool recvtty)" "$1" <typed >screen &
	wait_until test -S "$1"
}

test_a_terminal_goes_on() {
	next_container
	bundle_sh "$BUNDLE" 'i=0; tty; while read -r line; do i=$((i + 1)); echo "$i=$line"; stty size; done' \
		'.process.terminal = true | .process.consoleSize = {height: 20, width: 90}' "$small"
	terminal_at "$TEST_DIR/console"
	oci create --bundle "$BUNDLE" --pid-file pid --console-socket "$TEST_DIR/console" "$ID"
	PID=$(cat pid)
	oci start "$ID"
	echo one >&9
	wait_until grep -q '1=one' screen
	wait_until grep -q '20 90' screen
	oci checkpoint --image-path images "$ID"
	wait_status "$ID" stopped
	oci delete "$ID"
	wait %1 || :
	expect_failure oci restore --detach --image-path images --bundle "$BUNDLE" "$ID-2"
	assert_contains "$ERROR" --console-socket
	terminal_at "$TEST_DIR/console-2"
	oci restore --detach --image-path images --bundle "$BUNDLE" --console-socket "$TEST_DIR/console-2" "$ID-2"
	echo two >&9
	wait_until grep -q '2=two' screen
	wait_until grep -q '20 90' screen
	oci delete --force "$ID-2"
	exec 9>&-
	wait
	assert_nothing_left
}

# In the same network namespace, over one connection that knows nothing of it.
test_a_connection_goes_on() {
	local client
	need_tun
	ip netns add guest
	ip link add host0 type veth peer name eth0 netns guest address 02:00:00:00:12:34
	ip addr add 10.99.0.1/24 dev host0 && ip link set host0 up
	ip -n guest link set lo up && ip -n guest link set eth0 up
	ip -n guest addr add 10.99.0.2/24 dev eth0
	start_sh 'echo ready; exec nc -l -p 80 -e cat' "$small" \
		'.linux.namespaces |= map(if .type == "network" then .path = "/run/netns/guest" else . end)'
	wait_until grep -q ready "$BUNDLE/out"
	mkfifo said
	exec 9<>said
	wait_until oci exec "$ID" grep -q :0050 /proc/net/tcp /proc/net/tcp6
	busybox nc 10.99.0.2 80 <said >heard &
	client=$!
	echo one >&9
	wait_until grep -q one heard
	oci checkpoint --image-path images "$ID"
	wait_status "$ID" stopped
	oci delete "$ID"
	echo two >&9
	restored "$ID-2" images
	wait_until grep -q two heard
	echo three >&9
	wait_until grep -q three heard
	assert_contains "$(oci exec "$ID-2" ip addr show eth0)" 02:00:00:00:12:34
	oci delete --force "$ID-2"
	kill "$client"
	exec 9>&-
	wait || :
	ip netns del guest
	assert_nothing_left
}
