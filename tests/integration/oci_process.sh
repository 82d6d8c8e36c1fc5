#!/bin/bash
# What the container's program finds: identity, limits, environment, terminal, scheduling.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

test_user_and_groups() {
	assert_eq "$(run_sh 'id -u; id -g; awk "/^Groups/ { \$1 = \"\"; print }" /proc/self/status' \
		'.process.user={"uid":1000,"gid":1001,"additionalGids":[7,9]}' | tr -s '\n ' ' ')" \
		"1000 1001 7 9 "
	# Without additional groups there are none, whatever the runtime's own are.
	assert_eq "$(run_sh 'awk "/^Groups/ { print NF - 1 }" /proc/self/status' \
		'.process.user={"uid":1000,"gid":1001}')" 0
}

test_all_ids_are_set() {
	assert_eq "$(run_sh 'grep -E "^(Uid|Gid)" /proc/self/status | tr -s "\t\n" " "' \
		'.process.user={"uid":5,"gid":6}')" "Uid: 5 5 5 5 Gid: 6 6 6 6 "
}

test_umask() {
	assert_eq "$(run_sh umask '.process.user.umask=63')" 0077
	assert_eq "$(run_sh umask '.process.user.umask=0')" 0000
	assert_eq "$(umask 0177; run_sh umask)" 0022
}

test_capabilities() {
	local sets
	sets=$(run_sh 'grep ^Cap /proc/self/status' "$(caps_filter CAP_KILL CAP_CHOWN)")
	assert_contains "$sets" "CapInh:	$(cap_mask)"
	assert_contains "$sets" "CapPrm:	$(cap_mask 0 5)"
	assert_contains "$sets" "CapEff:	$(cap_mask 0 5)"
	assert_contains "$sets" "CapBnd:	$(cap_mask 0 5)"
	assert_contains "$sets" "CapAmb:	$(cap_mask)"
}

test_capabilities_of_another_user() {
	local sets
	sets=$(run_sh 'grep ^Cap /proc/self/status' "$(caps_filter CAP_KILL)" '.process.user.uid=1')
	# As capabilities(7): exec by a user drops what is not ambient.
	assert_contains "$sets" "CapPrm:	$(cap_mask)"
	assert_contains "$sets" "CapEff:	$(cap_mask)"
	assert_contains "$sets" "CapBnd:	$(cap_mask 5)"
}

test_capabilities_ambient_that_are_not_inheritable() {
	run run_sh 'grep -E "CapAmb|CapEff" /proc/self/status | tr -s "\t" " "' "$(caps_filter CAP_KILL) |
		.process.capabilities.ambient=[\"CAP_KILL\"]"
	assert_eq "$output/$errors" "CapEff: $(cap_mask 5)"$'\n'"CapAmb: $(cap_mask)/"
}

test_capabilities_ambient() {
	local sets
	sets=$(run_sh 'grep ^Cap /proc/self/status' "$(caps_filter CAP_KILL)" \
		'.process.capabilities.inheritable=["CAP_KILL"] |
		 .process.capabilities.ambient=["CAP_KILL"] | .process.user.uid=1')
	assert_contains "$sets" "CapInh:	$(cap_mask 5)"
	assert_contains "$sets" "CapAmb:	$(cap_mask 5)"
	assert_contains "$sets" "CapEff:	$(cap_mask 5)"
}

test_no_capabilities_member_means_none() {
	local sets
	sets=$(run_sh 'grep ^Cap /proc/self/status' 'del(.process.capabilities)')
	assert_contains "$sets" "CapBnd:	$(cap_mask)"
	assert_contains "$sets" "CapEff:	$(cap_mask)"
}

test_no_new_privileges() {
	assert_eq "$(run_sh 'awk "/^NoNewPrivs/ { print \$2 }" /proc/self/status' \
		'.process.noNewPrivileges=true')" 1
	assert_eq "$(run_sh 'awk "/^NoNewPrivs/ { print \$2 }" /proc/self/status' \
		'.process.noNewPrivileges=false')" 0
}

test_rlimits() {
	assert_eq "$(run_sh 'ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hs' \
		'.process.rlimits=[{"type":"RLIMIT_NOFILE","soft":100,"hard":200},
		 {"type":"RLIMIT_CORE","soft":0,"hard":0},
		 {"type":"RLIMIT_STACK","soft":1048576,"hard":2097152}]' | tr '\n' ' ')" \
		"100 200 0 2048 "
}

test_working_directory() {
	assert_eq "$(run_sh pwd '.process.cwd="/tmp"')" /tmp
	# One that is missing is made, inside.
	run_sh pwd '.process.cwd="/new/deep"' >"$TEST_DIR/pwd"
	assert_eq "$(cat "$TEST_DIR/pwd")" /new/deep
	[ -d "$BUNDLE/rootfs/new/deep" ] || fail "made somewhere else"
	expect_failure run_sh pwd '.process.cwd="relative"'
	assert_contains "$ERROR" cwd
}

test_environment_is_exactly_what_is_asked() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["/bin/env"] | .process.env=["PATH=/bin","B=2","EMPTY=","X=a=b","HOME=/h"]'
	assert_eq "$(A_HOST_SECRET=1 oci run --bundle "$BUNDLE" "$ID" | sort)" \
		"$(printf '%s\n' B=2 EMPTY= HOME=/h PATH=/bin X=a=b)"
}

test_home_is_set_from_passwd() {
	assert_eq "$(run_sh 'echo $HOME')" /root
	assert_eq "$(run_sh 'echo $HOME' '.process.env += ["HOME=/other"]')" /other
}

test_program_is_found_in_the_path_of_the_container() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["busybox","echo","found"] | .process.env=["PATH=/nowhere:/bin"]'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" found
	next_container
	bundle_make "$BUNDLE" '.process.args=["./busybox","echo","by path"] | .process.cwd="/bin"'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" "by path"
}

