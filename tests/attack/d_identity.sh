#!/bin/bash
# Section D: identity and capabilities, of run and of exec alike.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/twin.sh"

SETS='grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status'

test_D1_D2_five_sets_of_run_and_exec() {
	local uid caps privs ran
	for uid in 0 1000; do
		for caps in "" CAP_KILL "CAP_CHOWN CAP_NET_RAW"; do
			for privs in true false; do
				# shellcheck disable=SC2086
				start_sh "$SETS; echo end; sleep 60" "$(caps_filter $caps)" \
					".process.user={\"uid\":$uid,\"gid\":$uid} | .process.noNewPrivileges=$privs"
				wait_until grep -q end "$BUNDLE/out"
				ran=$(grep ^Cap "$BUNDLE/out")
				assert_contains "$ran" "CapInh:	$(cap_mask)" "uid $uid caps $caps"
				assert_contains "$ran" "CapAmb:	$(cap_mask)" "uid $uid caps $caps"
				assert_eq "$(oci exec "$ID" sh -c "$SETS")" "$ran" "exec differs: uid $uid caps $caps nnp $privs"
				assert_contains "$(oci exec --cap CAP_SETPCAP "$ID" sh -c "$SETS")" "CapInh:	$(cap_mask)"
				oci delete --force "$ID"
			done
		done
	done
}

test_D1_a_runtime_with_inheritable_capabilities() {
	command -v setpriv >/dev/null || skip "no setpriv"
	next_container
	bundle_sh "$BUNDLE" "$SETS" "$(caps_filter CAP_KILL)"
	assert_contains "$(setpriv --inh-caps +kill,+chown "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID")" "CapInh:	$(cap_mask)"
}

test_D3_users_of_exec() {
	start_sh 'sleep 60'
	local user
	for user in 4294967295 4294967296 4294967297 18446744073709551616 18446744073709551615 -1 -0 +1 0x10 1e3 '1 ' ' 1' 1a 1: : :0 0: \
		1:4294967296 1:-1 1:1:1 '1;id' 'root;id' '$(id)' 'a/b' '../x'; do
		expect_failure oci exec --user="$user" "$ID" id -u
		assert_eq "$(cat "$TEST_DIR/failed.out")" "" "--user=$user ran"
	done
	for user in 0 1 65534 4294967294; do
		assert_eq "$(oci exec --user "$user:$user" "$ID" id -u)" "$user"
	done
}

test_D3_users_of_the_config() {
	local uid
	for uid in 4294967295 4294967296 -1 1.5 '"0"'; do
		expect_failure run_sh id ".process.user.uid=$uid"
		[ ! -s "$TEST_DIR/failed.out" ] || fail "uid $uid ran"
	done
}

test_D4_supplementary_groups() {
	next_container
	# A file that everyone may read but group 7: in group 7, "others" does not apply.
	bundle_sh "$BUNDLE" 'cat /negative; awk "/^Groups/ { print NF }" /proc/self/status' '.process.user={"uid":1000,"gid":1000}'
	echo readable >"$BUNDLE/rootfs/negative"
	chown 0:7 "$BUNDLE/rootfs/negative"
	chmod 604 "$BUNDLE/rootfs/negative"
	assert_eq "$(setpriv --groups 7,8 -- "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" | tr '\n' ' ')" "readable 1 "
	bundle_edit "$BUNDLE" '.process.user.additionalGids=[7]'
	run oci run --bundle "$BUNDLE" "$ID"
	assert_not_contains "$output" readable
	start_sh 'sleep 60' '.process.user={"uid":1000,"gid":1000}'
	assert_eq "$(setpriv --groups 7,8 -- "$BRIG_OCI" --root "$TEST_DIR/state" exec "$ID" awk '/^Groups/ { print NF }' /proc/self/status)" 1
}

test_D5_mutated_names_are_errors() {
	local set name
	for set in bounding effective permitted inheritable ambient; do
		for name in CAP_CHOWNX CAP_ CAP "" "CAP_CHOWN " CAP_64 41 cap_nosuch; do
			expect_failure run_sh true ".process.capabilities.$set=[\"$name\"]"
			[ -z "$name" ] || assert_contains "$ERROR" "$name"
		done
	done
	for name in nosuid,nodev NOSUID "no suid" rox; do
		expect_failure run_sh true ".mounts += [{\"destination\":\"/x\",\"type\":\"tmpfs\",\"source\":\"x\",\"options\":[\"$name\"]}]"
	done
	for name in opennn SYS_open "open " 2; do
		expect_failure run_sh true ".linux.seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"$name\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"
		assert_contains "$ERROR" "$name"
	done
	assert_nothing_left
}

unknown_names_are_ignored() {
	next_container
	bundle_sh "$BUNDLE" 'echo ran' "$1"
	[ "$(twin_run "$2")" = ran ]
}

test_D5_the_test_has_teeth() {
	teeth unknown_names_are_ignored '.process.capabilities.bounding=["CAP_CHOWNX"]'
	teeth unknown_names_are_ignored '.linux.seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["opennn"],"action":"SCMP_ACT_ERRNO"}]}'
}
