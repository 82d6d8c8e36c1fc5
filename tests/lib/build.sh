# Builds the project for test.sh and demo.sh. To be sourced by bash in the project's root.
# shellcheck shell=bash

# build_project LOG [DIR [MESON-OPTION...]]: into build or DIR, all or $BUILD_TARGETS; quiet, and shows the end of
# LOG when it fails
build_project() {
	local log=$1 dir=${2:-build}
	shift $(($# < 2 ? $# : 2))
	mkdir -p "$(dirname "$log")"
	{ [ -e "$dir/build.ninja" ] || meson setup "$dir" "$@"; } >"$log" 2>&1 && ninja -C "$dir" ${BUILD_TARGETS-} >>"$log" 2>&1 && return
	tail -n 40 "$log" >&2
	return 1
}
