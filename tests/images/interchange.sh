#!/bin/bash
# Images that brig writes, read by skopeo, umoci, podman and buildah, and theirs by brig: the same bytes.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

R=127.0.0.1:5000

podman() {
	command podman --root "$TEST_DIR/podman" --runroot "$TEST_DIR/podman-run" --storage-driver vfs --cgroup-manager cgroupfs "$@"
}

buildah() {
	command buildah --root "$TEST_DIR/podman" --runroot "$TEST_DIR/podman-run" --storage-driver vfs "$@"
}

# A policy that others want, in a file system of the test's own
setup_others() {
	need skopeo umoci podman buildah
	mount -t tmpfs tmpfs /run # podman notes events and locks there
	mkdir -p etc && cp -a /etc/containers etc/ 2>/dev/null || mkdir -p etc/containers
	echo '{"default":[{"type":"insecureAcceptAnything"}]}' >etc/containers/policy.json
	[ ! -d /etc/containers ] || mount --bind etc/containers /etc/containers
}

# The image "made:1" by brig commit: two layers, a removed file, links, a set-user-ID file
setup_made() {
	brig run --network none --name box busybox sh -c \
		'mkdir /d; echo x >/d/file; ln /d/file /d/hard; ln -s file /d/link; chown 12:34 /d/file; chmod 4755 /d/file; rm -f /etc/group' >/dev/null
	brig commit -q -c 'ENV A=b' -c 'LABEL l=m' -c 'CMD ["cat", "/d/file"]' box made:1 >/dev/null
	brig rm box >/dev/null
}

brig_digest() {
	brig image inspect --format '{{.Digest}}' "$1"
}

brig_id() {
	brig image inspect --format '{{.Id}}' "$1"
}

# assert_made DIR: the files of made:1
assert_made() {
	assert_eq "$(cat "$1/d/hard")" x "$1"
	assert_eq "$(stat -c '%u:%g %a %h' "$1/d/file")" "12:34 4755 2" "$1"
	assert_eq "$(readlink "$1/d/link")" file "$1"
	assert_no_file "$1/etc/group"
}

test_skopeo_and_umoci_read_ours() {
	setup_others
	setup_made
	local digest format
	digest=$(brig_digest made:1)
	for format in oci-archive oci-dir docker-archive; do
		brig save -q --format $format -o "saved-$format" made:1
	done
	assert_eq "$(skopeo inspect --format '{{.Digest}}' oci-archive:saved-oci-archive)" "$digest"
	skopeo copy -q docker-archive:saved-docker-archive dir:copied
	assert_eq "sha256:$(jq -r .config.digest copied/manifest.json | cut -d : -f 2)" "$(brig_id made:1)"
	jq -c '.manifests[0].annotations["org.opencontainers.image.ref.name"] = "t"' saved-oci-dir/index.json >index && mv index saved-oci-dir/index.json
	umoci unpack --image saved-oci-dir:t bundle 2>/dev/null
	assert_made bundle/rootfs
}

test_podman_and_buildah_read_ours() {
	setup_others
	setup_made
	start_registry
	brig push -q made:1 $R/made:1 >/dev/null
	assert_eq "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/made:1)" "$(brig_digest made:1)"
	podman pull -q --tls-verify=false $R/made:1 >/dev/null
	assert_eq "$(podman image inspect --format '{{.Digest}}' $R/made:1)" "$(brig_digest made:1)"
	assert_eq "sha256:$(podman image inspect --format '{{.Id}}' $R/made:1)" "$(brig_id made:1)"
	assert_made "$(podman image mount $R/made:1)"
	podman rmi -f $R/made:1 >/dev/null
	local format
	for format in oci-archive docker-archive; do
		brig save -q --format $format -o "saved-$format" made:1
		podman load -q -i "saved-$format" >/dev/null
		assert_eq "sha256:$(podman image inspect --format '{{.Id}}' localhost/made:1)" "$(brig_id made:1)" $format
		podman rmi -f localhost/made:1 >/dev/null
	done
	local container
	container=$(buildah from -q --tls-verify=false $R/made:1)
	assert_made "$(buildah mount "$container")"
	assert_eq "$(buildah inspect --format '{{.FromImageDigest}}' "$container")" "$(brig_digest made:1)"
	buildah rm "$container" >/dev/null
}

test_brig_reads_theirs() {
	setup_others
	setup_made
	start_registry
	brig push -q made:1 $R/made:1 >/dev/null
	local container format kind digest
	container=$(buildah from -q --tls-verify=false $R/made:1)
	echo theirs >"$(buildah mount "$container")/theirs"
	for format in oci docker; do
		buildah commit -q --format $format "$container" "localhost/theirs:$format" >/dev/null
		buildah push -q --tls-verify=false "localhost/theirs:$format" "docker://$R/theirs:$format"
		digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$R/theirs:$format")
		brig pull -q "$R/theirs:$format" >/dev/null
		assert_eq "$(brig_digest "$R/theirs:$format")" "$digest" "$format"
		assert_eq "$(brig run --network none --rm "$R/theirs:$format" cat /theirs /d/hard)" $'theirs\nx'
		# And out again, byte for byte.
		brig push -q "$R/theirs:$format" "$R/again:$format" >/dev/null
		assert_eq "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$R/again:$format")" "$digest"
	done
	buildah rm "$container" >/dev/null
	for kind in docker-archive oci-archive; do
		podman save -q --format $kind -o "theirs-$kind" localhost/theirs:oci
		brig rmi -f localhost/theirs:oci >/dev/null 2>&1 || :
		assert_runs brig load -q -i "theirs-$kind"
		assert_eq "$(brig run --network none --rm localhost/theirs:oci cat /theirs)" theirs $kind
	done
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-compress-format zstd --format oci \
		"docker://$R/theirs:oci" "oci:zstd:img"
	skopeo copy -q --dest-tls-verify=false oci:zstd:img "docker://$R/zstd:1"
	brig pull -q $R/zstd:1 >/dev/null
	assert_eq "$(brig run --network none --rm $R/zstd:1 cat /theirs)" theirs
	assert_eq "$(brig_digest $R/zstd:1)" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$R/zstd:1")"
}

