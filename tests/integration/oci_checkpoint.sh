#!/bin/bash
# where: vm
# time-limit: 400
# Checkpoint and restore through criu: what goes on counting, and what fails cleanly.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/checkpoint.sh"

test_counter_goes_on() {
	local at
	start_counter '.hostname="kept"'
	checkpoint
	assert_eq "$(status_of "$ID")" stopped
	at=$(count)
	assert_file "$IMAGES/dump.log"
	expect_failure restore
	assert_contains "$ERROR" "exists already"
	oci delete "$ID"
	assert_nothing_left
	restore
	assert_eq "$(status_of "$ID")" running
	assert_eq "$(oci state "$ID" | jq .pid)" "$PID"
	goes_on_from "$at"
	assert_eq "$(nsenter --target "$PID" --uts hostname)" kept
	# What exec joins is the restored container.
	assert_eq "$(oci exec "$ID" cat /tmp/n | wc -l)" 1
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	oci delete "$ID"
	assert_nothing_left
}

test_cgroup_and_limits_are_those_of_the_configuration() {
	need_cgroup_controller memory
	start_counter '.linux.resources.memory={"limit":67108864}' '.linux.resources.pids={"limit":50}'
	checkpoint
	oci delete "$ID"
	restore
	local dir
	dir=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")
	assert_contains "$dir" "$ID"
	assert_eq "$(cat "$dir/memory.max")" 67108864
	assert_eq "$(cat "$dir/pids.max")" 50
	# criu itself has left, and the container sees its own cgroup as the root.
	wait_until eval '[ "$(wc -l <"$dir/cgroup.procs")" -le 2 ]'
	assert_eq "$(nsenter --target "$PID" --cgroup cat /proc/self/cgroup | tail -n 1 | grep -c "$ID")" 0
	assert_ne "$(readlink "/proc/$PID/ns/cgroup")" "$(readlink /proc/self/ns/cgroup)" "cgroup namespace"
	oci pause "$ID"
	assert_eq "$(status_of "$ID")" paused
	oci resume "$ID"
	oci delete --force "$ID"
	assert_nothing_left
}

test_bind_mounts_and_tmpfs() {
	mkdir "$TEST_DIR/data" "$TEST_DIR/ro"
	echo content >"$TEST_DIR/data/file"
	echo single >"$TEST_DIR/one"
	start_counter '.mounts += [
		{"destination":"/data","source":"'"$TEST_DIR"'/data","type":"bind","options":["rbind"]},
		{"destination":"/ro","source":"'"$TEST_DIR"'/ro","type":"bind","options":["bind","ro"]},
		{"destination":"/etc/one","source":"'"$TEST_DIR"'/one","type":"bind","options":["bind","ro"]},
		{"destination":"/mem","source":"tmpfs","type":"tmpfs","options":["nosuid","size=1m"]}]'
	oci exec "$ID" sh -c 'echo kept >/mem/file; mkdir /mem/dir; echo more >/mem/dir/file; echo shm >/dev/shm/file'
	checkpoint
	oci delete "$ID"
	echo later >"$TEST_DIR/data/file"
	restore
	assert_eq "$(oci exec "$ID" cat /mem/file /mem/dir/file /dev/shm/file | tr '\n' ' ')" "kept more shm "
	assert_eq "$(oci exec "$ID" cat /data/file /etc/one | tr '\n' ' ')" "later single "
	oci exec "$ID" touch /data/written
	assert_file "$TEST_DIR/data/written"
	assert_fails oci exec "$ID" touch /ro/written
	# Masked and read-only paths are as before.
	assert_eq "$(oci exec "$ID" sh -c 'wc -c </proc/keys')" 0
	assert_fails oci exec "$ID" sh -c 'echo 1 >/proc/sys/kernel/printk'
	oci delete --force "$ID"
	assert_nothing_left
}

