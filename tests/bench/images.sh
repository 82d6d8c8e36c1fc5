#!/bin/bash
# What a pull costs: brig beside podman and skopeo+umoci, and what many images cost a start.
# usage: tests/bench/images.sh [--rounds N] [--mib N] [--images N] [--only WORDS]
#
#   --rounds N    times that the programs take turns (3)
#   --mib N       size of the unpacked image (640)
#   --images N    how many images the store has in the end (1000)
#   --only WORDS  of: pull many (all)
#
# Everybody pulls the same image of eight gzip layers, half of it files of this machine's /usr, half of it
# noise, from Debian's docker-registry on loopback, into an empty store on the same disk, and unpacks it.
# Wall times are medians over turns that are interleaved; they are shown and never judged. As root, from
# Debian: docker-registry, skopeo, umoci, and podman if its column is wanted.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=${BRIG_BUILD:-$(realpath "$here/../../build")}

rounds=3 mib=640 images=1000 only='pull many'
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--mib) mib=$2 && shift ;;
	--images) images=$2 && shift ;;
	--only) only=$2 && shift ;;
	--inside) inside=1 ;;
	*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done

if [ -z "${inside-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "run it as root" >&2 && exit 1; }
	for tool in docker-registry skopeo umoci; do
		command -v $tool >/dev/null || { echo "$tool is missing" >&2 && exit 1; }
	done
	exec unshare --mount --net --pid --fork --mount-proc --propagation private \
		"$0" --inside --rounds "$rounds" --mib "$mib" --images "$images" --only "$only"
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/brig-bench-images.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
ip link set lo up
R=127.0.0.1:5000

brig() {
	BRIG_LIBEXEC=$build/images "$build/cli/brig" --root "$work/data" --runroot "$work/run" "$@"
}

start_registry() {
	cat >registry.yml <<-YML
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $work/registry}}
		http: {addr: "$R"}
	YML
	docker-registry serve registry.yml >registry.log 2>&1 &
	until (: <>/dev/tcp/127.0.0.1/5000) 2>/dev/null; do sleep 0.05; done
}

# The image $R/big:1 of eight layers
make_image() {
	local i size=$((mib / 8)) used
	find /usr -xdev -type f -size -2048k -printf '%s %p\n' 2>/dev/null | sort -k 2 >files
	umoci init --layout layout
	umoci new --image layout:big
	for i in {0..7}; do
		mkdir "layer$i"
		if [ $((i % 2)) = 0 ]; then
			# The next files of the machine until the layer is full.
			awk -v skip=$(((i & ~1) * size << 19)) -v want=$((size << 20)) '{ at += $1 }
				at > skip && at <= skip + want { print $2 }' files >chosen
			tar -cf - --no-recursion -T chosen 2>/dev/null | tar -C "layer$i" -xf - || :
		else
			mkdir -p "layer$i/noise"
			for used in $(seq 0 $((size * 4 - 1))); do
				head -c 262144 /dev/urandom >"layer$i/noise/$used"
			done
		fi
		tar -C "layer$i" -cf layer.tar .
		umoci raw add-layer --image layout:big layer.tar
		rm -rf "layer$i" layer.tar
	done
	skopeo copy -q --dest-tls-verify=false oci:layout:big "docker://$R/big:1"
	rm -rf layout
}

# --- the programs: each pulls and unpacks into an empty store, and then removes it

brig_pull() {
	brig pull -q $R/big:1 >/dev/null
}
brig_clean() {
	rm -rf data run
}

podman_pull() {
	podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver overlay pull -q --tls-verify=false $R/big:1 >/dev/null
}
podman_clean() {
	umount podman/overlay 2>/dev/null || :
	rm -rf podman podman-run
}

skopeo_umoci_pull() {
	skopeo copy -q --src-tls-verify=false docker://$R/big:1 oci:pulled:big
	umoci unpack --image pulled:big bundle >/dev/null
}
skopeo_umoci_clean() {
	rm -rf pulled bundle
}

# once COMMAND...: its wall time in milliseconds
once() {
	local start=${EPOCHREALTIME/./}
	"$@"
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

bench_pull() {
	local programs=(brig skopeo_umoci) round program
	! command -v podman >/dev/null || programs+=(podman)
	make_image
	echo "image: $(du -sm registry | cut -f 1) MiB compressed, $mib MiB unpacked, 8 layers"
	for ((round = 0; round < rounds; round++)); do
		for program in "${programs[@]}"; do
			sync
			once "${program}_pull" | tee -a "times.$program" | sed "s/^/# $program /" >&2
			"${program}_clean"
		done
	done
	local ours
	ours=$(median <times.brig)
	printf '%-16s %10s %18s\n' "pull and unpack" "ms" "brig/this (≤0.5)"
	for program in "${programs[@]}"; do
		awk -v name="$program" -v ours="$ours" -v it="$(median <"times.$program")" \
			'BEGIN { printf "%-16s %10d %18.2f\n", name, it, ours / it }'
	done
}

# What looking at one image costs when the store has 1, 10, … images
bench_many() {
	local count=0 next
	mkdir root && echo x >root/file && tar -C root -cf root.tar .
	printf '%-16s %14s %14s\n' "images" "inspect one, ms" "list all, ms"
	for next in 1 10 100 "$images"; do
		while [ $count -lt "$next" ]; do
			echo $count >root/file
			tar -C root -cf root.tar .
			brig import -q root.tar "many:$count" >/dev/null
			count=$((count + 1))
		done
		printf '%-16s %14s %14s\n' "$count" \
			"$(for _ in {1..9}; do once brig image inspect -f x localhost/many:0 | tail -n 1; done | median)" \
			"$(for _ in {1..5}; do once eval 'brig images >/dev/null'; done | median)"
	done
}

start_registry
[[ " $only " != *" pull "* ]] || bench_pull
[[ " $only " != *" many "* ]] || bench_many
kill %1
