# The Debian packages that the project needs, and how they get installed: only what is missing, and
# `apt-get update` only then. To be sourced by bash (or run: tests/lib/packages.sh GROUP... installs).
# shellcheck shell=bash

# package_list GROUP: build the project | test it | demo | measure it beside its peers. Debian 13 moved virtiofsd out of QEMU.
package_list() {
	case $1 in
	build) echo gcc libc6-dev meson ninja-build pkg-config libjansson-dev libseccomp-dev libcap-dev \
		libbpf-dev libsystemd-dev libelf-dev zlib1g-dev libzstd-dev liblz4-dev libcmocka-dev \
		libcurl4-openssl-dev libssl-dev libisal-dev busybox-static ;;
	demo) echo busybox-static jq ;;
	bench) package_list test && echo bubblewrap iperf3 ;;
	test) package_list demo && echo e2fsprogs clang clang-format shellcheck qemu-system-x86 seabios cpio xz-utils kmod \
		mmdebstrap perl man-db gcc-aarch64-linux-gnu libc6-dev-arm64-cross binutils debian-archive-keyring procps iproute2 nftables uidmap util-linux libcap2-bin \
		crun runc criu strace python3 python3-jsonschema systemd ca-certificates openssl curl passt containernetworking-plugins docker-registry skopeo umoci fuse-overlayfs podman buildah libarchive-tools zstd tmux qemu-user-static \
		"$([ "$(debian_release)" = 12 ] && echo qemu-system-common || echo virtiofsd)" ;;
	*) echo "no group of packages $1" >&2 && return 1 ;;
	esac
}

debian_release() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "${VERSION_ID-}")
}

# packages_ensure GROUP...
packages_ensure() {
	local group package missing=()
	if ! command -v dpkg-query >/dev/null; then
		echo "this is no Debian: what is installed has to do" >&2
		return 0
	fi
	for group; do
		for package in $(package_list "$group"); do
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
		done
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	echo "installing: ${missing[*]}" >&2
	packages_install "${missing[@]}" >&2
}

packages_install() {
	local options=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
	apt-get "${options[@]}" update &&
		DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y --no-install-recommends "$@"
}

[ "${BASH_SOURCE[0]}" != "$0" ] || packages_ensure "$@"
