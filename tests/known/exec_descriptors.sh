#!/bin/bash
# Open: a container that was given CAP_SYS_PTRACE in the host's user namespace can take descriptors
# out of a process that joins it by exec (C3). See docs/security.md.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_C3_ptrace_and_pidfd_getfd_against_exec() {
	local stealer i
	stealer=$(tool stealer) || skip "no stealer"
	next_container
	bundle_make "$BUNDLE" '.process.args=["/stealer"]' "$(caps_filter CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYS_ADMIN)" \
		'.linux.seccomp=null | .process.noNewPrivileges=false'
	cp "$stealer" "$BUNDLE/rootfs/stealer"
	oci create --bundle "$BUNDLE" "$ID" >"$BUNDLE/out" 2>&1 </dev/null
	oci start "$ID"
	wait_until grep -q ready "$BUNDLE/out"
	for i in $(seq "${BRIG_EXEC_ROUNDS:-200}"); do
		timeout 10 "$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" /bin/true </dev/null >/dev/null 2>&1 || :
	done
	oci delete --force "$ID"
	assert_eq "$(grep STOLEN "$BUNDLE/out" | head -n 3 || :)" ""
}
