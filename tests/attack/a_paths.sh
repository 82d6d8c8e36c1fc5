#!/bin/bash
# Section A: root file system paths and mounts. A hostile image has links and devices where the
# runtime is going to work; nothing outside of it may change.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# attempt: runs the bundle; refusing and running are both fine, hanging and escaping are not.
attempt() {
	local code=0
	timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" </dev/null >"$TEST_DIR/attempt" 2>&1 || code=$?
	assert_ne "$code" 124 "hangs"
	oci delete --force "$ID"
	host_canary_check
}

# hostile_bundle SCRIPT [FILTER…]: the rootfs has nothing that the runtime would have made.
hostile_bundle() {
	next_container
	bundle_sh "$BUNDLE" "$@"
	ROOTFS=$BUNDLE/rootfs
}

# start_swaps PATH OTHER: exchanges the two, again and again, until end_swaps, which fails when that was
# not at least 10,000 times.
start_swaps() {
	"$(tool swapper)" "$1" "$2" >"$TEST_DIR/rounds" &
	SWAPPER=$!
}

end_swaps() {
	kill "$SWAPPER"
	wait "$SWAPPER" || fail "the swapper failed"
	[ "$(cat "$TEST_DIR/rounds")" -ge 10000 ] || fail "only $(cat "$TEST_DIR/rounds") swaps"
}

# vulnerable_twin NAME: an old runtime of the distribution that falls for this, to prove the test.
vulnerable_twin() {
	command -v "$1" >/dev/null || { echo "no $1 here: the teeth are not shown"; return 1; }
}