test_oom_score() {
	assert_eq "$(run_sh 'cat /proc/self/oom_score_adj' '.process.oomScoreAdj=321')" 321
	assert_eq "$(run_sh 'cat /proc/self/oom_score_adj')" "$(cat /proc/self/oom_score_adj)"
}

# proc(5): fields 19, 40 and 41 of stat are nice, real-time priority and policy.
test_scheduler() {
	local fields='awk "{ print \$19, \$40, \$41 }" /proc/self/stat'
	assert_eq "$(run_sh "$fields" '.process.scheduler={"policy":"SCHED_BATCH","nice":5}')" "5 0 3"
	assert_eq "$(run_sh "$fields" '.process.scheduler={"policy":"SCHED_OTHER","nice":7}')" "7 0 0"
	assert_eq "$(run_sh "$fields" '.process.scheduler={"policy":"SCHED_FIFO","priority":3}')" "0 3 1"
	assert_eq "$(run_sh "$fields" '.process.scheduler={"policy":"SCHED_RR","priority":4}')" "0 4 2"
	assert_eq "$(run_sh "$fields" '.process.scheduler={"policy":"SCHED_IDLE"}')" "0 0 5"
	# Such a one has no children.
	assert_eq "$(run_sh '' '.process.scheduler={"policy":"SCHED_DEADLINE","runtime":1000000,"deadline":10000000,"period":10000000}' \
		'.process.args=["awk", "{ print $41 }", "/proc/self/stat"]')" 6
}

test_io_priority() {
	assert_contains "$(run_sh 'ionice -p $$' \
		'.process.ioPriority={"class":"IOPRIO_CLASS_BE","priority":6}')" "best-effort: prio 6"
	assert_contains "$(run_sh 'ionice -p $$' \
		'.process.ioPriority={"class":"IOPRIO_CLASS_IDLE","priority":0}')" idle
	assert_contains "$(run_sh 'ionice -p $$' \
		'.process.ioPriority={"class":"IOPRIO_CLASS_RT","priority":2}')" "realtime: prio 2"
}

test_affinity_of_exec() {
	[ "$(nproc)" -gt 1 ] || skip "one processor only"
	start_sh 'sleep 60' '.process.execCPUAffinity={"initial":"0-1","final":"1"}'
	assert_eq "$(oci exec "$ID" awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)" 1
}

test_personality() {
	assert_eq "$(run_sh 'cat /proc/self/personality' '.linux.personality={"domain":"LINUX32"}')" \
		00000008
	[ "$(uname -m)" != x86_64 ] ||
		assert_eq "$(run_sh 'uname -m' '.linux.personality={"domain":"LINUX32"}')" i686
}

test_hostname_and_domainname() {
	assert_eq "$(run_sh 'hostname; cat /proc/sys/kernel/domainname' \
		'.hostname="inside" | .domainname="example.org"' | tr '\n' ' ')" "inside example.org "
	[ "$(hostname)" != inside ] || fail "the host was renamed"
}

test_session_keyring_is_new() {
	grep -q . /proc/keys 2>/dev/null || skip "no keyrings in this kernel"
	local inside
	inside=$(run_sh 'cat /proc/keys' '.linux.maskedPaths=[]')
	assert_contains "$inside" "_ses"
}

