#!/bin/bash
# Images for users without privilege: with subordinate ids, and with the own id alone.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

# setup_user RANGE: a registry with an image, and uid 1000 who has the subordinate ids RANGE ("": none)
setup_user() {
	start_registry
	make_layout layout
	skopeo copy -q --dest-tls-verify=false oci:layout:img docker://127.0.0.1:5000/a/b:1
	mkdir -p etc home
	chown 1000:1000 home
	chmod 755 "$TEST_DIR"
	grep -v ':1000:' /etc/passwd >etc/passwd
	echo 'tester:x:1000:1000::/:/bin/sh' >>etc/passwd
	echo "${1:+tester:$1}" | tee etc/subuid >etc/subgid
	local file
	for file in passwd subuid subgid; do
		touch /etc/$file
		mount --bind etc/$file /etc/$file
	done
}

# user_brig ARGUMENT...
user_brig() {
	setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all -- env -i HOME="$TEST_DIR/home" PATH="$PATH" \
		BRIG_LIBEXEC="$BRIG_BUILD/images" "$BRIG_BUILD/cli/brig" "$@"
}

layer_files() {
	find home/.local/share/brig/images/layers -path "*$1" -printf '%U:%G %m\n'
}

test_with_subordinate_ids() {
	need newuidmap
	setup_user 200000:65536
	assert_runs user_brig pull -q 127.0.0.1:5000/a/b:1
	assert_eq "$(layer_files bin/noise)" "200011:200033 4755"
	assert_eq "$(user_brig images --format '{{.Size}}')" 300kB
	user_brig save -o home/saved.tar a/b:1
	user_brig rmi a/b:1
	assert_eq "$(find home/.local/share/brig/images/layers -mindepth 1)" ""
	assert_runs user_brig load -i home/saved.tar
	assert_eq "$(layer_files bin/noise)" "200011:200033 4755"
}

test_with_the_own_id_alone() {
	setup_user ""
	assert_runs user_brig pull -q 127.0.0.1:5000/a/b:1
	assert_eq "$(layer_files bin/noise | cut -d ' ' -f 1)" 1000:1000
	assert_contains "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.containers.override_stat"))' \
		"$(find home/.local/share/brig/images/layers -name noise)")" 12:34:04755
	assert_runs user_brig rmi a/b:1
	assert_eq "$(find home/.local/share/brig/images/layers -mindepth 1)" ""
}

test_doctor_tells_what_to_do() {
	setup_user ""
	run user_brig doctor
	assert_contains "$output" "usermod --add-subuids"
	assert_contains "$output" "XDG_RUNTIME_DIR"
}
