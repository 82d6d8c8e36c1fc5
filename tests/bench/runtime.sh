#!/bin/bash
# What a container costs: brig-oci beside crun, runc and bubblewrap, in one table of ratios.
# usage: tests/bench/runtime.sh [--rounds N] [--live N] [--only WORDS] [--csv FILE]
#
#   --rounds N    runs of each command (50)
#   --live N      how many containers stand beside the measured one at most (1000)
#   --only WORDS  of: time counts memory live (all)
#   --csv FILE    writes every cell as "what;runtime;value" too
#
# All runtimes get the same bundle: what podman asks for by default (namespaces, mounts, masks, a
# seccomp profile of some 350 names for three architectures) around a static `true`. In every round each
# command runs once, and each round begins with another one. A ratio is the median of the rounds' own
# ratios, so that what slows a round down is in both of its numbers; a time is the median over the rounds. Below
# each row stands the same for the user and system time of all processes of a command, which a busy machine
# distorts less than time on the wall; the kernel's work after a command has ended (namespaces are torn down
# by its own threads) is in neither.
#
# Nothing is judged: the exit status is not 0 only when a command fails. As root, from Debian: jq, strace,
# busybox-static, gcc and any of crun, runc, bubblewrap.
#
# Rows end with the way that cgroups are handled: "cgroup" (each runtime makes one) or "none"
# (--cgroup-manager=disabled, which runc has not). Without CAP_SYS_RESOURCE some crun cannot do the first.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
. "$here/bundle.sh"
build=${BRIG_BUILD:-$(realpath "$here/../../build")}
brig=${BRIG_OCI:-$build/cli/brig-oci}
measure=$build/tests/tools/measure

rounds=50 live=1000 only='time counts memory live' csv=''
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--live) live=$2 && shift ;;
	--only) only=$2 && shift ;;
	--csv) csv=$(realpath -m "$2") && shift ;;
	--inside) inside=1 ;;
	*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done

# In a mount namespace of its own: a tmpfs for bundles and states, and cgroup v2 where it belongs.
if [ -z "${inside-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "run it as root" >&2 && exit 1; }
	for tool in "$brig" "$measure" jq strace busybox; do
		command -v "$tool" >/dev/null || { echo "$tool is missing" >&2 && exit 1; }
	done
	# shellcheck disable=SC2016
	exec unshare --mount --propagation private sh -c '
		[ ! -e /sys/fs/cgroup/unified/cgroup.procs ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
		exec "$@"' sh "$0" --inside --rounds "$rounds" --live "$live" --only "$only" ${csv:+--csv "$csv"}
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/brig-bench.XXXXXX")
mount -t tmpfs -o mode=0711 tmpfs "$work"
parent=brig-bench-$$
declare -A cell=() command=()

# --- the runtimes

# runtime NAME WAY ARGUMENT...: puts the command into the array "words"; fails when there is no such way
runtime() {
	local name=$1 way=$2
	shift 2
	case $name in
	brig) words=("$brig") ;;
	*) words=("$(command -v "$name")") || return 1 ;;
	esac
	words+=(--root "$work/state-$name-$way")
	case $name-$way in
	*-cgroup) ;;
	runc-none) return 1 ;;
	*-none) words+=(--cgroup-manager=disabled) ;;
	esac
	words+=("$@")
}

# works NAME WAY: it runs a container that way
works() {
	[ -n "${cell[works $1 $2]-}" ] || {
		cell[works $1 $2]=no
		! runtime "$1" "$2" run --bundle "$work/bundle-$2" "probe-$1" || {
			if "${words[@]}" </dev/null >"$work/out" 2>&1; then cell[works $1 $2]=yes; else
				echo "# $1 does not run with $2: $(tail -n 1 "$work/out")"
			fi
		}
	}
	[ "${cell[works $1 $2]}" = yes ]
}