test_no_controlling_terminal_and_own_session() {
	assert_eq "$(run_sh 'awk "{ print \$6, \$7 }" /proc/self/stat')" "1 0" "session and tty"
}

test_terminal_over_the_console_socket() {
	local recvtty
	recvtty=$(tool recvtty) || skip "no recvtty"
	next_container
	bundle_sh "$BUNDLE" 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; ls -l /dev/console' \
		'.process.terminal=true | .process.consoleSize={"height":33,"width":111}'
	"$recvtty" "$BUNDLE/console" >"$BUNDLE/screen" &
	local receiver=$!
	wait_until test -S "$BUNDLE/console"
	oci create --bundle "$BUNDLE" --console-socket "$BUNDLE/console" --pid-file "$BUNDLE/pid" "$ID"
	# The descriptor has arrived when create returns.
	assert_contains "$(cat "$BUNDLE/screen")" "received"
	oci start "$ID"
	wait "$receiver"
	assert_contains "$(cat "$BUNDLE/screen")" /dev/pts/0
	assert_contains "$(cat "$BUNDLE/screen")" "33 111"
	assert_contains "$(cat "$BUNDLE/screen")" all
	assert_contains "$(cat "$BUNDLE/screen")" /dev/console
}

test_terminal_input_reaches_the_program() {
	local recvtty
	recvtty=$(tool recvtty) || skip "no recvtty"
	next_container
	bundle_sh "$BUNDLE" 'read line; echo "<$line>"' '.process.terminal=true'
	echo "typed" | "$recvtty" "$BUNDLE/console" >"$BUNDLE/screen" &
	local receiver=$!
	wait_until test -S "$BUNDLE/console"
	oci run --detach --bundle "$BUNDLE" --console-socket "$BUNDLE/console" "$ID"
	wait "$receiver"
	assert_contains "$(cat "$BUNDLE/screen")" "<typed>"
}

test_terminal_without_a_socket_is_refused() {
	next_container
	bundle_make "$BUNDLE" '.process.terminal=true'
	expect_failure oci create --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" console-socket
	next_container
	bundle_make "$BUNDLE"
	expect_failure oci create --bundle "$BUNDLE" --console-socket "$BUNDLE/none" "$ID"
	assert_nothing_left
}

test_sysctl() {
	assert_eq "$(run_sh 'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward' \
		'.linux.sysctl={"kernel.msgmax":"4096","net.ipv4.ip_forward":"1"}' | tr '\n' ' ')" \
		"4096 1 "
	expect_failure run_sh true '.linux.sysctl={"kernel.panic":"5"}'
	assert_contains "$ERROR" kernel.panic
}

test_memory_policy() {
	[ -e /proc/self/numa_maps ] || skip "no NUMA in this kernel"
	assert_contains "$(run_sh 'head -1 /proc/self/numa_maps' \
		'.linux.memoryPolicy={"mode":"MPOL_BIND","nodes":"0"}')" "bind:0"
	local mode shown
	while IFS='|' read -r mode shown; do
		assert_contains "$(run_sh 'head -1 /proc/self/numa_maps' ".linux.memoryPolicy={$mode}")" " $shown " "$mode"
	done <<-EOF
		"mode":"MPOL_DEFAULT"|default
		"mode":"MPOL_LOCAL"|local
		"mode":"MPOL_INTERLEAVE","nodes":"0"|interleave:0
		"mode":"MPOL_PREFERRED","nodes":"0"|prefer:0
		"mode":"MPOL_PREFERRED_MANY","nodes":"0"|prefer (many):0
		"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]|bind=static:0
		"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_RELATIVE_NODES"]|bind=relative:0
	EOF
	if [ "$(uname -r | sort -V - <(echo 6.9) | head -n 1)" = 6.9 ]; then
		assert_contains "$(run_sh 'head -1 /proc/self/numa_maps' \
			'.linux.memoryPolicy={"mode":"MPOL_WEIGHTED_INTERLEAVE","nodes":"0"}')" " weighted interleave:0 "
	else
		expect_failure run_sh true '.linux.memoryPolicy={"mode":"MPOL_WEIGHTED_INTERLEAVE","nodes":"0"}'
		assert_contains "$ERROR" "MPOL_WEIGHTED_INTERLEAVE 6.9"
	fi
}

test_argument_with_odd_bytes() {
	next_container
	bundle_make "$BUNDLE" '.process.args=["printf","%s|","","a b","\u00e9\n","*"]'
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID")" "$(printf '|a b|é\n|*|')"
}

