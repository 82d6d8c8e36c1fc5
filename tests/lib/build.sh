# Builds the project into build/ for test.sh and demo.sh. To be sourced by bash in the project's root.
# shellcheck shell=bash

# build_project LOG: quiet, and shows the end of LOG when it fails
build_project() {
	mkdir -p "$(dirname "$1")"
	{ [ -e build/build.ninja ] || meson setup build; } >"$1" 2>&1 && ninja -C build >>"$1" 2>&1 && return
	tail -n 40 "$1" >&2
	return 1
}