clean_up() {
	local status=$? dir name way
	trap - EXIT
	for dir in "$work"/state-*; do
		name=${dir##*/state-} way=${name##*-} name=${name%-*}
		for id in "$dir"/*/; do
			[ ! -d "$id" ] || ! runtime "$name" "$way" delete --force "$(basename "$id")" ||
				"${words[@]}" >/dev/null 2>&1 || :
		done
	done
	find "/sys/fs/cgroup/$parent" -depth -type d -exec rmdir {} + 2>/dev/null || :
	umount -l "$work"
	rmdir "$work"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 143' TERM INT HUP

# in_cgroup ID: each container's is below one of ours, which is removed at the end
in_cgroup() {
	jq --arg path "/$parent/$1" '.linux.cgroupsPath = $path' "$work/bundle-cgroup/config.json" >"$work/new.json"
	mv "$work/new.json" "$work/bundle-cgroup/config.json"
}

# --- time

# quote WORD...: as one string, for eval
quote() {
	printf '%q ' "$@"
}

# run_once NAME WORD...: measured, as a line of the file turn-NAME
run_once() {
	local name=$1
	shift
	"$measure" -o "$work/turn-$name" "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2 && exit 1; }
}

# median COLUMN FILE
median() {
	cut -d ' ' -f "$1" "$2" | sort -g | awk '{ v[NR] = $1 } END { printf "%.4f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# take_turns KEY NAME...: the medians of command[NAME] in ms as cell[KEY NAME] and cell[KEY NAME cpu], and of
# brig's ratios to the others as cell[KEY /NAME] and cell[KEY /NAME cpu]
take_turns() {
	local key=$1 name round i
	shift
	local names=("$@")
	for ((round = -1; round < rounds; round++)); do
		for ((i = 0; i < $#; i++)); do
			name=${names[(i + round + 1) % $#]}
			eval "run_once $name ${command[$name]}"
		done
		# The first round warms up.
		[ "$round" != -1 ] || rm -f "$work"/turn-*
	done
	for name; do
		awk '{ print $1 / 1000, $2 / 1000 }' "$work/turn-$name" >"$work/times"
		cell[$key $name]=$(median 1 "$work/times")
		cell[$key $name cpu]=$(median 2 "$work/times")
		paste -d ' ' "$work/turn-brig" "$work/turn-$name" | awk '{ print $1 / $4, $2 / $5 }' >"$work/times"
		cell[$key /$name]=$(median 1 "$work/times")
		cell[$key /$name cpu]=$(median 2 "$work/times")
	done
	rm -f "$work"/turn-*
}

# time_row TITLE WAY KEY TARGET-CRUN TARGET-RUNC: shows what take_turns measured
time_row() {
	row "$1 [$2]" "$3" "$4" "$5"
	row "  user+system time" "$3 cpu" - -
}

time_run() {
	local way=$1 name names=()
	for name in brig crun runc; do
		works "$name" "$way" || continue
		runtime "$name" "$way" run --bundle "$work/bundle-$way" "run-$name"
		command[$name]=$(quote "${words[@]}") && names+=("$name")
	done
	if command -v bwrap >/dev/null && bwrap_words && "${words[@]}" >/dev/null 2>&1; then
		command[bwrap]=$(quote "${words[@]}") && names+=(bwrap)
	fi
	take_turns "run-$way" "${names[@]}"
	time_row run "$way" "run-$way" 0.5 0.15
}

# What bubblewrap can do of it: no seccomp profile, no masks, no cgroup of its own, no sysctl
bwrap_words() {
	words=(bwrap --unshare-all --bind "$work/bundle-none/rootfs" / --proc /proc --dev /dev --tmpfs /dev/shm
		--ro-bind /sys /sys --hostname bench --cap-drop ALL /bin/true)
}

time_create_start_delete() {
	local way=$1 name names=() all=()
	for name in brig crun runc; do
		works "$name" "$way" || continue
		all=()
		runtime "$name" "$way" create --bundle "$work/bundle-$way" "csd-$name"
		all+=("${words[@]}" --)
		runtime "$name" "$way" start "csd-$name"
		all+=("${words[@]}" --)
		runtime "$name" "$way" delete --force "csd-$name"
		all+=("${words[@]}")
		command[$name]=$(quote "${all[@]}") && names+=("$name")
	done
	take_turns "csd-$way" "${names[@]}"
	time_row "create+start+delete" "$way" "csd-$way" 0.5 -
}

# sleeper CREATE|DELETE NAME WAY ID
sleeper() {
	runtime "$2" "$3" "$1" --bundle "$work/bundle-$3" "$4"
	if [ "$1" = delete ]; then runtime "$2" "$3" delete --force "$4"; fi
	"${words[@]}" </dev/null >/dev/null 2>"$work/err" || { cat "$work/err" >&2 && return 1; }
}

time_exec() {
	local way=$1 name names=()
	edit_args "$way" '["/bin/sleep", "100000"]'
	for name in brig crun runc; do
		works "$name" "$way" || continue
		sleeper create "$name" "$way" "exec-$name"
		runtime "$name" "$way" start "exec-$name" && "${words[@]}"
		runtime "$name" "$way" exec "exec-$name" /bin/true
		command[$name]=$(quote "${words[@]}") && names+=("$name")
	done
	take_turns "exec-$way" "${names[@]}"
	for name in "${names[@]}"; do sleeper delete "$name" "$way" "exec-$name"; done
	edit_args "$way" '["/bin/true"]'
	time_row exec "$way" "exec-$way" 0.5 -
}

edit_args() {
	jq ".process.args = $2" "$work/bundle-$1/config.json" >"$work/new.json"
	mv "$work/new.json" "$work/bundle-$1/config.json"
}

time_version() {
	local name names=()
	for name in brig crun runc; do
		if [ "$name" = brig ]; then words=("$brig"); else words=("$(command -v "$name")") || continue; fi
		command[$name]=$(quote "${words[@]}" --version) && names+=("$name")
	done
	take_turns version "${names[@]}"
	row "--version" version - -
	row "  user+system time" "version cpu" - -
}

# --- counts

count_calls() {
	local way=$1 name
	for name in brig crun runc; do
		works "$name" "$way" || continue
		runtime "$name" "$way" run --bundle "$work/bundle-$way" "calls-$name"
		strace -f -c -o "$work/calls" "${words[@]}" </dev/null >/dev/null
		cell[calls-$way $name]=$(awk '$NF == "total" { print $(NF - 1) ~ /^[0-9]+$/ && NF == 6 ? $4 : $(NF - 1) }' "$work/calls")
	done
	row "system calls of run [$way]" "calls-$way" "300 calls" -
}

count_memory() {
	local way=$1 name
	for name in brig crun runc; do
		works "$name" "$way" || continue
		runtime "$name" "$way" run --bundle "$work/bundle-$way" "rss-$name"
		rm -f "$work/rss"
		for _ in 1 2 3 4 5; do "$measure" -o "$work/rss" "${words[@]}" >/dev/null; done
		cell[rss-$way $name]=$(cut -d ' ' -f 3 "$work/rss" | sort -n | sed -n 3p)
	done
	row "peak resident KiB [$way]" "rss-$way" "2048 KiB" -
}

# The smallest memory.max that a run succeeds with three times, by halving a list of sizes in KiB
count_memory_max() {
	local name low high middle way=cgroup
	local -a kib=(64 128 192 256 320 384 512 640 768 1024 1536 2048 3072 4096 5120 6144 7168 8192 12288 16384)
	has_controller memory || { echo "# memory.max: there is no memory controller here; run it in tests/vm/boot" && return; }
	for name in brig crun runc; do
		works "$name" "$way" || continue
		low=-1 high=$((${#kib[@]} - 1))
		while [ $((high - low)) -gt 1 ]; do
			middle=$(((low + high) / 2))
			if runs_within "$name" "${kib[middle]}"; then high=$middle; else low=$middle; fi
		done
		cell[max $name]=${kib[high]}
	done
	row "smallest memory.max KiB" max "256 KiB" -
}

# runs_within NAME KIB
runs_within() {
	mkdir -p "$work/bundle-memory"
	[ -e "$work/bundle-memory/rootfs" ] || ln -s ../bundle-cgroup/rootfs "$work/bundle-memory/rootfs"
	jq ".linux.resources.memory.limit = $2 * 1024" "$work/bundle-cgroup/config.json" >"$work/bundle-memory/config.json"
	runtime "$1" cgroup run --bundle "$work/bundle-memory" "max-$1"
	! three_times "${words[@]}" || return 0
	runtime "$1" cgroup delete --force "max-$1"
	"${words[@]}" >/dev/null 2>&1 || :
	return 1
}

three_times() {
	for _ in 1 2 3; do
		timeout 20 "$@" </dev/null >/dev/null 2>&1 || return 1
	done
}

# --- many

# Creating and deleting one container beside 1, 100, … of its kind. The kernel's own share grows with
# the number of mounts and namespaces on the machine; crun beside it shows how much that is.
live() {
	local way=$1 name level i ids
	edit_args "$way" '["/bin/sleep", "100000"]'
	for name in brig crun; do
		works "$name" "$way" || continue
		i=0
		for level in 1 $((live / 10)) "$live"; do
			for (( ; i < level; i++)); do sleeper create "$name" "$way" "live-$i"; done
			runtime "$name" "$way" create --bundle "$work/bundle-$way" one && ids=("$measure" -o "$work/live-$name-$level" "${words[@]}" --)
			runtime "$name" "$way" delete --force one && ids+=("${words[@]}")
			rm -f "$work/live-$name-$level"
			for _ in $(seq "$rounds"); do "${ids[@]}" >/dev/null; done
			cell[live-$way-$level $name]=$(sort -n "$work/live-$name-$level" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] / 1000 }')
			cell[live-$way-$level-cpu $name]=$(sort -n -k 2 "$work/live-$name-$level" | awk '{ v[NR] = $2 } END { print v[int((NR + 1) / 2)] / 1000 }')
		done
		for ((i = 0; i < live; i++)); do sleeper delete "$name" "$way" "live-$i"; done
		cell[slope-$way $name]=$(awk -v a="${cell[live-$way-1 $name]}" -v b="${cell[live-$way-$live $name]}" 'BEGIN { print (b / a - 1) * 100 }')
		cell[slope-$way-cpu $name]=$(awk -v a="${cell[live-$way-1-cpu $name]}" -v b="${cell[live-$way-$live-cpu $name]}" 'BEGIN { print (b / a - 1) * 100 }')
	done
	edit_args "$way" '["/bin/true"]'
	for level in 1 $((live / 10)) "$live"; do
		row "create+delete beside $level [$way]" "live-$way-$level" - -
	done
	row "  growth from 1 to $live, in %" "slope-$way" "5 %" -
	row "  the same of user+system time" "slope-$way-cpu" "5 %" -
}

# --- the table

head_row() {
	printf '%-38s %8s %8s %8s %8s   %6s %-7s   %6s %s\n' "" brig crun runc bwrap /crun wanted /runc wanted
}

# row TITLE KEY TARGET-CRUN TARGET-RUNC: a target with a unit is one for brig's own value; "-": none
row() {
	local title=$1 key=${2% cpu} suffix=${2#"${2% cpu}"} name value values=() targets=()
	for name in brig crun runc bwrap; do
		value=${cell[$key $name$suffix]-}
		[ -z "$csv" ] || [ -z "$value" ] || echo "${title#"${title%%[! ]*}"};$name;$value" >>"$csv"
		values+=("$(shorten "$value")")
	done
	for value in "$3" "$4"; do
		case $value in
		-) targets+=('') ;;
		*) targets+=("≤$value") ;;
		esac
	done
	# printf counts bytes, and "≤" has three
	printf '%-38s %8s %8s %8s %8s   %6s %-9s   %6s %s\n' "$title" "${values[@]}" "$(ratio "$key" "$suffix" crun)" \
		"${targets[0]:-·}" "$(ratio "$key" "$suffix" runc)" "${targets[1]}" | sed 's/·/  /'
}

shorten() {
	[ -z "$1" ] || awk -v v="$1" 'BEGIN { printf v < 100 && v != int(v) ? "%.2f" : "%.0f", v }'
}

# ratio KEY SUFFIX NAME: the one that take_turns found, or that of two counts
ratio() {
	local mine=${cell[$1 brig$2]-} theirs=${cell[$1 $3$2]-} paired=${cell[$1 /$3$2]-}
	case $1 in slope*) theirs='' ;; esac
	if [ -n "$paired" ]; then
		printf '%.2f' "$paired"
	elif [ -n "$mine" ] && [ -n "$theirs" ]; then
		awk -v a="$mine" -v b="$theirs" 'BEGIN { if (b > 0) printf "%.2f", a / b }'
	fi
}

versions() {
	local name
	echo "# $("$brig" --version | head -n 1); kernel $(uname -r); $(nproc) processors; load $(cut -d ' ' -f 1 /proc/loadavg)"
	for name in crun runc bwrap; do
		! command -v "$name" >/dev/null || echo "# $("$name" --version | head -n 1)"
	done
	echo "# times in ms, medians of $rounds runs"
}

main() {
	local way ways=()
	[ -z "$csv" ] || : >"$csv"
	bench_bundle "$work/bundle-none"
	bench_bundle "$work/bundle-cgroup" "$(bench_limits)"
	in_cgroup probe
	versions
	works brig cgroup || { echo "brig-oci does not run the bundle" >&2 && exit 1; }
	works brig none
	works runc cgroup || :
	works crun none || :
	# Without cgroups only where a peer cannot do otherwise
	if works crun cgroup; then ways=(cgroup); else ways=(cgroup none); fi
	head_row
	if [[ " $only " = *" time "* ]]; then
		for way in "${ways[@]}"; do time_run "$way" && time_create_start_delete "$way" && time_exec "$way"; done
		time_version
	fi
	for way in "${ways[@]}"; do
		[[ " $only " != *" counts "* ]] || { count_calls "$way" && count_memory "$way"; }
	done
	[[ " $only " != *" memory "* ]] || count_memory_max
	[[ " $only " != *" live "* ]] || live "${ways[-1]}"
}

main