# Groups that are the caller's and are not named: in a user namespace nobody may put them back.
test_original_groups_are_kept_when_asked() {
	local maps filter pid
	maps='.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":65536}] | .linux.gidMappings=.linux.uidMappings'
	unshare --net sleep 600 &
	local other=$!
	for filter in . "$(namespace_filter user) | $maps" \
		"$(namespace_filter user) | $maps | .linux.namespaces |= map(if .type == \"network\" then .path=\"/proc/$other/ns/net\" else . end)"; do
		for keep in true false; do
			next_container
			bundle_sh "$BUNDLE" 'sleep 60' "$filter" "if $keep then .annotations={\"run.oci.keep_original_groups\":\"1\"} else . end"
			setpriv --groups 4321,8765 "$BRIG_OCI" --root "$TEST_DIR/state" run --detach --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" "$ID" \
				</dev/null >/dev/null 2>&1
			setpriv --groups 4321,8765 "$BRIG_OCI" --root "$TEST_DIR/state" exec --detach --pid-file "$BUNDLE/pid2" "$ID" sleep 50 \
				</dev/null >/dev/null 2>&1
			for pid in "$(cat "$BUNDLE/pid")" "$(cat "$BUNDLE/pid2")"; do
				assert_eq "$(proc_status "$pid" Groups | xargs)" "$($keep && echo 4321 8765 || :)" "$filter $keep"
			done
			oci delete --force "$ID"
		done
	done
	kill "$other"
}

# receive_pidfd SOCKET: prints the pid of the process that is sent there
receive_pidfd() {
	python3 - "$1" <<-'END'
		import array, re, socket, sys
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen()
		peer = listener.accept()[0]
		fd = array.array("i", peer.recvmsg(64, socket.CMSG_LEN(4))[1][0][2])[0]
		print(re.search(r"^Pid:\s+(\d+)$", open(f"/proc/self/fdinfo/{fd}").read(), re.M)[1])
	END
}

test_pidfd_goes_to_who_asks_for_it() {
	receive_pidfd "$TEST_DIR/annotation" >"$TEST_DIR/pid1" &
	receive_pidfd "$TEST_DIR/option" >"$TEST_DIR/pid2" &
	wait_until test -S "$TEST_DIR/annotation" -a -S "$TEST_DIR/option"
	next_container
	bundle_sh "$BUNDLE" 'sleep 60' '.annotations={"run.oci.pidfd_receiver":"'"$TEST_DIR/annotation"'"}'
	oci create --bundle "$BUNDLE" --pid-file "$BUNDLE/pid" --pidfd-socket "$TEST_DIR/option" "$ID" </dev/null >/dev/null 2>&1
	wait
	assert_eq "$(cat "$TEST_DIR/pid1")" "$(cat "$BUNDLE/pid")"
	assert_eq "$(cat "$TEST_DIR/pid2")" "$(cat "$BUNDLE/pid")"
	oci delete --force "$ID"
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" run.oci.pidfd_receiver
	assert_nothing_left
}

# without_time COMMAND...: as one who has every capability but CAP_SYS_TIME
without_time() {
	capsh --drop=cap_sys_time -- -c '"$0" "$@"' "$@"
}

test_capabilities_that_cannot_be_granted_are_named_and_left_out() {
	local all='(.process.capabilities | to_entries | map(.value += ["CAP_SYS_TIME"]) | from_entries)' warning
	warning='process.capabilities: CAP_SYS_TIME is not granted'
	next_container
	bundle_sh "$BUNDLE" 'grep -E "CapBnd|CapEff" /proc/self/status; sleep 300' ".process.capabilities = $all"
	assert_runs without_time "$BRIG_OCI" --root "$TEST_DIR/state" run --detach --bundle "$BUNDLE" "$ID"
	assert_contains "$errors" "$warning"
	assert_runs without_time "$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json exec "$ID" \
		sh -c 'test $((0x$(awk "/CapBnd/ { print \$2 }" /proc/self/status) >> 25 & 1)) = 0'
	assert_eq "$(jq -r '"\(.level) \(.msg)"' log | cut -c "1-$((${#warning} + 8))")" "warning $warning"
	# A failure is one line, whatever there would be to warn of.
	rm log
	assert_fails without_time "$BRIG_OCI" --root "$TEST_DIR/state" --log "$TEST_DIR/log" --log-format json exec "$ID" missing-program
	assert_eq "$(jq -r .level log)" error
	# Who has them all is told nothing.
	assert_runs oci exec "$ID" true
	assert_eq "$errors" ""
}
