#!/bin/bash
# Mounts: every kind and option, devices, masks, propagation, the root file system.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# mount_filter DESTINATION TYPE SOURCE OPTION…: adds a mount.
mount_filter() {
	local destination=$1 type=$2 source=$3 options
	shift 3
	options=$(jq -cn '$ARGS.positional' --args "$@")
	printf '.mounts += [{"destination":%s,"type":"%s","source":%s,"options":%s}]' \
		"$(json_string "$destination")" "$type" "$(json_string "$source")" "$options"
}

# The options of a mount in the container: of the mount itself and of its file system.
options_script() {
	printf 'awk -v at=%s '\''$5 == at { o = $6; f = $0; sub(/.* - /, "", f); split(f, p, " "); print o "," p[3] }'\'' /proc/self/mountinfo | tail -n 1' "$1"
}

# options_of DESTINATION FILTER…
options_of() {
	local destination=$1
	shift
	printf ',%s,' "$(run_sh "$(options_script "$destination")" "$@")"
}

test_proc_and_default_mounts() {
	assert_eq "$(run_sh 'cat /proc/1/comm')" cat
	assert_contains "$(options_of /dev/shm .)" ,nosuid,
	assert_contains "$(run_sh 'mount')" "devpts on /dev/pts type devpts"
	assert_contains "$(run_sh 'mount')" "mqueue on /dev/mqueue type mqueue"
}

test_tmpfs_options() {
	local options
	options=$(options_of /t "$(mount_filter /t tmpfs tmpfs nosuid nodev noexec size=1m mode=1770)")
	assert_contains "$options" ,nosuid,
	assert_contains "$options" ,nodev,
	assert_contains "$options" ,noexec,
	assert_contains "$options" ,size=1024k,
	assert_contains "$options" ,mode=1770,
	assert_contains "$(options_of /t "$(mount_filter /t tmpfs tmpfs ro)")" ,ro,
}

