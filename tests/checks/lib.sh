# Shared by the checks: the list of files, and reporting. A check prints one line per finding on standard
# error and ends with `check_end`; 77 tells meson that it was skipped. To be sourced by bash.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
findings=0

finding() {
	echo "$*" >&2
	findings=$((findings + 1))
}

check_end() {
	[ "$findings" -eq 0 ] || { echo "$(basename "$0"): $findings findings" >&2 && exit 1; }
}

check_skip() {
	echo "1..0 # SKIP $*"
	exit 77
}

# sources PATTERN...: the project's own files with these names, without those of build folders
sources() {
	local names=()
	while [ $# -gt 0 ]; do
		names+=(${names[@]+-o} -name "$1") && shift
	done
	find . \( -path './build*' -o -path ./.git \) -prune -o -type f \( "${names[@]}" \) -print | sed 's,^\./,,' | sort
}
