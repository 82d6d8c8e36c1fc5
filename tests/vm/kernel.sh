# Fetches Debian's cloud kernel and makes the initial RAM disk that boot uses. To be sourced after lib.sh.
# A finished $cache/kernel-VERSION/ holds vmlinuz, initrd and modules/RELEASE/.
# shellcheck shell=bash disable=SC2154

# kernel_prepare VERSION INIT: sets $kernel_dir; fetches only what is not cached
kernel_prepare() {
	kernel_dir=$cache/kernel-$1
	[ -e "$kernel_dir/vmlinuz" ] || with_lock "kernel-$1" kernel_fetch "$1"
	[ -e "$(kernel_index)" ] || with_lock "kernel-$1" modules_index
	kernel_initrd=$kernel_dir/initrd-$(sha256sum <"$2" | cut -c 1-16)
	[ -e "$kernel_initrd" ] || with_lock "kernel-$1" initrd_make "$2"
}

# apt with its own sources and lists, so that neither the host's lists nor its release matter
kernel_apt() {
	local state=$1 tool=$2
	shift 2
	"$tool" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$state/lists" -o Dir::Cache="$state" -o Acquire::Languages=none \
		-o APT::Sandbox::User=root -o APT::Update::Post-Invoke-Success= -qq "$@"
}

kernel_fetch() {
	local version=$1 new=$kernel_dir.new suite package release
	[ ! -e "$kernel_dir/vmlinuz" ] || return 0
	case $version in
	6.1) suite=bookworm ;;
	6.12) suite=bookworm-backports ;;
	*) die 125 "no kernel $version here: 6.1 or 6.12" ;;
	esac
	say "fetching Debian's cloud kernel $version ($suite) into $kernel_dir"
	rm -rf "$new" "$kernel_dir"
	mkdir -p "$new"/{apt/lists/partial,apt/archives/partial,deb}
	echo "deb [signed-by=$keyring] $(debian_mirror) $suite main" >"$new/apt/sources.list"
	kernel_apt "$new/apt" apt-get update || die 125 "apt-get update failed for $suite"
	package=$(kernel_apt "$new/apt" apt-cache depends linux-image-cloud-amd64 |
		sed -n "s/.*Depends: \(linux-image-${version}[.].*\)/\1/p")
	[ -n "$package" ] || die 125 "$suite has no cloud kernel $version"
	(cd "$new/apt" && kernel_apt . apt-get download "$package") || die 125 "cannot download $package"
	dpkg -x "$new"/apt/*.deb "$new/deb"
	release=$(basename "$new"/deb/lib/modules/*)
	mv "$new/deb/lib/modules" "$new/modules"
	cp "$new/deb/boot/vmlinuz-$release" "$new/vmlinuz"
	find "$new/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P "$(nproc)" xz -d
	rm -r "${new:?}"/{apt,deb}
	mv "$new" "$kernel_dir"
}

kernel_index() {
	echo "$kernel_dir"/modules/*/modules.dep.bin
}

# With kmod's indexes, which busybox does not write: the machine's own modprobe reads nothing else.
modules_index() {
	local tree
	[ ! -e "$(kernel_index)" ] || return 0
	tree=$(mktemp -d)
	mkdir "$tree/lib" && ln -s "$kernel_dir/modules" "$tree/lib/modules"
	depmod -b "$tree" "$(basename "$kernel_dir"/modules/*)"
	rm -r "$tree"
}

# kernel_module_closure NAME...: the files of the modules and of all they need; nothing for built-in ones
kernel_module_closure() {
	local modules=$1 name file
	shift
	for name; do
		file=$(sed -n "s,^\([^:]*/${name//[-_]/[-_]}[.]ko\):.*,\1,p" "$modules/modules.dep")
		[ -z "$file" ] || sed -n "s,^$file:,$file,p" "$modules/modules.dep" | tr ' ' '\n'
	done | sed '/^$/d' | sort -u
}

# The RAM disk only has to reach the host's files; every other module comes from there.
initrd_make() {
	local tree modules file
	[ ! -e "$kernel_initrd" ] || return 0
	modules=$(echo "$kernel_dir"/modules/*)
	tree=$(mktemp -d)
	mkdir -p "$tree"/{bin,proc,sys,dev,ro,rw,root,lib/modules/"$(basename "$modules")"}
	cp "$(command -v busybox)" "$tree/bin/busybox"
	cp "$1" "$tree/init"
	chmod 755 "$tree/init"
	kernel_module_closure "$modules" virtio_pci virtiofs virtio_console overlay | while read -r file; do
		(cd "$modules" && cp --parents "$file" "$tree/lib/modules/$(basename "$modules")")
	done
	busybox depmod -b "$tree" "$(basename "$modules")"
	(cd "$tree" && find . | cpio -o -H newc --quiet) >"$kernel_initrd.new"
	rm -rf "$tree"
	rm -f "$kernel_dir"/initrd-????????????????
	mv "$kernel_initrd.new" "$kernel_initrd"
}