test_A1_link_at_every_component_of_every_destination() {
	host_canary_begin
	local destination component rest path target
	for destination in /proc /dev /dev/pts /dev/shm /dev/mqueue /sys /sys/fs/cgroup /a/b/c; do
		path='' rest=${destination#/}
		while [ -n "$rest" ]; do
			component=${rest%%/*}
			[ "$rest" = "$component" ] && rest= || rest=${rest#*/}
			for target in "$TEST_DIR/canary" ../../../../../../../../.."$TEST_DIR/canary" "$TEST_DIR/canary/dangling/x" /proc/self/root/"$TEST_DIR/canary"; do
				hostile_bundle true '.mounts += [{"destination":"/a/b/c","type":"tmpfs","source":"t"}]'
				mkdir -p "$ROOTFS$path"
				rm -rf "${ROOTFS:?}$path/$component"
				ln -s "$target" "$ROOTFS$path/$component"
				attempt
				rm -rf --one-file-system "$BUNDLE"
			done
			path=$path/$component
		done
	done
}

test_A1_masked_and_readonly_paths_through_links() {
	host_canary_begin
	hostile_bundle 'sleep 0' '.linux.maskedPaths=["/link/file","/link","/abs/dir"] | .linux.readonlyPaths=["/link/dir","/abs/empty"]'
	ln -s "../../../../../..$TEST_DIR/canary" "$ROOTFS/link"
	ln -s "$TEST_DIR/canary" "$ROOTFS/abs"
	attempt
}

test_A1_bind_of_a_file_onto_a_link() {
	host_canary_begin
	echo evil >"$TEST_DIR/evil"
	hostile_bundle 'echo x > /target' ".mounts += [{\"destination\":\"/target\",\"type\":\"bind\",\"source\":\"$TEST_DIR/evil\",\"options\":[\"bind\"]}]"
	ln -s "$TEST_DIR/canary/new" "$ROOTFS/target"
	attempt
	[ ! -e "$TEST_DIR/canary/new" ] || fail "a file was made outside"
}

test_A1_shared_volume_swapped_in_a_race() {
	host_canary_begin
	local i
	mkdir -p "$TEST_DIR/volume/dir/sub"
	ln -s "../../../../../../../../..$TEST_DIR/canary" "$TEST_DIR/volume/link"
	start_swaps "$TEST_DIR/volume/dir" "$TEST_DIR/volume/link"
	hostile_bundle true
	cp "$BUNDLE/config.json" "$TEST_DIR/plain.json"
	for i in $(seq "${BRIG_RACE_ROUNDS:-60}"); do
		jq ".mounts += [{\"destination\":\"/v\",\"type\":\"bind\",\"source\":\"$TEST_DIR/volume\",\"options\":[\"rbind\"]},
			{\"destination\":\"/v/dir/sub/$i\",\"type\":\"tmpfs\",\"source\":\"t\"},
			{\"destination\":\"/v/dir/file$i\",\"type\":\"bind\",\"source\":\"/etc/hostname\",\"options\":[\"bind\"]}]" \
			"$TEST_DIR/plain.json" >"$BUNDLE/config.json"
		oci run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
	done
	end_swaps
	host_canary_check
	assert_nothing_left
}

test_A2_mask_source_is_not_the_containers_null() {
	host_canary_begin
	hostile_bundle 'cat /etc/secret; ls -l /etc/secret' '.linux.maskedPaths=["/etc/secret"]' \
		'.mounts |= map(select(.destination != "/dev"))' '.mounts |= map(select(.destination | startswith("/dev/") | not))'
	echo secret >"$ROOTFS/etc/secret"
	ln -s "$TEST_DIR/canary/file" "$ROOTFS/dev/null"
	attempt
	assert_not_contains "$(cat "$TEST_DIR/attempt")" precious
	assert_not_contains "$(cat "$TEST_DIR/attempt")" secret$'\n'
}

test_A2_null_swapped_in_a_race() {
	host_canary_begin
	local i
	mkdir "$TEST_DIR/dev"
	mknod "$TEST_DIR/dev/null" c 1 3
	ln -s /proc/sys/kernel/core_pattern "$TEST_DIR/dev/link"
	start_swaps "$TEST_DIR/dev/null" "$TEST_DIR/dev/link"
	local pattern
	pattern=$(cat /proc/sys/kernel/core_pattern)
	hostile_bundle '{ echo "|/evil" > /proc/kcore; } 2>/dev/null' \
		".mounts |= map(if .destination == \"/dev\" then {destination: \"/dev\", type: \"bind\", source: \"$TEST_DIR/dev\", options: [\"rbind\"]} else . end)" \
		'.mounts |= map(select(.destination | startswith("/dev/") | not))' '.linux.maskedPaths=["/proc/kcore"]'
	for i in $(seq "${BRIG_RACE_ROUNDS:-60}"); do
		oci run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
		assert_eq "$(cat /proc/sys/kernel/core_pattern)" "$pattern"
	done
	end_swaps
}

test_A3_console_is_bound_by_descriptor() {
	host_canary_begin
	local recvtty
	recvtty=$(tool recvtty) || skip "no recvtty"
	hostile_bundle 'stat -c %F /dev/console; tty' '.process.terminal=true'
	rm -f "$ROOTFS/dev/console"
	ln -s "$TEST_DIR/canary/file" "$ROOTFS/dev/console"
	"$recvtty" "$TEST_DIR/console" >"$TEST_DIR/screen" &
	local receiver=$!
	wait_until test -S "$TEST_DIR/console"
	oci run --detach --bundle "$BUNDLE" --console-socket "$TEST_DIR/console" "$ID" || kill "$receiver"
	wait "$receiver" || :
	assert_contains "$(cat "$TEST_DIR/screen")" "character special file"
	oci delete --force "$ID"
	oci delete --force "$ID"
	host_canary_check
}

test_A3_console_on_a_dev_of_the_image() {
	host_canary_begin
	local recvtty
	recvtty=$(tool recvtty) || skip "no recvtty"
	# No tmpfs on /dev: the image's own entries are what the runtime meets.
	hostile_bundle 'true' '.process.terminal=true' '.mounts |= map(select(.destination != "/dev"))'
	ln -sf "$TEST_DIR/canary/file" "$ROOTFS/dev/console"
	ln -sf "$TEST_DIR/canary" "$ROOTFS/dev/pts"
	"$recvtty" "$TEST_DIR/console" >"$TEST_DIR/screen" &
	local receiver=$!
	wait_until test -S "$TEST_DIR/console"
	oci run --detach --bundle "$BUNDLE" --console-socket "$TEST_DIR/console" "$ID" >/dev/null 2>&1 || :
	kill "$receiver" 2>/dev/null || :
	wait "$receiver" || :
	oci delete --force "$ID"
	oci delete --force "$ID"
	host_canary_check
}

test_A3_console_swapped_in_a_race() {
	host_canary_begin
	local recvtty i receiver
	recvtty=$(tool recvtty)
	mkdir "$TEST_DIR/dev"
	: >"$TEST_DIR/dev/console"
	ln -s "$TEST_DIR/canary/file" "$TEST_DIR/dev/link"
	hostile_bundle 'echo x >/dev/console' '.process.terminal=true' \
		".mounts |= map(if .destination == \"/dev\" then {destination: \"/dev\", type: \"bind\", source: \"$TEST_DIR/dev\", options: [\"rbind\"]} else . end)" \
		'.mounts |= map(select((.destination | startswith("/dev/") | not) or .destination == "/dev/pts"))'
	mkdir "$TEST_DIR/dev/pts"
	start_swaps "$TEST_DIR/dev/console" "$TEST_DIR/dev/link"
	for i in $(seq "${BRIG_RACE_ROUNDS:-40}"); do
		rm -f "$TEST_DIR/console"
		"$recvtty" "$TEST_DIR/console" </dev/null >/dev/null 2>&1 &
		receiver=$!
		wait_until test -S "$TEST_DIR/console"
		timeout 60 "$BRIG_OCI" --root "$TEST_DIR/state" run --detach --console-socket "$TEST_DIR/console" \
			--bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
		kill "$receiver" 2>/dev/null || :
		wait "$receiver" 2>/dev/null || :
		oci delete --force "$ID"
	done
	end_swaps
	host_canary_check
	assert_nothing_left
}

# The same image for brig-oci and for its twin.
dev_link_bundle() {
	hostile_bundle true '.mounts |= map(select(.destination | startswith("/dev") | not))'
	rm -rf "${ROOTFS:?}/dev"
	ln -s "$TEST_DIR/canary/empty" "$ROOTFS/dev"
}

test_A4_dev_is_a_link_to_the_outside() {
	host_canary_begin
	dev_link_bundle
	attempt
}

test_A4_the_test_has_teeth() {
	vulnerable_twin crun || skip "no crun"
	mkdir -p "$TEST_DIR/canary/empty"
	dev_link_bundle
	crun --cgroup-manager=disabled --root "$TEST_DIR/twin" run --bundle "$BUNDLE" "twin-$ID" >/dev/null 2>&1 </dev/null || :
	crun --root "$TEST_DIR/twin" delete --force "twin-$ID" >/dev/null 2>&1 || :
	[ -n "$(ls -A "$TEST_DIR/canary/empty")" ] || skip "this crun is not vulnerable: $(crun --version | head -n 1)"
}

test_A5_proc_and_sys_are_links() {
	host_canary_begin
	local name
	for name in proc sys; do
		hostile_bundle 'echo ran'
		rm -rf "${ROOTFS:?}/$name"
		mkdir "$ROOTFS/real"
		ln -s /real "$ROOTFS/$name"
		expect_failure oci run --bundle "$BUNDLE" "$ID"
		assert_contains "$ERROR" "/$name"
		assert_nothing_left
	done
	host_canary_check
}

test_A6_working_directory_through_a_link() {
	host_canary_begin
	hostile_bundle 'pwd' '.process.cwd="/a/link/x"'
	mkdir "$ROOTFS/a"
	ln -s "../../../../../../../..$TEST_DIR/canary" "$ROOTFS/a/link"
	attempt
	[ ! -e "$TEST_DIR/canary/x" ] || fail "made outside"
	hostile_bundle 'pwd' '.process.cwd="/link/y" | .process.user={"uid":1000,"gid":1000}'
	ln -s "$TEST_DIR/canary" "$ROOTFS/link"
	attempt
}

test_A6_files_of_the_image_that_the_runtime_reads() {
	host_canary_begin
	# passwd for HOME: a link out, a FIFO, something endless.
	hostile_bundle 'echo $HOME'
	ln -sf "../../../../../../../..$TEST_DIR/canary/file" "$ROOTFS/etc/passwd"
	attempt
	hostile_bundle 'echo $HOME'
	rm "$ROOTFS/etc/passwd"
	mkfifo "$ROOTFS/etc/passwd"
	attempt
	hostile_bundle 'echo $HOME'
	rm "$ROOTFS/etc/passwd"
	truncate -s 10G "$ROOTFS/etc/passwd"
	attempt
	hostile_bundle 'echo $HOME'
	rm "$ROOTFS/etc/passwd"
	mknod "$ROOTFS/etc/passwd" c 1 5
	attempt
}

test_tmpcopyup_does_not_follow_links() {
	host_canary_begin
	hostile_bundle 'cat /data/link/file' '.mounts += [{"destination":"/data","type":"tmpfs","source":"t","options":["tmpcopyup"]}]'
	mkdir "$ROOTFS/data"
	ln -s "../../../../../../../..$TEST_DIR/canary" "$ROOTFS/data/link"
	mkfifo "$ROOTFS/data/fifo"
	attempt
	assert_not_contains "$(cat "$TEST_DIR/attempt")" precious
	hostile_bundle 'true' '.mounts += [{"destination":"/data","type":"tmpfs","source":"t","options":["tmpcopyup"]}]'
	ln -s "../../../../../../../..$TEST_DIR/canary" "$ROOTFS/data"
	attempt
}
