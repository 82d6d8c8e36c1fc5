#!/bin/bash
# Installs what is missing, builds, and runs the test suites.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"
. tests/lib/packages.sh
. tests/lib/build.sh

quick=(checks unit)
# The unit tests once more, built with AddressSanitizer and UndefinedBehaviorSanitizer, and those of the VMM's threads
# with ThreadSanitizer
sanitized=(asan tsan)
threaded=(threads mmio block vsock net small)
slow=(engines rig integration attack images netns cli fault vm)
# Long under emulation: by name
named=(engines_all long)
logs=build/test-logs

usage() {
	cat <<EOF
usage: ./test.sh [SUITE...]   runs all suites or these
       ./test.sh --list       lists them

suites: ${quick[*]} ${sanitized[*]} ${slow[*]}; only by name: ${named[*]}

On Debian 12 or 13 as root, missing packages are installed first. Every suite's output is in
$logs/SUITE.log. The last line is "N passed, N failed, N skipped"; the exit status is not 0
when a test failed, or was skipped without being listed in tests/expected-skips.
EOF
}

# run_suites JOBS SUITE...: that many beside each other; each one's TAP goes to its log
run_suites() {
	local jobs=$1 suite options=()
	shift
	for suite; do options+=(--suite "$suite"); done
	: >build/meson-logs/run.json
	meson test -C build --no-rebuild --logbase run --num-processes "$jobs" "${options[@]}" >"$logs/meson.log" 2>&1 || bad=1
	for suite; do
		suite_tap "$suite" build/meson-logs/run.json >"$logs/$suite.log"
		count_suite "$suite" build/meson-logs/run.json
	done
}

# run_sanitized SUITE: of one of the two
run_sanitized() {
	local suite=$1 dir=build-$1 options=(-Dstatic=false) targets=() tests=(--suite unit)
	if [ "$suite" = asan ]; then
		options+=('-Db_sanitize=address,undefined')
	else
		options+=(-Db_sanitize=thread -Db_lundef=false)
		targets=("${threaded[@]/#/tests/unit/test_microvm_}")
		tests=("${threaded[@]/#/microvm/}")
	fi
	if ! BUILD_TARGETS=${targets[*]} build_project "$logs/build-$suite.log" "$dir" "${options[@]}"; then
		echo "not ok 0 - the build, see $logs/build-$suite.log" >"$logs/$suite.log"
	else
		: >"$dir/meson-logs/$suite.json"
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 meson test -C "$dir" --no-rebuild --logbase "$suite" \
			--num-processes "$(nproc)" "${tests[@]}" >"$logs/meson-$suite.log" 2>&1 || bad=1
		suite_tap unit "$dir/meson-logs/$suite.json" >"$logs/$suite.log"
	fi
	count_suite "$suite" "$dir/meson-logs/$suite.json" unit
}

# suite_tap SUITE RECORD: meson's record of one suite as TAP: a program's own lines, and one line for a program that
# prints none or that failed beside them, with what it said as comments
suite_tap() {
	jq -r --arg prefix "brig:$1 / " '
		select(.name | startswith($prefix)) |
		(.name | ltrimstr($prefix)) as $name |
		"\(.stdout // "")\n\(.stderr // "")" as $text |
		[$text | split("\n")[] | select(test("^(not )?ok "))] as $lines |
		"", "# \($name)",
		if .result == "SKIP" and $lines == [] then
			$text | capture("# SKIP *(?<why>.*)") | "ok 0 - \($name) # SKIP \(.why)"
		elif .result == "OK" and $lines == [] then "ok 0 - \($name)"
		elif (.result | IN("OK", "SKIP") | not) and ($lines | any(startswith("not ok")) | not) then
			$lines[], "not ok 0 - \($name): \(.result)",
			($text | split("\n")[] | select(. != "" and (IN($lines[]) | not)) | "# \(ltrimstr("# "))")
		else $text end' "$2" || echo "not ok 0 - meson's record cannot be read"
}

# count_suite SUITE RECORD [NAME]: adds one suite, NAME in meson's record, to the totals, and says how long its programs ran
count_suite() {
	local report line time
	report=$(tests/lib/count "$1" "$logs/$1.log") || bad=1
	line=$(tail -n 1 <<<"$report")
	sed '$d' <<<"$report" | sed 's/^/  /'
	time=$(jq -rs --arg prefix "brig:${3-$1} / " \
		'map(select(.name | startswith($prefix)).duration) | add // 0 | ceil' "$2" 2>/dev/null) || time="?"
	printf '%-12s %s (%s s)\n' "$1" "$line" "$time"
	read -r p _ f _ s _ <<<"$line"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

finish() {
	[ -z "$bad" ] || echo "logs: $logs/SUITE.log, $logs/meson.log"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ -z "$bad" ]
	exit
}

# only ALL WANTED: the words of ALL that are in WANTED, or all when nothing is wanted
only() {
	local suite
	for suite in $1; do
		[ -n "$2" ] && [[ " $2 " != *" $suite "* ]] || echo "$suite"
	done
}

main() {
	local suite
	case ${1-} in
	--list) printf '%s\n' "${quick[@]}" "${sanitized[@]}" "${slow[@]}" "${named[@]}" && exit 0 ;;
	-h | --help) usage && exit 0 ;;
	esac
	for suite; do
		[[ " ${quick[*]} ${sanitized[*]} ${slow[*]} ${named[*]} " = *" $suite "* ]] || { echo "test.sh: there is no suite $suite" >&2 && exit 2; }
	done
	passed=0 failed=0 skipped=0 bad=''
	if ! packages_ensure build test || ! build_project "$logs/build.log"; then
		echo "failed: the build, see $logs/build.log"
		failed=1 bad=1
		finish
	fi
	mapfile -t first < <(only "${quick[*]}" "$*")
	mapfile -t second < <(only "${slow[*]}${*:+ ${named[*]}}" "$*")
	[ ${#first[@]} = 0 ] || run_suites "$(nproc)" "${first[@]}"
	for suite in $(only "${sanitized[*]}" "$*"); do run_sanitized "$suite"; done
	[ ${#second[@]} = 0 ] || run_suites 2 "${second[@]}"
	finish
}

main "$@"
