#!/bin/bash
# Popek and Goldberg's three properties of a virtual machine monitor as figures: the same container on the host, in
# namespaces and in a virtual machine.
# usage: tests/bench/vm-properties.sh [--rounds N] [--only WORDS]
#
#   --rounds N    runs of each work (3)
#   --only WORDS  of: equivalence efficiency control (all)
#
# equivalence: programs of this host, run in all three, print the same. efficiency: their user-space work takes a ratio
# of the host's time. control: what a guest that tries takes, beside its limits. The exit status is not 0 when outputs
# differ or a limit does not hold; a time is not judged. As root; on a host without a /dev/kvm that boots Linux:
# tests/vm/boot -t 3000 -- tests/bench/vm-properties.sh
set -euo pipefail
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
. "$here/vm-lib.sh"

rounds=3 only='equivalence efficiency control'
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--only) only=$2 && shift ;;
	*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done
[ -e /dev/kvm ] || { echo "there is no /dev/kvm" >&2 && exit 1; }
work=$(mktemp -d /tmp/brig-bench-properties.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
bad=0

# bundle: this host's programs, read-only, as a container's root
make_bundle() {
	local dir
	mkdir -p "$work"/bundle/rootfs/{proc,sys,dev,tmp,run,etc,usr,work}
	for dir in bin sbin lib lib64; do
		[ ! -L "/$dir" ] || ln -s "usr/$dir" "$work/bundle/rootfs/$dir"
	done
	"$build/cli/brig-oci" spec --bundle "$work/bundle"
	jq '.process.terminal = false | .process.cwd = "/work" | .process.env = ["PATH=/usr/bin:/bin","HOME=/","LC_ALL=C"] |
		.mounts += [{"destination":"/usr","type":"bind","source":"/usr","options":["rbind","ro"]},
			{"destination":"/etc/alternatives","type":"bind","source":"/etc/alternatives","options":["bind","ro"]},
			{"destination":"/tmp","type":"tmpfs","options":["size=64m"]},
			{"destination":"/work","type":"tmpfs","options":["size=128m"]}] |
		.linux.resources = {"memory":{"limit":402653184}}' "$work/bundle/config.json" >"$work/config"
	find_image
	ln -s "$image" "$work/vmlinuz"
	jq --arg k "$work/vmlinuz" '.vm.kernel.path = $k' "$work/config" >"$work/config.2" && mv "$work/config.2" "$work/config"
	cp "$work/config" "$work/bundle/config.json"
}

# in_host, in_container, in_guest SCRIPT
in_host() {
	(mkdir -p "$work/host" && cd "$work/host" && env -i PATH=/usr/bin:/bin HOME=/ LC_ALL=C sh -c "$1" </dev/null)
}

in_container() {
	brig_run '' "$1"
}

in_guest() {
	brig_run '--isolation vm' "$1"
}

# brig_run OPTIONS SCRIPT [JQ-EDIT]
brig_run() {
	jq --arg s "$2" '.process.args = ["sh", "-c", $s] | '"${3:-.}" "$work/config" >"$work/bundle/config.json"
	# shellcheck disable=SC2086
	"$build/cli/brig-oci" --root "$work/state" $1 run --bundle "$work/bundle" "bench-$RANDOM" </dev/null
}

# Programs, one a line: a name, then what is run. What they print depends on nothing but them.
programs_list() {
	cat <<'END'
busybox busybox sha256sum /usr/bin/busybox
coreutils seq 1 2000 | sort -r | uniq | tac | md5sum; printf '%s\n' b a c | shuf --random-source=/usr/bin/busybox; factor 360360
dd dd if=/usr/bin/busybox bs=1000 skip=3 count=50 2>/dev/null | cksum
tar mkdir t; echo x >t/a; ln -s a t/b; tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - t | sha256sum
gzip gzip -9cn /usr/bin/busybox | sha256sum; gzip -cn /usr/bin/busybox | gzip -dc | sha256sum
sed-awk seq 1 500 | sed -n 's/1/one/p' | awk '{ n += length($0) } END { printf "%d %.6f\n", n, exp(log(n)) }'
perl perl -MDigest::SHA=sha1_hex -e 'print sha1_hex(join ",", map { $_ ** 2 % 7919 } 1 .. 20000), "\n"; printf "%.12f\n", sqrt(2)'
python3 python3 -c 'import hashlib, json, math; print(hashlib.sha256(json.dumps([math.sin(i) for i in range(5000)]).encode()).hexdigest())'
gcc printf '#include <stdio.h>\n#include <math.h>\nint main(void){double s=0;for(int i=1;i<100000;i++)s+=1.0/i;printf("%%.15f\\n",s);}' >p.c; gcc -O2 -o p p.c && ./p
threads printf '#include <pthread.h>\n#include <stdio.h>\nstatic long n;static void *f(void*p){for(int i=0;i<100000;i++)__atomic_add_fetch(&n,1,5);return p;}int main(void){pthread_t t[4];for(int i=0;i<4;i++)pthread_create(t+i,0,f,0);for(int i=0;i<4;i++)pthread_join(t[i],0);printf("%%ld\\n",n);}' >t.c; gcc -O2 -pthread -o t t.c && ./t
signals sh -c 'trap "echo got" USR1; kill -USR1 $$; (exit 7); echo $?; sh -c "kill -9 \$\$"; echo $?'
pipes seq 1 100000 | tee w | tail -n 1; wc -l <w; seq 1 200000 | head -n 3 | wc -c
files umask 027; echo 1 >f; ln f g; chmod 4711 f; stat -c '%a %h %s %F' f g; mkfifo p1; stat -c %F p1; rm -f nothing; echo $?
END
}

# All of them in one start of each place, each in a folder of its own, with its exit status behind what it printed
programs_script() {
	local name script
	while read -r name script; do
		printf 'mkdir %s; cd %s; echo "== %s"\n(%s\n) 2>&1 </dev/null; echo "status $?"; cd ..\n' "$name" "$name" "$name" "$script"
	done < <(programs_list)
}

bench_equivalence() {
	local name script where same=0 count=0
	printf '\nequivalence: the same output\n'
	script=$(programs_script)
	for where in host container guest; do
		mkdir "$work/$where.out"
		"in_$where" "$script" 2>&1 | awk -v d="$work/$where.out/" '/^== / { f = d $2; next } { print >(f ? f : d "before") }' || :
	done
	rm -rf "$work/host"
	while read -r name _; do
		count=$((count + 1))
		if [ -s "$work/host.out/$name" ] && cmp -s "$work"/{host,container}.out/"$name" && cmp -s "$work"/{host,guest}.out/"$name"; then
			same=$((same + 1))
		else
			bad=1
			printf '  %s differs\n' "$name"
			tail -n 3 "$work"/{host,container,guest}.out/"$name" 2>&1 | sed 's/^/    /' || :
		fi
	done < <(programs_list)
	printf '  %d of %d programs\n' "$same" "$count"
}

# The work's own time, by the clock of where it runs, in ms: in one start all rounds of all works.
work_script() {
	cat <<'END'
now() { cut -d ' ' -f 1 /proc/uptime | tr -d .; }
measure() { a=$(now); "$@" >/dev/null; b=$(now); echo $(((b - a) * 10)); }
for round in $(seq ROUNDS); do
	measure sh -c 'head -c 32M /dev/zero | sha256sum'
	measure perl -e 'my $n = 0; for my $i (1 .. 2000000) { $n += $i % 7 }'
	measure python3 -c 'sorted((i * 7919) % 100003 for i in range(300000))'
	measure gzip -c /usr/bin/perl
	measure sh -c 'for i in $(seq 200); do /bin/true; done'
done
END
}

bench_efficiency() {
	local where script i
	local names=('hash 32 MiB' 'perl loop' 'python sort' 'gzip 4 MiB' '200 processes')
	printf '\nefficiency: user-space work in the time of its place, ms\n'
	script=$(work_script | sed "s/ROUNDS/$rounds/")
	for where in host container guest; do
		"in_$where" "$script" >"$work/$where.ms"
	done
	printf '  %-16s %8s %10s %8s %16s %12s\n' work host container guest container/host guest/host
	for i in "${!names[@]}"; do
		local h c g
		h=$(median_of host "$i") c=$(median_of container "$i") g=$(median_of guest "$i")
		printf '  %-16s %8s %10s %8s %16s %12s\n' "${names[i]}" "$h" "$c" "$g" "$(ratio "$c" "$h")" "$(ratio "$g" "$h")"
	done
}

# median_of WHERE INDEX: of the lines of one work
median_of() {
	# shellcheck disable=SC2046
	median $(awk -v at="$2" 'NR % 5 == (at + 1) % 5' "$work/$1.ms")
}

# limit WHAT TAKEN MOST UNIT
limit() {
	local word=holds
	awk -v a="$2" -v b="$3" 'BEGIN { exit !(a <= b) }' || { word='does not hold' && bad=1; }
	printf '  %-34s %10s of at most %10s %-6s %s\n' "$1" "$2" "$3" "$4" "$word"
}

# The cgroup of the container that is made next, on the host
control_cgroup() {
	echo "/sys/fs/cgroup/brig-properties"
}

bench_control() {
	local edit group start end usage
	group=$(control_cgroup)
	printf '\nresource control: what a guest that tries takes\n'

	# Memory: it fills what it can; the host's cgroup of the machine holds, the container alone is killed.
	edit='.linux.cgroupsPath = "/brig-properties" | .linux.resources = {"memory":{"limit":67108864}}'
	brig_watch "$group" memory 'cat /sys/fs/cgroup/memory.max; tail /dev/zero; echo "ended $?"; head -c 200M /dev/zero >/work/fill; echo filled' "$edit"
	limit 'memory of the machine, host' "$(mib_of "$work/memory.peak")" "$(mib_of "$work/memory.max")" MiB
	grep -q '^ended' "$work/out" || { echo "  the container did not go on after its OOM" && bad=1; }

	# CPU: as many loops as it likes.
	edit='.linux.cgroupsPath = "/brig-properties" | .linux.resources = {"cpu":{"quota":50000,"period":100000}}'
	start=$(cut -d ' ' -f 1 /proc/uptime)
	brig_watch "$group" cpu 'for i in 1 2 3 4; do (while :; do :; done) & done; sleep 20; kill $(jobs -p)' "$edit"
	end=$(cut -d ' ' -f 1 /proc/uptime)
	usage=$(awk '$1 == "usage_usec" { print $2 / 1e6 }' "$work/cpu.stat")
	limit 'cpu of the machine, s' "$usage" "$(awk -v a="$start" -v b="$end" 'BEGIN { print (b - a) * 0.5 + 1 }')" s
}

mib_of() {
	[ "$(cat "$1")" != max ] || { echo 0 && return; }
	awk '{ printf "%.1f", $1 / 1048576 }' "$1"
}

# brig_watch CGROUP WHAT SCRIPT EDIT: runs it and keeps the cgroup's numbers
brig_watch() {
	local group=$1 pid
	brig_run '--isolation vm' "$3" "$4" >"$work/out" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		for file in memory.peak memory.max cpu.stat; do
			cat "$group/$file" >"$work/$file.now" 2>/dev/null && [ -s "$work/$file.now" ] && mv "$work/$file.now" "$work/$file"
		done
		sleep 0.2
	done
	wait "$pid" || :
}

make_bundle
for what in $only; do "bench_$what"; done
exit "$bad"
