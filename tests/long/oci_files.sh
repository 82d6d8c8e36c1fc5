#!/bin/bash
# The files of a container in a virtual machine: as in one of the host's kernel, on the same file system.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
native=$BRIG_BUILD/cli/brig-oci
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

caps='.process.capabilities |= map_values(["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_SETUID",
	"CAP_SETGID","CAP_SETFCAP"])'

# A file system with everything, in "disk".
make_disk() {
	busybox modprobe loop && busybox modprobe ext4
	truncate -s 256M image
	mkfs.ext4 -q image
	mkdir disk
	mount -o loop image disk
}

# volume PLACE SOURCE OPTION…: the filter that binds it
volume() {
	local place=$1 source=$2
	shift 2
	jq -rn --arg p "$place" --arg s "$source" '".mounts += [\({destination: $p, type: "bind", source: $s, options: $ARGS.positional})]"' \
		--args bind "$@"
}

test_as_a_container_of_the_hosts_kernel() {
	local place machine=$BRIG_OCI
	make_disk
	for place in host container machine; do mkdir "disk/$place"; done
	"$BRIG_BUILD/tests/microvm/posix" disk/host >host
	for place in container machine; do
		[ "$place" = machine ] && BRIG_OCI=$machine || BRIG_OCI=$native
		run_sh '/tools/posix /area' "$caps" "$(volume /area "$TEST_DIR/disk/$place")" \
			"$(volume /tools "$BRIG_BUILD/tests/microvm" ro)" >"$place" 2>errors ||
			fail "$place: status $?: $(tail -n 3 "$place" errors)"
	done
	[ "$(wc -l <host)" -gt 250 ] || fail "few results: $(cat host)"
	diff host container || fail "a container differs from the host"
	diff container machine || fail "a virtual machine differs from a container"
}

test_volumes() {
	local code=0
	make_disk
	mkdir disk/one
	echo 1 >disk/one/file
	# Read-only on the host, whatever the guest mounts: it is root in its own kernel.
	run_sh 'mount -o remount,rw /one 2>/dev/null; echo x >/one/file; echo x >/one/new; rm /one/file; chmod 0 /one/file
		setfattr -n user.x -v y /one/file' '.process.capabilities |= map_values(["CAP_SYS_ADMIN","CAP_DAC_OVERRIDE"])' \
		"$(volume /one "$TEST_DIR/disk/one" ro)" >/dev/null 2>&1 || code=$?
	assert_ne "$code" 0
	assert_eq "$(ls disk/one; cat disk/one/file; stat -c %a disk/one/file)" $'file\n1\n644'
	# A program with file capabilities has them.
	cp "$(command -v busybox)" disk/one/busybox
	setcap cap_net_admin+ep disk/one/busybox || fail setcap
	run_sh '/one/busybox grep CapEff /proc/self/status' '.process.user = {"uid":1000,"gid":1000} | .process.noNewPrivileges = false' \
		'.process.capabilities = {"bounding":["CAP_NET_ADMIN"]}' "$(volume /one "$TEST_DIR/disk/one")" >out
	assert_contains "$(cat out)" 0000000000001000
}