# Variants, in an index that podman wrote
test_indexes_of_many_platforms() {
	setup_others
	setup_made
	start_registry
	local variant
	umoci init --layout parts
	for variant in v6 v7 v8; do
		umoci new --image parts:$variant
		umoci config --image parts:$variant --architecture arm --config.label v=$variant
		skopeo copy -q --dest-tls-verify=false oci:parts:$variant docker://$R/part:$variant
	done
	brig push -q made:1 $R/part:amd >/dev/null
	podman manifest create many >/dev/null
	for variant in v6 v7 v8; do
		podman manifest add --tls-verify=false --os linux --arch arm --variant $variant many docker://$R/part:$variant >/dev/null
	done
	podman manifest add --tls-verify=false --os linux --arch amd64 many docker://$R/part:amd >/dev/null
	podman manifest push -q --all --tls-verify=false many docker://$R/many:1 >/dev/null
	for variant in v6 v7; do
		brig pull -q --platform linux/arm/$variant $R/many:1 >/dev/null
		assert_eq "$(brig_digest $R/many:1)" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/part:$variant)" $variant
	done
	brig pull -q $R/many:1 >/dev/null
	assert_eq "$(brig_id $R/many:1)" "$(brig_id made:1)"
}

# A registry with a password behind TLS, for both
test_auth_and_tls() {
	setup_others
	setup_made
	need openssl docker-registry
	ip addr add 10.99.0.1/32 dev lo
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.crt -days 2 -subj /CN=10.99.0.1 \
		-addext subjectAltName=IP:10.99.0.1 2>/dev/null
	perl -e 'print "user:", crypt("pass", q($2b$05$abcdefghijklmnopqrstuu)), "\n"' >htpasswd
	cat >registry.yml <<-YML
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $TEST_DIR/registry}}
		auth: {htpasswd: {realm: test, path: $TEST_DIR/htpasswd}}
		http: {addr: "10.99.0.1:5443", tls: {certificate: $TEST_DIR/ca.crt, key: $TEST_DIR/key.pem}}
	YML
	docker-registry serve registry.yml >registry.log 2>&1 &
	wait_for 60 bash -c ': <>/dev/tcp/10.99.0.1/5443'
	mkdir certs && cp ca.crt certs/
	local S=10.99.0.1:5443
	export REGISTRY_AUTH_FILE=$TEST_DIR/auth.json
	assert_fails brig push -q --cert-dir certs made:1 $S/made:1
	assert_runs brig login --cert-dir certs -u user --password-stdin $S <<<pass
	assert_fails brig push -q made:1 $S/made:1
	assert_contains "$errors" certificate
	assert_runs brig push -q --cert-dir certs made:1 $S/made:1
	assert_eq "$(skopeo inspect --cert-dir certs --format '{{.Digest}}' docker://$S/made:1)" "$(brig_digest made:1)"
	podman pull -q --cert-dir certs $S/made:1 >/dev/null
	podman tag $S/made:1 $S/podman:1
	podman push -q --cert-dir certs $S/podman:1
	assert_runs brig pull -q --cert-dir certs $S/podman:1
	assert_eq "$(brig_id $S/podman:1)" "$(brig_id made:1)"
}

# What the registry has in another repository is mounted, not sent.
test_mounts_across_repositories() {
	setup_others
	setup_made
	need docker-registry
	cat >registry.yml <<-YML
		version: 0.1
		storage: {filesystem: {rootdirectory: $TEST_DIR/registry}}
		http: {addr: "$R"}
	YML
	docker-registry serve registry.yml >registry.log 2>&1 &
	wait_for 60 bash -c ': <>/dev/tcp/127.0.0.1/5000'
	brig push -q made:1 $R/first:1 >/dev/null
	brig tag made:1 $R/first:1
	: >registry.log
	brig push -q $R/first:1 $R/second:1 >/dev/null
	assert_eq "$(grep -c '"POST /v2/second/blobs/uploads/?[^"]*mount=[^"]*" 201' registry.log)" 3 "$(cat registry.log)"
	! grep -q '"P\(ATCH\|UT\) /v2/second/blobs' registry.log || fail "a blob was sent"
}

test_a_registry_that_is_down() {
	run brig pull $R/made:1
	assert_eq "$status" 1
	assert_eq "$(wc -l <<<"$errors")" 1
	assert_contains "$errors" "$R"
}

test_mirrors() {
	setup_others
	setup_made
	start_registry
	brig push -q made:1 $R/mirrored/made:1 >/dev/null
	cat >registries.conf <<-TOML
		[[registry]]
		location = "down.invalid"
		[[registry.mirror]]
		location = "127.0.0.1:5009/nobody"
		[[registry.mirror]]
		location = "$R/mirrored"
		insecure = true
	TOML
	CONTAINERS_REGISTRIES_CONF=$TEST_DIR/registries.conf assert_runs brig pull -q down.invalid/made:1
	assert_eq "$(brig_id down.invalid/made:1)" "$(brig_id made:1)"
}
