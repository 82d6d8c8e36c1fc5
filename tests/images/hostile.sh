#!/bin/bash
# Registries that lie, stall, flood and redirect: one clear line, nothing half-made, and the next try resumes.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

pull() {
	images pull "127.0.0.1:5001/$1:1" "${@:2}"
}

test_every_lie_is_one_line() {
	start_hostile
	local case
	for case in wrongdigest:sha256 endless:more loop:redirects hugemanifest:more endlessmanifest:more \
		wrongtype:says ambiguous:once schema1:"schema 1" longer:more shorter: many:"too many" \
		diffid:"config says" dotdot:'".."' symlink:"symbolic link" garbage:inflate cut:"cut off"; do
		refused "${case#*:}" pull "${case%%:*}"
		assert_eq "$(images names)" "" "$case"
		assert_store_clean
		assert_eq "$(find store/layers -mindepth 1)" "" "$case"
	done
	[ ! -e escaped ] && [ ! -e /escaped ] || fail "escaped"
	pull good
}

test_bombs() {
	start_hostile
	LIMIT_BYTES=100000000 refused "bytes" pull bomb
	assert_store_clean
	assert_eq "$(images names)" ""
}

test_slow_drip_ends() {
	start_hostile
	export STALL_SECONDS=2 CONNECTIONS=1
	run timeout 60 "$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" pull 127.0.0.1:5001/drip:1
	assert_ne "$status" 0
	assert_ne "$status" 124 "it hung"
	assert_contains "$errors" stalled
}

test_flaky_goes_on() {
	start_hostile
	run pull flaky
	assert_eq "$status" 0 "$errors"
	assert_eq "$(awk '{print $3}' <<<"$output")" "$(stat -c %s store/blobs/sha256/* | sort -n | tail -n 1)" \
		"every byte came once"
}

test_server_without_ranges() {
	start_hostile
	pull norange
	assert_eq "$(grep -c '/v2/norange/blobs/.*bytes=' requests.log)" 1 "requests for the layer"
}

test_parallel_ranges() {
	start_hostile
	pull big
	assert_eq "$(grep -c '/v2/big/blobs/.*bytes=' requests.log)" 3 "one request for each chunk"
}

test_credentials_stay_home() {
	start_hostile
	echo '{"auths":{"127.0.0.1:5001":{"auth":"dXNlcjpwYXNz"}}}' >auth.json
	export REGISTRY_AUTH_FILE=$TEST_DIR/auth.json
	pull bearer
	pull basic
	grep -q '^GET /v2/bearer/manifests/1 Bearer secret-token' requests.log
	grep -q '^GET /v2/basic/manifests/1 Basic dXNlcjpwYXNz' requests.log
	STORE=$TEST_DIR/second pull foreign
	grep -q '^foreign GET /v2/foreign' requests.log
	! grep '^foreign .* \(Basic\|Bearer\)' requests.log || fail "credentials went to a foreign host"
	echo '{}' >auth.json
	STORE=$TEST_DIR/third
	refused "log in" pull basic
	refused "log in" pull bearer
}

test_credential_helper() {
	start_hostile
	mkdir bin
	cat >bin/docker-credential-test <<-'SH'
		#!/bin/sh
		read -r server
		echo "$server $*" >>"$HOME/asked"
		echo '{"Username":"user","Secret":"pass"}'
	SH
	chmod +x bin/docker-credential-test
	echo '{"credHelpers":{"127.0.0.1:5001":"test"}}' >auth.json
	HOME=$TEST_DIR REGISTRY_AUTH_FILE=$TEST_DIR/auth.json PATH=$TEST_DIR/bin:$PATH pull basic
	assert_eq "$(cat asked)" "127.0.0.1:5001 get"
}

test_certificates() {
	need openssl
	ip addr add 10.99.0.1/32 dev lo
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=10.99.0.1 \
		-addext subjectAltName=IP:10.99.0.1 2>/dev/null
	start_hostile 10.99.0.1 cert.pem key.pem
	refused certificate images pull 10.99.0.1:5001/good:1
	CA_FILE=cert.pem images pull 10.99.0.1:5001/good:1
	INSECURE=1 STORE=$TEST_DIR/second images pull 10.99.0.1:5001/good:1
	mount -t tmpfs none /etc/ssl/certs
	STORE=$TEST_DIR/third refused ca-certificates images pull 10.99.0.1:5001/good:1
}

# From https there is no way to http, and no plain http to begin with.
test_no_plain_http() {
	ip addr add 10.99.0.1/32 dev lo
	start_hostile 10.99.0.1
	refused 10.99.0.1 images pull 10.99.0.1:5001/good:1
	assert_eq "$(grep -c . requests.log || :)" 0 "requests in the clear"
	INSECURE=1 images pull 10.99.0.1:5001/good:1
}

# pull_held: in the background, as its last command it is what a signal reaches
pull_held() {
	exec "$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" pull 127.0.0.1:5001/held:1
}

# has_part BYTES: at least so many of a blob have come, by the count that a next try goes by
has_part() {
	[ "$(cat store/parts/*.map 2>/dev/null | od -An -v -tu4 | awk '{for (i = 1; i <= NF; i++) n += $i} END {print n + 0}')" -ge "$1" ]
}

# kill -9 at twenty moments of a pull: nothing half-made, and in the end every byte came about once. The registry keeps
# the end back until then, so that no pull is complete before its kill.
test_killed_and_resumed() {
	start_hostile
	touch hold
	local i received blob
	for i in {1..20}; do
		run timeout -s KILL "0.$((10 + i * 3))" "$BRIG_BUILD/images/images-driver" store \
			"$BRIG_BUILD/images/brig-unpack" pull 127.0.0.1:5001/held:1
		assert_eq "$status" 137 "a pull that was not killed"
		assert_eq "$(images names)" ""
		# What is there is whole, whenever the kill came.
		for blob in store/blobs/sha256/*; do
			[ ! -f "$blob" ] || assert_eq "$(sha256sum <"$blob" | cut -d ' ' -f 1)" "${blob##*/}" "a blob that was not finished"
		done
	done
	# On a machine that is slow enough no byte has come so far.
	pull_held &
	wait_for 60 has_part 1000000
	kill -KILL $!
	wait $! || :
	assert_eq "$(images names)" ""
	rm hold
	run pull held
	assert_eq "$status" 0 "$errors"
	received=$(awk '{print $3}' <<<"$output")
	[ "$received" -lt 41943040 ] || fail "nothing was resumed: $received"
	images collect
	assert_store_clean
	assert_eq "$(ps -e -o comm | grep -c brig-unpack || :)" 0
}

# Bytes of an earlier try that are wrong cost one more download, not the pull.
test_spoiled_part() {
	start_hostile
	local part
	"$BRIG_BUILD/images/images-driver" store "$BRIG_BUILD/images/brig-unpack" pull 127.0.0.1:5001/slow:1 &
	wait_for 60 has_part 1000000
	kill -KILL $!
	wait $! || :
	part=$(find store/parts -type f -not -name '*.map' -size +1000k)
	printf spoiled | dd of="$part" bs=1 seek=1000 conv=notrunc status=none
	pull slow
	assert_store_clean
}

test_full_disk() {
	start_hostile
	mkdir store
	mount -t tmpfs -o size=30m tmpfs store
	refused "room" pull big
	assert_eq "$(images names)" ""
	umount store
	mount -t tmpfs -o size=60m tmpfs store
	refused "No space" pull big
	assert_eq "$(images names)" ""
	assert_store_clean
	mount -o remount,size=200m store
	pull big
	umount store
}
