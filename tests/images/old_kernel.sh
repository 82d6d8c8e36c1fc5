#!/bin/bash
# where: vm
# time-limit: 900
# Overlay mounts by a kernel that takes all layers in one page of text (before 6.7), and shifted ids there.
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
