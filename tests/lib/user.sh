# brig for a user without privilege; to be sourced behind brig.sh.
# shellcheck shell=bash

# user_make: uid 1000 with subordinate ids, a home, an own store, and a host where everybody may open /dev/net/tun
user_make() {
	printf '1000:100000:65536\n' >subids
	mount --bind subids /etc/subuid && mount --bind subids /etc/subgid
	mkdir -p home/run && chown -R 1000:1000 home
	chmod 755 "$TEST_DIR" "$BRIG_LIBEXEC"
	mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200
}

user() {
	(cd home && setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all -- \
		env HOME="$TEST_DIR/home" XDG_RUNTIME_DIR="$TEST_DIR/home/run" timeout 60 "$BRIG" "$@")
}

# user_may_fuse: a host where everybody may open /dev/fuse, as on any with udev
user_may_fuse() {
	mknod -m 666 fuse c 10 229 && mount --bind fuse /dev/fuse
}