test_flags_and_their_opposites() {
	local flag
	for flag in ro nosuid nodev noexec noatime nodiratime relatime sync dirsync; do
		assert_contains "$(options_of /t "$(mount_filter /t tmpfs tmpfs "$flag")")" ",$flag," "$flag"
	done
	for flag in ro:rw nosuid:suid nodev:dev noexec:exec sync:async; do
		case $(options_of /t "$(mount_filter /t tmpfs tmpfs "${flag%:*}" "${flag#*:}")") in
		*",${flag%:*},"*) fail "$flag: the later one does not count" ;;
		esac
	done
}

test_bind_read_write_and_read_only() {
	mkdir "$TEST_DIR/volume"
	run_sh 'echo in > /v/file' "$(mount_filter /v none "$TEST_DIR/volume" bind)"
	assert_eq "$(cat "$TEST_DIR/volume/file")" in
	assert_eq "$(run_sh 'cat /v/file; { echo no > /v/file; } 2>/dev/null || echo refused' \
		"$(mount_filter /v bind "$TEST_DIR/volume" bind ro)" | tr '\n' ' ')" "in refused "
}

test_bind_of_what_does_not_fit() {
	echo text >"$TEST_DIR/file"
	mkdir "$TEST_DIR/dir"
	next_container
	bundle_sh "$BUNDLE" true ".mounts += [{\"destination\":\"/etc\",\"type\":\"bind\",\"source\":\"$TEST_DIR/file\",\"options\":[\"bind\"]}]"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "mounts: /etc: $TEST_DIR/file is not a directory and the destination is one"
	next_container
	bundle_sh "$BUNDLE" true ".mounts += [{\"destination\":\"/etc/passwd\",\"type\":\"bind\",\"source\":\"$TEST_DIR/dir\",\"options\":[\"bind\"]}]"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "mounts: /etc/passwd: $TEST_DIR/dir is a directory and the destination is not"
}

test_bind_of_a_file() {
	echo content >"$TEST_DIR/file"
	assert_eq "$(run_sh 'cat /etc/deep/file' \
		"$(mount_filter /etc/deep/file bind "$TEST_DIR/file" bind)")" content
}

test_bind_source_is_relative_to_the_bundle() {
	next_container
	bundle_sh "$BUNDLE" 'cat /v/f' "$(mount_filter /v bind data bind)"
	mkdir "$BUNDLE/data"
	echo here >"$BUNDLE/data/f"
	assert_eq "$(cd / && oci run --bundle "$BUNDLE" "$ID")" here
}

test_rbind_takes_what_is_mounted_beneath() {
	mkdir -p "$TEST_DIR/v/sub"
	mount -t tmpfs tmpfs "$TEST_DIR/v/sub"
	echo beneath >"$TEST_DIR/v/sub/f"
	assert_eq "$(run_sh 'cat /v/sub/f' "$(mount_filter /v bind "$TEST_DIR/v" rbind)")" beneath
	assert_eq "$(run_sh 'ls /v/sub' "$(mount_filter /v bind "$TEST_DIR/v" bind)")" ""
	umount "$TEST_DIR/v/sub"
}

test_recursive_flags() {
	mkdir -p "$TEST_DIR/v/sub"
	mount -t tmpfs tmpfs "$TEST_DIR/v/sub"
	# Without the r only the top is read-only.
	assert_eq "$(run_sh 'echo x > /v/sub/f && echo written' \
		"$(mount_filter /v bind "$TEST_DIR/v" rbind ro)")" written
	local option flag
	for option in rro:ro rnosuid:nosuid rnodev:nodev rnoexec:noexec rnoatime:noatime; do
		flag=${option#*:}
		assert_contains "$(options_of /v/sub \
			"$(mount_filter /v bind "$TEST_DIR/v" rbind "${option%:*}")")" ",$flag," "$option"
	done
	umount "$TEST_DIR/v/sub"
}

test_propagation_of_a_mount() {
	mkdir "$TEST_DIR/v"
	mount -t tmpfs tmpfs "$TEST_DIR/v"
	mount --make-shared "$TEST_DIR/v"
	local script='awk "\$5 == \"/v\"" /proc/self/mountinfo'
	assert_contains "$(run_sh "$script" "$(mount_filter /v bind "$TEST_DIR/v" rbind rshared)")" " shared:"
	assert_contains "$(run_sh "$script" "$(mount_filter /v bind "$TEST_DIR/v" rbind rslave)")" " master:"
	case $(run_sh "$script" "$(mount_filter /v bind "$TEST_DIR/v" rbind rprivate)") in
	*shared:* | *master:*) fail "not private" ;;
	esac
	assert_contains "$(run_sh "$script" "$(mount_filter /v bind "$TEST_DIR/v" rbind unbindable)")" unbindable
	umount "$TEST_DIR/v"
}

test_a_mount_of_the_host_reaches_a_slave() {
	mkdir "$TEST_DIR/v"
	mount -t tmpfs tmpfs "$TEST_DIR/v"
	mount --make-shared "$TEST_DIR/v"
	mkdir "$TEST_DIR/v/late"
	start_sh 'while ! [ -e /v/late/f ]; do sleep 0.05; done; echo seen' \
		"$(mount_filter /v bind "$TEST_DIR/v" rbind rslave)"
	mount -t tmpfs tmpfs "$TEST_DIR/v/late"
	touch "$TEST_DIR/v/late/f"
	wait_status "$ID" stopped
	assert_contains "$(cat "$BUNDLE/out")" seen
	umount -R "$TEST_DIR/v"
}

test_rootfs_propagation() {
	local script='awk "\$5 == \"/\"" /proc/self/mountinfo'
	case $(run_sh "$script") in
	*shared:*) fail "shared by default" ;;
	esac
	assert_contains "$(run_sh "$script" '.linux.rootfsPropagation="shared"')" " shared:"
	assert_contains "$(run_sh "$script" '.linux.rootfsPropagation="unbindable"')" unbindable
}

test_nothing_of_the_container_reaches_the_host() {
	local before
	before=$(sort /proc/self/mountinfo)
	start_sh 'sleep 60' "$(mount_filter /t tmpfs tmpfs)"
	assert_eq "$(sort /proc/self/mountinfo)" "$before"
	oci delete --force "$ID"
	assert_eq "$(sort /proc/self/mountinfo)" "$before"
}

