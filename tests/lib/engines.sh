# Shared by the tests with container engines: what is built is installed as an administrator would, and
# there is a small image for each engine. $RUNTIME is the installed brig-oci; BRIG_OCI=crun or another
# name runs the same tests with that runtime, as proof that nothing in them is made for brig.
# To be sourced after test.sh. shellcheck shell=bash

engines_dir=/run/brig-engines
image=localhost/brig-test:latest

# engines_once NAME COMMAND...: runs the command in the first test of this boot that wants it
engines_once() {
	local done=$engines_dir/$1.done
	shift
	[ ! -e "$done" ] || return 0
	mkdir -p $engines_dir
	(
		flock 9
		[ -e "$done" ] || { "$@" >&2 && : >"$done"; } || exit 1
	) 9>"$done.lock" || fail "cannot prepare: $*"
}

# Every file of the build goes where `meson install` puts it.
install_build() {
	local from to
	while read -r from to; do
		[ ! -e "$from" ] || install -D "$from" "$to" || return 1
	done < <(jq -r 'to_entries[] | "\(.key) \(.value)"' "$BRIG_BUILD/meson-info/intro-installed.json")
}

make_image() {
	rootfs_make $engines_dir/rootfs && tar -C $engines_dir/rootfs -cf $engines_dir/image.tar .
}

# is_brig: whether the runtime under test is brig's
is_brig() {
	[[ $RUNTIME = */brig-oci ]]
}

# make_archive FILE NAME CONFIG: the image as `docker save` writes it, of one layer
make_archive() {
	local dir layer
	dir=$(mktemp -d $engines_dir/archive.XXXXXX) && cp $engines_dir/image.tar "$dir/layer.tar" || return
	layer=$(sha256sum <"$dir/layer.tar" | cut -d ' ' -f 1)
	jq -n --arg layer "sha256:$layer" "{architecture: \"amd64\", os: \"linux\", config: $3,
		rootfs: {type: \"layers\", diff_ids: [\$layer]}}" >"$dir/config.json"
	jq -n --arg name "$2" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$dir/manifest.json"
	tar -C "$dir" -cf "$1" manifest.json config.json layer.tar
}

# example FILE WORD: the block of code in that document of ours which has WORD in it
example() {
	local text
	text=$(awk -v word="$2" '/^```/ { if (inside && index(text, word)) { printf "%s", text; exit } inside = !inside; text = ""; next }
		{ text = text $0 "\n" }' "$BRIG_TEST_LIB/../../$1")
	[ -n "$text" ] || fail "$1 has no example with $2"
	sed "s,/usr/local/bin/brig-oci,$RUNTIME,g; s,^\(.*&& \)*brig-oci ,\1$(basename "$RUNTIME") ," <<<"$text"
}

# The box of README's five minutes, in the current folder
make_readme_box() {
	example README.md "mkdir -p box/rootfs/bin" | sed '/ run box-1/d' >make-box
	bash -e make-box
	cd box || fail "the README made no box"
}

# As docs/engines.md has it: the runtime under test is the default of podman and buildah.
configure_podman() {
	example docs/engines.md "[engine.runtimes]" >/etc/containers/containers.conf
}

# As docs/engines.md has it: the runtime under test is what Kubernetes calls "brig".
configure_containerd() {
	example docs/engines.md "version = 2" | sed '/^version/d' >>/etc/containerd/config.toml
	systemctl start containerd.service
}

# lines OUTPUT: without what a terminal adds: carriage returns, empty lines, the echo of the end of the input
lines() {
	tr -d '\r\0\004' <<<"$1" | sed 's/\^[@D]//g; /^$/d'
}

# in_terminal COMMAND: its words as one text, in a terminal of 40 rows and 100 columns
in_terminal() {
	script -qec "stty rows 40 cols 100; $1" /dev/null </dev/null
}

case $BRIG_OCI in
*/*)
	engines_once install install_build
	RUNTIME=$(jq -r 'to_entries[] | select(.key | endswith("/brig-oci")) | .value' \
		"$BRIG_BUILD/meson-info/intro-installed.json" | grep '/bin/brig-oci$')
	;;
*) RUNTIME=$(command -v "$BRIG_OCI") || fail "there is no runtime $BRIG_OCI" ;;
esac
engines_once image make_image
engines_once podman configure_podman
