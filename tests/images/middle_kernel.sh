#!/bin/bash
# where: vm
# kernel: 6.12
# time-limit: 900
# Overlay mounts by a kernel that takes layers one by one, but none as a descriptor (from 6.7 to 6.12).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/overlay.sh"

test_more_than_a_page_of_names() {
	overlay_of_many_layers
}

test_one_layer() {
	overlay_of_one_layer
}

test_ids_are_shifted() {
	overlay_with_shifted_ids
}

test_run() {
	overlay_under_a_container
}
