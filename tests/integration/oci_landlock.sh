#!/bin/bash
# where: vm
# kernel: 6.12
# Landlock and core scheduling by annotation: what a container may do beyond its file system's modes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# landlock NAME=VALUE…: the annotations as a jq filter
landlock() {
	local filter='.root.readonly=false | .process.noNewPrivileges=true' pair
	for pair; do filter+=" | .annotations[\"org.brig.landlock.${pair%%=*}\"]=\"${pair#*=}\""; done
	echo "$filter"
}

test_files_are_restricted_to_what_is_listed() {
	local seen
	seen=$(run_sh 'cat /etc/passwd >/dev/null 2>&1 && echo read
		echo x > /etc/new 2>/dev/null || echo not-written
		echo x > /tmp/new && echo tmp-written
		ls /var >/dev/null 2>&1 || echo not-listed' \
		"$(landlock exec=/bin ro=/etc rw=/tmp:/dev)" | tr '\n' ' ')
	assert_eq "$seen" "read not-written tmp-written not-listed "
}

test_what_is_not_listed_cannot_be_executed() {
	expect_failure run_sh 'cp /bin/busybox /tmp/b && chmod +x /tmp/b && /tmp/b true' \
		"$(landlock exec=/bin rw=/tmp:/dev)"
	assert_contains "$ERROR" "ermission denied"
}

test_exec_is_restricted_alike() {
	start_sh 'exec sleep 100' "$(landlock exec=/bin ro=/etc rw=/tmp:/dev)"
	expect_failure oci exec "$ID" sh -c 'echo x > /etc/new'
	assert_contains "$ERROR" "ermission denied"
}

test_a_bad_annotation_names_itself() {
	expect_failure run_sh true "$(landlock readonly=/etc)"
	assert_contains "$ERROR" org.brig.landlock.readonly
	expect_failure run_sh true "$(landlock ro=etc)"
	assert_contains "$ERROR" org.brig.landlock.ro
}

test_a_path_that_is_not_there_is_an_error() {
	expect_failure run_sh true "$(landlock exec=/bin:/nosuch)"
	assert_contains "$ERROR" /nosuch
}

test_ports_are_those_that_are_listed() {
	local seen
	seen=$(run_sh 'timeout 1 nc -l -p 81 </dev/null; timeout 1 nc -l -p 80 </dev/null; echo "$?"
		nc 127.0.0.1 81 </dev/null; nc 127.0.0.1 80 </dev/null' "$(landlock tcp_bind=80 tcp_connect=80)" 2>&1) || :
	assert_matches "$seen" $'^nc: bind: Permission denied\n(Terminated\n)?143\nnc: [^\n]*Permission denied\nnc: [^\n]*Connection refused$'
}

test_core_scheduling_says_when_it_cannot() {
	expect_failure run_sh true '.annotations["org.brig.core_sched"]="sometimes"'
	assert_contains "$ERROR" org.brig.core_sched
}