# The source of a bind mount may be elsewhere; a rootfs gets the mount points that it lacks.
test_other_bundle() {
	local first at whole old pages
	mkdir "$TEST_DIR/a" "$TEST_DIR/b"
	echo a >"$TEST_DIR/a/name" && echo b >"$TEST_DIR/b/name"
	start_counter '.mounts += [{"destination":"/data","source":"'"$TEST_DIR"'/a","type":"bind","options":["bind"]}]'
	checkpoint
	oci delete "$ID"
	first=$BUNDLE at=$(count)
	next_container
	cp -a "$first/rootfs" "$BUNDLE/rootfs" && rmdir "$BUNDLE/rootfs/data"
	jq --arg new "$TEST_DIR/b" '(.mounts[] | select(.destination == "/data")).source = $new' \
		"$first/config.json" >"$BUNDLE/config.json"
	restore
	assert_eq "$(oci exec "$ID" cat /data/name)" b
	goes_on_from "$at"
	oci delete --force "$ID"
	bundle_edit "$BUNDLE" '.mounts |= map(select(.destination != "/data"))'
	expect_failure restore
	assert_contains "$ERROR" "needs a bind mount at /data"
	assert_nothing_left
}

test_terminal() {
	need_criu
	local recvtty
	recvtty=$(tool recvtty)
	next_container
	bundle_sh "$BUNDLE" 'i=0; while read line; do i=$((i+1)); echo "<$i $line $(tty)>"; done' '.process.terminal=true'
	mkfifo "$TEST_DIR/in" "$TEST_DIR/in2"
	"$recvtty" "$TEST_DIR/console" <"$TEST_DIR/in" >"$TEST_DIR/tty" &
	exec 7>"$TEST_DIR/in"
	wait_until test -S "$TEST_DIR/console"
	oci create --bundle "$BUNDLE" --console-socket "$TEST_DIR/console" "$ID"
	oci start "$ID"
	echo one >&7
	wait_until grep -q '<1 one /dev/' "$TEST_DIR/tty"
	checkpoint
	oci delete "$ID"
	exec 7>&-
	"$recvtty" "$TEST_DIR/console2" <"$TEST_DIR/in2" >"$TEST_DIR/tty2" &
	exec 7>"$TEST_DIR/in2"
	wait_until test -S "$TEST_DIR/console2"
	expect_failure oci restore --detach --bundle "$BUNDLE" --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" --console-socket
	oci restore --detach --bundle "$BUNDLE" --image-path "$IMAGES" --console-socket "$TEST_DIR/console2" "$ID"
	echo two >&7
	wait_until grep -q '<2 two /dev/' "$TEST_DIR/tty2"
	oci delete --force "$ID"
	exec 7>&-
	wait
	assert_nothing_left
}

test_streams_are_those_of_restore() {
	need_criu
	next_container
	bundle_sh "$BUNDLE" 'trap "exit 7" TERM; i=0; while :; do i=$((i+1)); echo $i; echo $i >/tmp/n; sleep 0.1; done'
	oci run --bundle "$BUNDLE" "$ID" </dev/null 2>/dev/null | cat >"$TEST_DIR/out1" &
	wait_until counts_beyond 3
	checkpoint --leave-running
	oci delete --force "$ID"
	wait
	(oci restore --bundle "$BUNDLE" --image-path "$IMAGES" "$ID" </dev/null || echo "code $?") | cat >"$TEST_DIR/out2" &
	wait_until grep -q '^[0-9]' "$TEST_DIR/out2"
	[ "$(head -n 1 "$TEST_DIR/out2")" -gt 3 ] || fail "counts anew: $(head -n 1 "$TEST_DIR/out2")"
	oci kill "$ID" TERM
	wait
	assert_eq "$(tail -n 1 "$TEST_DIR/out2")" "code 7"
	assert_nothing_left
}

# Within a redirection a shell has them at other numbers, and files of its own in their place.
test_streams_that_are_put_aside() {
	local aside
	need_criu
	next_container
	aside="{ ${COUNTER/while :/until test -e /tmp/stop}; } </etc/group >/tmp/log 2>&1; echo back; exit 7"
	bundle_sh "$BUNDLE" ": >/etc/group; $aside"
	oci run --bundle "$BUNDLE" "$ID" </dev/null 2>/dev/null | cat >"$TEST_DIR/out1" &
	wait_until counts_beyond 3
	checkpoint
	wait
	(oci restore --bundle "$BUNDLE" --image-path "$IMAGES" "$ID" </dev/null || echo "code $?") | cat >"$TEST_DIR/out2" &
	goes_on_from 3
	: >"$BUNDLE/rootfs/tmp/stop"
	wait
	assert_eq "$(cat "$TEST_DIR/out2")" $'back\ncode 7'
	assert_nothing_left
}

