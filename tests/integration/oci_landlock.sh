#!/bin/bash
# where: vm
# Landlock and core scheduling by annotation: what a container may do beyond its file system's modes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# landlock NAME=VALUE…: the annotations as a jq filter
landlock() {
	local filter='.root.readonly=false | .process.noNewPrivileges=true' pair
	for pair; do filter+=" | .annotations[\"org.brig.landlock.${pair%%=*}\"]=\"${pair#*=}\""; done
	echo "$filter"
}

# files_or_refusal FILTER: true when the kernel can restrict files; else says that it is refused
files_or_refusal() {
	case $(uname -r) in
	5.* | 6.0.* | 6.1.*) ;;
	*) return 0 ;;
	esac
	expect_failure run_sh true "$1"
	assert_contains "$ERROR" "Landlock ABI 3"
	return 1
}

test_files_are_restricted_to_what_is_listed() {
	files_or_refusal "$(landlock ro=/etc)" || return 0
	local seen
	seen=$(run_sh 'cat /etc/passwd >/dev/null 2>&1 && echo read
		echo x > /etc/new 2>/dev/null || echo not-written
		echo x > /tmp/new && echo tmp-written
		ls /var >/dev/null 2>&1 || echo not-listed' \
		"$(landlock exec=/bin:/lib ro=/etc rw=/tmp:/dev)" | tr '\n' ' ')
	assert_eq "$seen" "read not-written tmp-written not-listed "
}

test_what_is_not_listed_cannot_be_executed() {
	files_or_refusal "$(landlock exec=/bin)" || return 0
	expect_failure run_sh 'cp /bin/busybox /tmp/b && chmod +x /tmp/b && /tmp/b true' \
		"$(landlock exec=/bin:/lib rw=/tmp:/dev)"
	assert_contains "$ERROR" "ermission denied"
}

test_exec_is_restricted_alike() {
	files_or_refusal "$(landlock rw=/tmp)" || return 0
	start_sh 'exec sleep 100' "$(landlock exec=/bin:/lib ro=/etc rw=/tmp:/dev)"
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
	files_or_refusal "$(landlock exec=/bin:/lib)" || return 0
	expect_failure run_sh true "$(landlock exec=/bin:/nosuch)"
	assert_contains "$ERROR" /nosuch
}

test_ports_need_a_newer_kernel() {
	[ "$(uname -r | cut -d. -f1,2)" = 6.1 ] || skip "this kernel can do it"
	expect_failure run_sh true "$(landlock tcp_bind=80)"
	assert_contains "$ERROR" tcp_bind
}

test_core_scheduling_says_when_it_cannot() {
	expect_failure run_sh true '.annotations["org.brig.core_sched"]="sometimes"'
	assert_contains "$ERROR" org.brig.core_sched
}
