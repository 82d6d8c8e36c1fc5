#!/bin/bash
# where: vm
# Landlock on a kernel that cannot restrict all that is asked for.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

refused() {
	expect_failure run_sh true ".process.noNewPrivileges=true | .annotations[\"org.brig.landlock.$1\"]=\"$2\""
	assert_contains "$ERROR" "$3"
}

test_files_need_truncation_to_be_known() {
	refused ro /etc "Landlock ABI 3"
}

test_ports_need_a_newer_kernel() {
	refused tcp_bind 80 tcp_bind
}
