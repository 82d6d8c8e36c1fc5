# What tests of images share; sourced after test.sh. Servers listen on the loopback of the test's own
# network namespace and end with it.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/test.sh"

IMAGES_TESTS=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../images")

# images VERB ARGUMENT...: the library on the store of this test
images() {
	"$BRIG_BUILD/images/images-driver" "${STORE:-$TEST_DIR/store}" "$BRIG_BUILD/images/brig-unpack" "$@"
}

# brig ARGUMENT...: brig from the build folder, with all that it keeps in the test's folder
brig() {
	BRIG_LIBEXEC=$BRIG_BUILD/images "$BRIG_BUILD/cli/brig" --root "$TEST_DIR/data" --runroot "$TEST_DIR/run" "$@"
}

# need PROGRAM...: from Debian's packages
need() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "there is no $program"
	done
}

# start_registry [YML-LINE...]: Debian's docker-registry on 127.0.0.1:5000
start_registry() {
	need docker-registry skopeo
	cat >registry.yml <<-YML
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $TEST_DIR/registry}, delete: {enabled: true}}
		http: {addr: "127.0.0.1:5000"}
	YML
	printf '%s\n' "$@" >>registry.yml
	docker-registry serve registry.yml >registry.log 2>&1 &
	wait_for 60 bash -c ': <>/dev/tcp/127.0.0.1/5000'
}

# start_hostile [ADDRESS [CERTIFICATE KEY [CLIENT-CA]]]: on port 5001, its requests in requests.log
start_hostile() {
	need python3
	mkfifo hostile.in
	# Its input stays open for as long as this shell is there.
	exec 9<>hostile.in
	python3 "$IMAGES_TESTS/hostile-registry.py" "${1:-127.0.0.1}" 5001 requests.log "${@:2}" \
		<hostile.in >hostile.out 2>hostile.err 9>&- &
	wait_for 60 grep -q ready hostile.out
}

# start_registry_with_password: the same, for user and pass only
start_registry_with_password() {
	perl -e 'print "user:", crypt("pass", q($2b$05$abcdefghijklmnopqrstuu)), "\n"' >htpasswd
	start_registry "auth: {htpasswd: {realm: test, path: $TEST_DIR/htpasswd}}"
}

# make_layout DIR: a layout "DIR:img" of two layers, with whiteouts and links
make_layout() {
	need umoci
	rm -rf "$1" one two
	mkdir -p one/etc one/bin one/opaque two/etc two/opaque
	echo hello >one/etc/motd
	ln one/etc/motd one/etc/hard
	ln -s motd one/etc/link
	echo old >one/opaque/old
	head -c 300000 /dev/urandom >one/bin/noise
	chown 12:34 one/bin/noise
	chmod 4755 one/bin/noise
	chmod 711 two
	echo new >two/etc/new
	touch two/etc/.wh.motd two/opaque/.wh..wh..opq
	echo fresh >two/opaque/fresh
	umoci init --layout "$1"
	umoci new --image "$1:img"
	local layer
	for layer in one two; do
		tar -C "$layer" -cf "$layer.tar" .
		umoci raw add-layer --image "$1:img" "$layer.tar"
	done
}

# assert_store_clean: nothing on its way
assert_store_clean() {
	assert_eq "$(find "${STORE:-$TEST_DIR/store}"/{staging,trash} -mindepth 1 | head -n 3)" ""
}

# refused WORD COMMAND...: fails with one line that has WORD
refused() {
	run "${@:2}"
	assert_ne "$status" 0 "${*:2}"
	assert_eq "$(wc -l <<<"$errors")" 1 "lines of error"
	assert_contains "$errors" "$1" "${*:2}"
}