test_idmap_mount() {
	mkdir "$TEST_DIR/v"
	touch "$TEST_DIR/v/f"
	chown 10:20 "$TEST_DIR/v/f"
	mount -t tmpfs tmpfs "$TEST_DIR/v" && touch "$TEST_DIR/v/f" && chown 10:20 "$TEST_DIR/v/f"
	local maps='"uidMappings":[{"containerID":0,"hostID":1000,"size":100}],"gidMappings":[{"containerID":0,"hostID":2000,"size":100}]'
	assert_eq "$(run_sh 'stat -c %u:%g /v/f' \
		".mounts += [{\"destination\":\"/v\",\"source\":\"$TEST_DIR/v\",\"options\":[\"bind\",\"idmap\"],$maps}]")" \
		1010:2020
	# As an option of its own, and recursive.
	assert_eq "$(run_sh 'stat -c %u:%g /v/f' \
		"$(mount_filter /v bind "$TEST_DIR/v" bind 'idmap=uids=0-1000-100;gids=0-2000-100')")" 1010:2020
	mkdir "$TEST_DIR/v/sub"
	mount -t tmpfs tmpfs "$TEST_DIR/v/sub" && touch "$TEST_DIR/v/sub/f" && chown 1:1 "$TEST_DIR/v/sub/f"
	assert_eq "$(run_sh 'stat -c %u:%g /v/sub/f' \
		".mounts += [{\"destination\":\"/v\",\"source\":\"$TEST_DIR/v\",\"options\":[\"rbind\",\"ridmap\"],$maps}]")" \
		1001:2001
	umount -R "$TEST_DIR/v"
}

test_tmpcopyup() {
	next_container
	bundle_sh "$BUNDLE" 'cat /data/f /data/d/g; readlink /data/l; stat -c %a:%u /data/f; echo x > /data/f' \
		"$(mount_filter /data tmpfs tmpfs tmpcopyup)"
	mkdir -p "$BUNDLE/rootfs/data/d"
	echo one >"$BUNDLE/rootfs/data/f"
	echo two >"$BUNDLE/rootfs/data/d/g"
	ln -s ../nowhere "$BUNDLE/rootfs/data/l"
	chmod 640 "$BUNDLE/rootfs/data/f"
	chown 7 "$BUNDLE/rootfs/data/f"
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "one two ../nowhere 640:7 "
	assert_eq "$(cat "$BUNDLE/rootfs/data/f")" one "the image"
}

test_copy_symlink_and_nofollow() {
	next_container
	echo target >"$TEST_DIR/target"
	ln -s "$TEST_DIR/target" "$TEST_DIR/link"
	bundle_sh "$BUNDLE" 'readlink /etc/link' "$(mount_filter /etc/link bind "$TEST_DIR/link" bind copy-symlink)"
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" "$TEST_DIR/target"
	# The link itself, or a refusal: never what it points to.
	assert_not_contains "$(run_sh 'cat /etc/link' \
		"$(mount_filter /etc/link bind "$TEST_DIR/link" bind src-nofollow)" 2>&1 || :)" target$'\n'
}

test_destination_that_may_not_be_a_link() {
	next_container
	bundle_sh "$BUNDLE" 'ls /t' "$(mount_filter /link tmpfs tmpfs dest-nofollow)"
	mkdir "$BUNDLE/rootfs/t" && ln -s /t "$BUNDLE/rootfs/link"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "/link: is a symbolic link"
	assert_nothing_left
}

test_links_are_not_followed_in_a_mount() {
	mkdir "$TEST_DIR/data"
	echo content >"$TEST_DIR/data/file"
	ln -s file "$TEST_DIR/data/link"
	assert_eq "$(run_sh 'cat /d/file; cat /d/link 2>&1' "$(mount_filter /d bind "$TEST_DIR/data" bind nosymfollow)" || :)" \
		$'content\ncat: can\'t open \'/d/link\': Too many levels of symbolic links'
}

test_destination_through_a_link_stays_inside() {
	next_container
	bundle_sh "$BUNDLE" 'grep -c " /real/deep " /proc/self/mountinfo' "$(mount_filter /link/deep tmpfs tmpfs)"
	mkdir "$BUNDLE/rootfs/real"
	ln -s /real "$BUNDLE/rootfs/link"
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" 1
}

test_masked_paths() {
	# Nothing to read, nothing to write, and what is not there is not made.
	next_container
	bundle_sh "$BUNDLE" 'wc -c < /etc/secret; ls -A /etc/dir | wc -l; { echo x > /etc/dir/new; } 2>/dev/null || echo refused; test -e /etc/none || echo none' \
		'.linux.maskedPaths=["/etc/secret","/etc/dir","/etc/none"]'
	echo secret >"$BUNDLE/rootfs/etc/secret"
	mkdir "$BUNDLE/rootfs/etc/dir"
	touch "$BUNDLE/rootfs/etc/dir/file"
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "0 0 refused none "
}

test_masks_share_one_mount() {
	# One superblock for all masked directories.
	next_container
	bundle_sh "$BUNDLE" 'awk "\$5 ~ /^.m[1-4]\$/ { print \$3 }" /proc/self/mountinfo | sort -u | wc -l' \
		'.linux.maskedPaths=["/m1","/m2","/m3","/m4"]'
	mkdir "$BUNDLE"/rootfs/m{1,2,3,4}
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" 1
}

test_readonly_paths() {
	next_container
	bundle_sh "$BUNDLE" '{ echo x > /etc/file; } 2>/dev/null || echo refused; { echo 1 > /proc/sys/kernel/hostname; } 2>/dev/null || echo refused; echo y > /tmp/free && echo written' \
		'.linux.readonlyPaths=["/etc","/proc/sys","/none"]'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "refused refused written "
}

test_readonly_rootfs() {
	next_container
	bundle_sh "$BUNDLE" '{ echo x > /file; } 2>/dev/null || echo refused; echo y > /dev/shm/f && echo written' \
		'.root.readonly=true'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "refused written "
}

test_default_devices() {
	assert_eq "$(run_sh 'cd /dev; stat -c "%n %t:%T %a" null zero full random urandom tty')" "null 1:3 666
zero 1:5 666
full 1:7 666
random 1:8 666
urandom 1:9 666
tty 5:0 666"
	assert_eq "$(run_sh 'cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done' | tr '\n' ' ')" \
		"/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 pts/ptmx "
	assert_eq "$(run_sh 'echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1')" " 00 00 00"
}

test_devices_of_the_config() {
	assert_eq "$(run_sh 'stat -c "%F %t:%T %a %u:%g" /dev/own /dev/sub/fifo' \
		'.linux.devices=[{"path":"/dev/own","type":"c","major":1,"minor":5,"fileMode":416,"uid":3,"gid":4},
		 {"path":"/dev/sub/fifo","type":"p","fileMode":384}]')" "character special file 1:5 640 3:4
fifo 0:0 600 0:0"
}

test_cgroup_mount_shows_its_own_cgroup_only() {
	[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || skip "no cgroup v2 here"
	assert_eq "$(run_sh 'cat /proc/self/cgroup; test -e /sys/fs/cgroup/cgroup.procs && echo mounted' \
		"$(namespace_filter cgroup)" "$(mount_filter /sys/fs/cgroup cgroup cgroup ro)" | tail -2 | tr '\n' ' ')" \
		"0::/ mounted "
	assert_contains "$(options_of /sys/fs/cgroup "$(namespace_filter cgroup)" \
		"$(mount_filter /sys/fs/cgroup cgroup cgroup ro nosuid)")" ,ro,
}

test_overlay_mount() {
	mkdir "$TEST_DIR/lower" "$TEST_DIR/upper" "$TEST_DIR/work"
	mount -t tmpfs tmpfs "$TEST_DIR/upper" && mkdir "$TEST_DIR/upper"/{u,w}
	echo low >"$TEST_DIR/lower/f"
	run_sh 'cat /o/f; echo up > /o/g' "$(mount_filter /o overlay overlay \
		"lowerdir=$TEST_DIR/lower" "upperdir=$TEST_DIR/upper/u" "workdir=$TEST_DIR/upper/w")" >"$TEST_DIR/out"
	assert_eq "$(cat "$TEST_DIR/out")" low
	assert_eq "$(cat "$TEST_DIR/upper/u/g")" up
	umount "$TEST_DIR/upper"
}

test_mounts_in_the_order_of_the_config() {
	mkdir "$TEST_DIR/a"
	echo a >"$TEST_DIR/a/f"
	assert_eq "$(run_sh 'cat /v/f; ls /w' "$(mount_filter /v tmpfs tmpfs)" \
		"$(mount_filter /v bind "$TEST_DIR/a" bind)" "$(mount_filter /w bind "$TEST_DIR/a" bind)" \
		"$(mount_filter /w tmpfs tmpfs)")" a
}

test_no_pivot() {
	next_container
	bundle_sh "$BUNDLE" 'ls / | head -1; ls / | grep -c proc'
	mount -t tmpfs tmpfs "$BUNDLE/rootfs/tmp"
	umount "$BUNDLE/rootfs/tmp"
	assert_eq "$(oci run --no-pivot --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "bin 1 "
}

test_host_root_is_gone() {
	assert_eq "$(run_sh 'awk "{ print \$5 }" /proc/self/mountinfo | grep -c "^/"; awk "\$4 !~ /^\//" /proc/self/mountinfo | wc -l' | tail -1)" 0
	case $(run_sh 'cat /proc/self/mountinfo' | awk '{ print $5 }') in
	*"$TEST_DIR"* | *old_root* | *put_old*) fail "a path of the host is mounted inside" ;;
	esac
}

test_hundreds_of_mounts() {
	mkdir "$TEST_DIR/v"
	assert_eq "$(run_sh 'grep -c " /many/" /proc/self/mountinfo' \
		".mounts += [range(300) | {destination: \"/many/\\(.)\", type: \"bind\", source: \"$TEST_DIR/v\", options: [\"bind\"]}]")" 300
}

# Whether SELinux is there or not: the kernel is asked with that option.
test_type_of_the_label_of_mounts() {
	command -v strace >/dev/null || skip "no strace"
	next_container
	bundle_sh "$BUNDLE" true '.annotations={"run.oci.mount_context_type":"fscontext"} | .linux.mountLabel="system_u:object_r:t:s0"'
	strace -f -qq -e trace=fsconfig -o "$TEST_DIR/trace" "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 || :
	grep -q '"fscontext", "system_u:object_r:t:s0"' "$TEST_DIR/trace" || fail "fscontext is not used"
	assert_not_contains "$(cat "$TEST_DIR/trace")" '"context"'
}