# criu compares files, and cannot be told not to.
test_a_stream_that_was_a_file() {
	start_sh "echo words >&2; $COUNTER"
	need_criu
	wait_for 30 counts_beyond 3
	checkpoint
	oci delete "$ID"
	expect_failure oci restore --detach --bundle "$BUNDLE" --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "standard error was a file of 6 bytes"
	assert_nothing_left
}

test_leave_running() {
	local at
	start_counter
	checkpoint --leave-running --work-path "$TEST_DIR/work"
	assert_file "$TEST_DIR/work/dump.log"
	assert_eq "$(status_of "$ID")" running
	goes_on_from "$(count)"
	at=$(count)
	oci delete --force "$ID"
	restore
	wait_until counts_beyond 3
	[ "$(count)" -gt 3 ] || fail "counts anew"
	oci delete --force "$ID"
	assert_ne "$at" ""
	assert_nothing_left
}

test_paused() {
	local at
	start_counter
	oci pause "$ID"
	at=$(count)
	checkpoint
	assert_eq "$(status_of "$ID")" stopped
	oci delete "$ID"
	restore
	goes_on_from "$at"
	oci delete --force "$ID"
	assert_nothing_left
}

test_pre_dump_and_parent() {
	local at
	start_counter
	oci checkpoint --pre-dump --image-path "$TEST_DIR/images/pre" "$ID"
	assert_eq "$(status_of "$ID")" running
	goes_on_from "$(count)"
	expect_failure oci checkpoint --image-path "$TEST_DIR/images/last" --parent-path "$TEST_DIR/images/pre" "$ID"
	assert_contains "$ERROR" "must be relative"
	expect_failure oci checkpoint --image-path "$TEST_DIR/images/last" --parent-path ../none "$ID"
	assert_contains "$ERROR" ../none
	oci checkpoint --image-path "$TEST_DIR/images/last" --parent-path ../pre "$ID"
	assert_eq "$(readlink "$TEST_DIR/images/last/parent")" ../pre
	at=$(count)
	oci delete "$ID"
	IMAGES=$TEST_DIR/images/last
	restore
	goes_on_from "$at"
	oci delete --force "$ID"
	assert_nothing_left
}

# pages_of_memory DIR: bytes of them in the images
pages_of_memory() {
	find "$1" -name 'pages-*.img' -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'
}

test_memory_goes_to_a_page_server() {
	local at
	start_counter
	mkdir "$IMAGES" "$TEST_DIR/work"
	(cd "$TEST_DIR/work" && exec criu page-server --images-dir "$IMAGES" --address 127.0.0.1 --port 27001) >page-server 2>&1 &
	wait_until eval 'ss -Hltn sport = 27001 | grep -q .'
	checkpoint --page-server 127.0.0.1:27001 --work-path "$TEST_DIR/work"
	wait $!
	at=$(count)
	oci delete "$ID"
	[ "$(pages_of_memory "$IMAGES")" -gt 0 ] || fail "no pages came"
	restore
	goes_on_from "$at"
	oci delete --force "$ID"
	assert_nothing_left
}

# The first container waits, stopped by criu, until the second one has all of its memory.
test_memory_is_asked_for_page_by_page() {
	local first at whole old pages
	start_counter
	first=$ID
	checkpoint --leave-running
	whole=$(pages_of_memory "$IMAGES")
	IMAGES=$TEST_DIR/lazy-images
	mkfifo ready
	oci checkpoint --lazy-pages --page-server 127.0.0.1:27002 --status-fd 9 --image-path "$IMAGES" "$ID" 9>ready &
	old=$!
	assert_eq "$(timeout 60 head -c 1 ready | od -An -tu1 | tr -d ' ')" 0
	at=$(count)
	sleep 1
	assert_eq "$(count)" "$at" "it waits"
	[ "$(pages_of_memory "$IMAGES")" -lt "$whole" ] || fail "all memory is in the images"
	criu lazy-pages --page-server --address 127.0.0.1 --port 27002 --images-dir "$IMAGES" --work-dir "$IMAGES" >lazy.out 2>&1 &
	pages=$!
	wait_until test -S "$IMAGES/lazy-pages.socket"
	ID=$first-again
	restore --lazy-pages
	goes_on_from "$at"
	wait $old
	wait $pages
	assert_eq "$(status_of "$first")" stopped
	goes_on_from "$(count)"
	oci delete "$first"
	oci delete --force "$ID"
	assert_nothing_left
}

