# A Debian root file system with real servers (nginx, redis, postgresql) for containers, made once.
# To be sourced by bash behind test.sh, or by make-servers.
# shellcheck shell=bash
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

servers_packages=nginx-light,redis-server,postgresql,python3-minimal,iproute2
servers_root=${BRIG_TEST_CACHE:-/var/cache/brig-test}/root-servers-$(sha256sum <<<"$servers_packages" | cut -c 1-12)

servers_make() {
	[ -d "$1" ] && return
	rm -rf "$1.new"
	mmdebstrap --quiet --mode=root --variant=minbase --format=directory --include="$servers_packages" \
		--aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		bookworm "$1.new" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) bookworm main" >&2 &&
		mv "$1.new" "$1"
}

# servers_image NAME: brig's image NAME of it
servers_image() {
	local dir=$servers_root
	[ -d "$dir" ] || fail "there is no $dir: tests/lib/make-servers makes it"
	touch "$dir"
	# Without what none of the tests needs
	tar -C "$dir" --exclude=./dev --exclude="*/libLLVM*" --exclude="*/bitcode" --exclude=./var/cache --exclude=./var/lib/apt --exclude=./var/lib/postgresql --exclude=./usr/share/locale \
		--exclude=./usr/share/i18n --exclude="*/gconv" --exclude=./usr/share/perl --exclude="*/perl" -c . |
		"$BRIG" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" import -q - "$1" >/dev/null
}