# Both ends of a connection are in the container. Without the option criu refuses, and then the
# container has to go on as if nothing had been.
test_tcp_established() {
	need_criu
	start_piped 'sleep 10000 | nc -l -p 5000 | while read n; do echo $n >/tmp/m; mv /tmp/m /tmp/n; done &
		i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done |
		while ! nc 127.0.0.1 5000; do sleep 0.1; done'
	wait_for 60 counts_beyond 3
	expect_failure checkpoint
	assert_contains "$ERROR" criu
	assert_contains "$ERROR" onnect
	assert_contains "$ERROR" dump.log
	assert_eq "$(status_of "$ID")" running
	goes_on_from "$(count)"
	rm -r "$IMAGES"
	checkpoint --tcp-established
	local at
	at=$(count)
	oci delete "$ID"
	restore --tcp-established
	goes_on_from "$at"
	assert_eq "$(nsenter --target "$PID" --net nft list tables)" ""
	oci delete --force "$ID"
	assert_nothing_left
}

test_user_namespace() {
	local at before
	chmod 711 "$TEST_DIR"
	need_criu
	next_container
	bundle_sh "$BUNDLE" "$COUNTER" "$(namespace_filter user)" \
		'.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":65536}] | .linux.gidMappings=.linux.uidMappings'
	chown -R 100000:100000 "$BUNDLE/rootfs"
	oci run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	wait_for 30 counts_beyond 3
	checkpoint
	oci delete "$ID"
	at=$(count)
	before=$(stat -c '%n %a %u:%g' "$IMAGES" "$IMAGES"/*.img)
	restore
	goes_on_from "$at"
	assert_eq "$(awk '{print $2}' "/proc/$PID/uid_map")" 100000
	assert_eq "$(oci exec "$ID" sh -c 'test -e /sys/fs/cgroup/cgroup.procs && id -u')" 0
	# The images were the container's root's to read only meanwhile.
	assert_eq "$(stat -c '%n %a %u:%g' "$IMAGES" "$IMAGES"/*.img)" "$before"
	expect_failure oci checkpoint --pre-dump --image-path "$TEST_DIR/pre" "$ID"
	assert_contains "$ERROR" "user namespace"
	oci delete --force "$ID"
	assert_nothing_left
}

test_command_lines_of_engines() {
	local at
	need_criu
	start_piped "$COUNTER"
	wait_for 30 counts_beyond 3
	# podman, then conmon
	"$BRIG_OCI" --root "$TEST_DIR/state" checkpoint --image-path "$IMAGES" --work-path "$BUNDLE" --leave-running "$ID"
	oci delete --force "$ID"
	at=$(count)
	"$BRIG_OCI" --root "$TEST_DIR/state" restore --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" --detach --image-path "$IMAGES" \
		--work-path "$BUNDLE" --tcp-established --file-locks "$ID" </dev/null > >(cat >/dev/null) 2>&1
	assert_file "$BUNDLE/restore.log"
	wait_for 30 counts_beyond 3
	# containerd
	rm -r "$IMAGES" && mkdir "$IMAGES"
	"$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json checkpoint --image-path "$IMAGES" \
		--work-path "$TEST_DIR/work" --tcp-established --ext-unix-sk --file-locks "$ID"
	oci delete "$ID"
	at=$(count)
	"$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json restore --image-path "$IMAGES" --work-path "$TEST_DIR/work" \
		--tcp-established --ext-unix-sk --file-locks --detach --pid-file "$BUNDLE/init.pid" -no-subreaper \
		--bundle "$BUNDLE" "$ID" </dev/null > >(cat >/dev/null) 2>&1
	goes_on_from "$at"
	assert_matches "$(cat "$BUNDLE/init.pid")" '^[0-9]+$'
	[ ! -s "$TEST_DIR/log" ] || fail "logged: $(cat "$TEST_DIR/log")"
	oci delete --force "$ID"
	assert_nothing_left
}

test_network_namespace_of_somebody_else() {
	local at
	unshare --net sleep 1000 &
	local other=$!
	wait_until eval '[ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$other/ns/net")" ]'
	touch "$TEST_DIR/netns"
	mount --bind "/proc/$other/ns/net" "$TEST_DIR/netns"
	start_counter '.linux.namespaces |= map(if .type == "network" then .path="'"$TEST_DIR"'/netns" else . end)'
	checkpoint
	oci delete "$ID"
	at=$(count)
	restore
	goes_on_from "$at"
	assert_eq "$(readlink "/proc/$PID/ns/net")" "$(readlink "/proc/$other/ns/net")"
	oci delete --force "$ID"
	kill "$other"
	umount "$TEST_DIR/netns"
	assert_nothing_left
}

test_hooks() {
	start_counter
	checkpoint
	oci delete "$ID"
	printf '#!/bin/sh\necho "$1 $(jq -r "[.id, .status, .pid > 0] | join(\\" \\")")" >>%s/hooks\n' "$TEST_DIR" >"$TEST_DIR/hook"
	chmod +x "$TEST_DIR/hook"
	bundle_edit "$BUNDLE" --arg hook "$TEST_DIR/hook" '.hooks = (["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
		| map({key: ., value: [{path: $hook, args: ["hook", .], env: ["PATH=/usr/bin:/bin"]}]}) | from_entries)'
	restore
	assert_eq "$(cat "$TEST_DIR/hooks")" "prestart $ID creating true
createRuntime $ID creating true
poststart $ID running true"
	oci delete --force "$ID"
	assert_contains "$(tail -n 1 "$TEST_DIR/hooks")" "poststop $ID stopped"
	bundle_edit "$BUNDLE" '.hooks = {"createRuntime": [{"path": "/bin/false"}]}'
	expect_failure restore
	assert_contains "$ERROR" createRuntime
	assert_nothing_left
}

test_without_criu() {
	need_criu
	start_sh 'sleep 60'
	mount --bind /dev/null "$(command -v criu)"
	expect_failure oci checkpoint --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "install the package criu"
	assert_no_file "$IMAGES"
	assert_eq "$(status_of "$ID")" running
	mkdir "$IMAGES"
	expect_failure oci restore --bundle "$BUNDLE" --image-path "$IMAGES" other
	assert_contains "$ERROR" "install the package criu"
	umount "$(command -v criu)"
}

test_wrong_images() {
	need_criu
	next_container
	bundle_sh "$BUNDLE" 'sleep 60'
	expect_failure oci restore --bundle "$BUNDLE" --image-path "$TEST_DIR/none" "$ID"
	assert_contains "$ERROR" "$TEST_DIR/none"
	mkdir "$IMAGES"
	expect_failure oci restore --bundle "$BUNDLE" --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "holds no checkpoint"
	expect_failure oci restore --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" --image-path
	# Cut short: criu's word, and nothing stays.
	: >"$IMAGES/inventory.img"
	echo '{"mounts":[],"streams":[]}' >"$IMAGES/brig-oci.json"
	expect_failure oci restore --bundle "$BUNDLE" --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "$IMAGES/restore.log"
	echo '{"mounts":[{"kind":"other","mountpoint":"/"}],"streams":[]}' >"$IMAGES/brig-oci.json"
	expect_failure oci restore --bundle "$BUNDLE" --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" brig-oci.json
	assert_nothing_left
}

test_what_cannot_be_checkpointed() {
	need_criu
	create_sh 'sleep 60'
	expect_failure oci checkpoint --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "is created"
	oci start "$ID"
	expect_failure oci checkpoint "$ID"
	assert_contains "$ERROR" --image-path
	expect_failure oci checkpoint --lazy-pages --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "needs --page-server"
	expect_failure oci checkpoint --lazy-pages --leave-running --page-server 127.0.0.1:9 --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "not with --leave-running"
	expect_failure oci checkpoint --page-server nowhere --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" '"nowhere" is not ADDRESS:PORT'
	expect_failure oci checkpoint --page-server '[::1]:70000' --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" 'is not ADDRESS:PORT'
	expect_failure oci checkpoint --status-fd 77 --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" 'descriptor 77 is not open'
	expect_failure oci checkpoint --status-fd 1 --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" '--status-fd is for --lazy-pages'
	expect_failure oci checkpoint --empty-ns ipc --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" ipc
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	expect_failure oci checkpoint --image-path "$IMAGES" "$ID"
	assert_contains "$ERROR" "is stopped"
	expect_failure oci checkpoint --image-path "$IMAGES" none
	assert_contains "$ERROR" "does not exist"
}
