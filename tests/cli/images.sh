#!/bin/bash
# brig's verbs about images, against a real registry and other engines' tools.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

R=127.0.0.1:5000

# A registry with $R/a/b:1
setup_registry() {
	start_registry
	make_layout layout
	skopeo copy -q --dest-tls-verify=false oci:layout:img "docker://$R/a/b:1"
}

# The image localhost/layout:img without any registry
setup_image() {
	make_layout layout
	brig load -q -i layout >/dev/null
}

test_pull_says_what_docker_says() {
	setup_registry
	assert_runs brig pull $R/a/b:1
	local digest
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/a/b:1)
	assert_eq "$output" "Digest: $digest
Status: Downloaded newer image for $R/a/b:1
$R/a/b:1"
	assert_eq "$errors" "" "progress that is not on a terminal"
	assert_runs brig pull $R/a/b:1
	assert_contains "$output" "Status: Image is up to date for $R/a/b:1"
	assert_runs brig pull --quiet "$R/a/b@$digest"
	assert_eq "$output" "$(skopeo inspect --raw --tls-verify=false docker://$R/a/b:1 | jq -r .config.digest)"
	run brig pull $R/nothing:1
	assert_eq "$status" 1
	assert_eq "$errors" "brig: $R/nothing: not found (manifest unknown)"
	assert_status 125 brig pull
	assert_status 125 brig pull --wrong x
	assert_status 1 brig pull "UPPER CASE"
}

test_pull_of_all_tags() {
	setup_registry
	skopeo copy -q --dest-tls-verify=false oci:layout:img "docker://$R/a/b:2"
	assert_runs brig pull -aq $R/a/b
	assert_eq "$(brig images --format '{{.Tag}}' | sort)" $'1\n2'
	assert_fails brig pull --all-tags $R/a/b:1
}

test_platforms() {
	setup_registry
	umoci init --layout multi
	umoci new --image multi:arm
	umoci config --image multi:arm --architecture arm64
	skopeo copy -q --dest-tls-verify=false --override-arch arm64 oci:multi:arm "docker://$R/arm:1"
	local arm amd
	arm=$(skopeo inspect --raw --tls-verify=false docker://$R/arm:1 | sha256sum | cut -d ' ' -f 1)
	amd=$(skopeo inspect --raw --tls-verify=false docker://$R/a/b:1 | sha256sum | cut -d ' ' -f 1)
	jq -n --arg arm "sha256:$arm" --arg amd "sha256:$amd" \
		--argjson n "$(skopeo inspect --raw --tls-verify=false docker://$R/arm:1 | wc -c)" \
		--argjson m "$(skopeo inspect --raw --tls-verify=false docker://$R/a/b:1 | wc -c)" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $arm, size: $n, platform: {os: "linux", architecture: "arm64"}},
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $amd, size: $m, platform: {os: "linux", architecture: "amd64"}}]}' >index.json
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --override-arch arm64 docker://$R/arm:1 "docker://$R/both:arm"
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://$R/a/b:1 "docker://$R/both:amd"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @index.json "http://$R/v2/both/manifests/1"
	brig pull -q --platform linux/arm64 $R/both:1
	assert_eq "$(brig image inspect --format '{{.Architecture}}' $R/both:1)" arm64
	brig pull -q --arch amd64 --os linux $R/both:1
	assert_eq "$(brig image inspect --format '{{.Architecture}}' $R/both:1)" amd64
	run brig pull --arch s390x $R/both:1
	assert_eq "$status" 1
	assert_contains "$errors" s390x
	assert_fails brig pull --os linux $R/both:1
	assert_fails brig pull --arch arm --variant v5 $R/both:1
}

test_push_and_other_readers() {
	start_registry
	setup_image
	assert_runs brig push layout:img $R/new/one:1
	local digest
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/new/one:1)
	assert_matches "$output" "^$R/new/one:1: digest: $digest size: [0-9]+$"
	assert_eq "$digest" "$(brig image inspect --format '{{.Digest}}' layout:img)" "byte-exact"
	brig tag layout:img $R/new/one:2 $R/new/one:3
	assert_runs brig push --all-tags --quiet --digestfile digest $R/new/one
	assert_eq "$output" $"$R/new/one:2
$R/new/one:3"
	assert_eq "$(cat digest)" "$digest"
	assert_eq "$(brig search --list-tags --format '{{.Tag}}' $R/new/one | sort)" $'1\n2\n3'
	assert_eq "$(brig search $R/new)" $"NAME
$R/new/one"
	assert_eq "$(brig search --limit 1 --format json $R/ | jq -r .Name)" "$R/new/one"
	assert_fails brig push localhost/layout:img
	assert_contains "$errors" "this machine's own store"
	assert_fails brig push nothing:1 $R/x:1
	assert_contains "$errors" "no such image"
}

test_login() {
	start_registry_with_password
	setup_image
	export REGISTRY_AUTH_FILE=$TEST_DIR/auth.json
	run brig push layout:img $R/x:1
	assert_eq "$status" 1
	run brig login -u user --password-stdin $R <<<wrong
	assert_eq "$status" 1
	assert_no_file auth.json
	assert_runs brig login -u user --password-stdin $R <<<pass
	assert_eq "$output" "Login Succeeded"
	assert_eq "$(stat -c %a auth.json)" 600
	assert_eq "$(brig login --get-login $R)" user
	assert_runs brig push layout:img $R/x:1
	skopeo inspect --authfile auth.json --tls-verify=false docker://$R/x:1 >/dev/null || fail "skopeo cannot use the credentials"
	assert_runs brig logout $R
	assert_eq "$output" "Removed login credentials for $R"
	assert_fails brig pull $R/x:1
	assert_fails brig logout $R
	skopeo login --authfile auth.json --tls-verify=false -u user -p pass $R >/dev/null
	assert_runs brig pull -q $R/x:1
	assert_runs brig logout --all
	assert_fails brig login --get-login $R
	assert_runs brig pull -q --creds user:pass $R/x:1
	assert_runs brig login --authfile other.json -u user -p pass $R
	assert_contains "$errors" "--password-stdin"
	assert_runs brig pull -q --authfile other.json $R/x:1
	assert_fails brig push layout:img $R/y:1
	assert_runs brig push -q --creds user:pass layout:img $R/y:1
	assert_runs brig push -q --authfile other.json layout:img $R/z:1
	assert_fails brig search $R/
	assert_contains "$(brig search --creds user:pass $R/)" $R/y
	assert_contains "$(brig search --authfile other.json $R/)" $R/z
	assert_runs brig logout --authfile other.json $R
	assert_fails brig pull -q --authfile other.json $R/x:1
	# Without a terminal there is nobody to ask.
	assert_fails brig login $R
}

test_tls() {
	need openssl
	ip addr add 10.99.0.1/32 dev lo
	mkdir certs
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certs/ca.crt -days 2 -subj /CN=10.99.0.1 \
		-addext subjectAltName=IP:10.99.0.1 2>/dev/null
	start_hostile 10.99.0.1 certs/ca.crt key.pem
	assert_fails brig pull 10.99.0.1:5001/good:1
	assert_contains "$errors" certificate
	assert_runs brig pull -q --cert-dir certs 10.99.0.1:5001/good:1
	assert_runs brig pull -q --tls-verify=false 10.99.0.1:5001/good:1
	mkdir -p "$TEST_DIR/home/.config/containers/certs.d/10.99.0.1:5001"
	cp certs/ca.crt "$TEST_DIR/home/.config/containers/certs.d/10.99.0.1:5001/"
	HOME=$TEST_DIR/home assert_runs brig pull -q 10.99.0.1:5001/good:1
}

# Loopback may do without TLS, unless somebody asks for it
test_tls_of_loopback() {
	need openssl
	setup_registry
	assert_runs brig pull -q $R/a/b:1
	assert_runs brig pull -q --tls-verify=false $R/a/b:1
	assert_fails brig pull -q --tls-verify=true $R/a/b:1
	assert_fails brig pull -q --tls-verify $R/a/b:1
	assert_fails brig push -q --tls-verify $R/a/b:1 $R/c:1
	assert_fails brig search --tls-verify $R/a
	assert_runs brig search $R/a
	kill %1 && wait %1 || :
	mkdir certs
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certs/ca.crt -days 2 -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 2>/dev/null
	export REGISTRY_HTTP_TLS_CERTIFICATE=$TEST_DIR/certs/ca.crt REGISTRY_HTTP_TLS_KEY=$TEST_DIR/key.pem
	start_registry
	assert_runs brig pull -q $R/a/b:1
	assert_fails brig pull -q --tls-verify $R/a/b:1
	assert_contains "$errors" certificate
	assert_runs brig pull -q --tls-verify --cert-dir certs $R/a/b:1
	assert_runs brig push -q --tls-verify --cert-dir certs $R/a/b:1 $R/c:1
}

test_search_by_tls() {
	local registry=10.99.0.1:5000
	need openssl
	ip addr add 10.99.0.1/32 dev lo
	mkdir certs
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certs/ca.crt -days 2 -subj /CN=10.99.0.1 \
		-addext subjectAltName=IP:10.99.0.1 2>/dev/null
	export REGISTRY_HTTP_TLS_CERTIFICATE=$TEST_DIR/certs/ca.crt REGISTRY_HTTP_TLS_KEY=$TEST_DIR/key.pem
	export REGISTRY_HTTP_ADDR=:5000
	start_registry
	setup_image
	assert_runs brig push -q --cert-dir certs layout:img $registry/new/one:1
	assert_contains "$(brig search --cert-dir certs $registry/new)" $registry/new/one
	assert_contains "$(brig search --tls-verify=false $registry/new)" $registry/new/one
	assert_fails brig search $registry/new
	assert_contains "$errors" certificate
}

# certificate NAME [ARGUMENT...]: NAME.cert and NAME.key of 10.99.0.1, signed by themselves
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.cert" -days 2 -subj "/CN=$(basename "$1")" \
		-addext subjectAltName=IP:10.99.0.1 2>/dev/null
}

test_client_certificates() {
	need openssl
	ip addr add 10.99.0.1/32 dev lo
	certificate server
	mkdir certs
	certificate certs/client
	start_hostile 10.99.0.1 server.cert server.key certs/client.cert
	cp server.cert certs/ca.crt
	mv certs/client.key kept.key
	assert_fails brig pull -q --cert-dir certs 10.99.0.1:5001/good:1
	assert_contains "$errors" "its key certs/client.key is missing"
	mkdir only-ca && cp server.cert only-ca/ca.crt
	assert_fails brig pull -q --cert-dir only-ca 10.99.0.1:5001/good:1
	mv kept.key certs/client.key
	assert_runs brig pull -q --cert-dir certs 10.99.0.1:5001/good:1
	mkdir -p home/.config/containers/certs.d
	cp -r certs home/.config/containers/certs.d/10.99.0.1:5001
	brig rmi --all >/dev/null
	HOME=$TEST_DIR/home assert_runs brig pull -q 10.99.0.1:5001/good:1
	# Where a redirect leads nobody learns who we are.
	brig rmi --all >/dev/null
	HOME=$TEST_DIR/home assert_runs brig pull -q 10.99.0.1:5001/foreign:1
	grep -q '^foreign GET' requests.log
	! grep '^certified' requests.log || fail "a foreign host got the certificate"
}

test_registries_conf() {
	setup_registry
	cat >registries.conf <<-TOML
		unqualified-search-registries = ["$R"]
		[[registry]]
		prefix = "example.com/a"
		location = "$R/a"
		[[registry]]
		prefix = "blocked.example"
		blocked = true
		location = "blocked.example"
	TOML
	export CONTAINERS_REGISTRIES_CONF=$TEST_DIR/registries.conf
	assert_runs brig pull -q a/b:1
	assert_eq "$(brig images --format '{{.Repository}}')" "$R/a/b"
	assert_runs brig pull -q example.com/a/b:1
	assert_fails brig pull blocked.example/x
	assert_contains "$errors" "blocked in registries.conf"
}

test_policy() {
	setup_registry
	echo '{"default":[{"type":"reject"}],"transports":{"docker":{"'$R'/a":[{"type":"insecureAcceptAnything"}],"'$R'/signed":[{"type":"signedBy"}]}}}' >policy.json
	assert_runs brig pull -q --signature-policy policy.json $R/a/b:1
	assert_fails brig pull --signature-policy policy.json $R/other:1
	assert_contains "$errors" "rejects it"
	assert_fails brig pull --signature-policy policy.json $R/signed/x:1
	assert_contains "$errors" "brig cannot check"
	assert_fails brig load --signature-policy policy.json -i layout
}

test_warnings_are_shown_once() {
	start_hostile
	run brig pull 127.0.0.1:5001/warning:1
	assert_eq "$status" 0 "$errors"
	assert_contains "$errors" 'this image is "really" going to go away'
	assert_eq "$(grep -c 'go away' <<<"$errors")" 1
}

test_images() {
	setup_image
	brig tag layout:img other/name:v1
	local id
	id=$(brig image inspect --format '{{.Id}}' layout:img)
	assert_runs brig images
	assert_matches "$output" "^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE
localhost/layout +img +${id:7:12} +.*ago +300kB
localhost/other/name +v1 +${id:7:12} "
	assert_contains "$(brig images --digests)" DIGEST
	assert_eq "$(brig images -q)" "${id:7:12}"
	assert_eq "$(brig images -q --no-trunc)" "$id"
	assert_eq "$(brig images -qa)" "${id:7:12}"
	assert_eq "$(brig images --format '{{.Repository}}:{{.Tag}}' layout)" "" "as docker: the whole name"
	assert_eq "$(brig images --format '{{.Repository}}:{{.Tag}}' localhost/layout)" localhost/layout:img
	assert_eq "$(brig images --format json | jq -rs '.[1].Tag')" v1
	assert_eq "$(brig images --noheading | wc -l)" 2
	assert_eq "$(brig image ls --format 'table {{.Tag}}')" $'TAG\nimg\nv1'
	assert_eq "$(brig images -f reference='*/other/*' --format '{{.Tag}}')" v1
	assert_eq "$(brig images -f dangling=true -q)" ""
	assert_eq "$(brig images -f since=layout:img -q)" ""
	assert_eq "$(brig images -f until=24h -q)" ""
	assert_eq "$(brig images -f id="${id:7:5}" -q)" "${id:7:12}"
	assert_eq "$(brig images -f label=x=y -q)" ""
	assert_eq "$(brig images -f before=layout:img -q)" ""
	assert_fails brig images -f nonsense=1
	assert_fails brig images --format '{{.Nothing}}'
	assert_runs brig image exists layout:img
	assert_status 1 brig image exists layout:none
	assert_eq "$errors" ""
}

test_inspect_and_history() {
	setup_image
	assert_runs brig inspect layout:img
	assert_eq "$(jq -r '.[0] | [.Os, .RootFS.Type, (.RootFS.Layers | length), .RepoTags[0]] | @csv' <<<"$output")" \
		'"linux","layers",2,"localhost/layout:img"'
	assert_eq "$(brig image inspect --format '{{.Os}}/{{len .RootFS.Layers}}' layout:img)" linux/2
	run brig inspect layout:img nothing
	assert_eq "$status" 1
	assert_eq "$(jq length <<<"$output")" 1
	assert_contains "$errors" "no such object: nothing"
	assert_fails brig inspect --type volume layout:img
	assert_runs brig history layout:img
	assert_matches "$output" "^IMAGE +CREATED +CREATED BY +SIZE +COMMENT"
	assert_eq "$(brig history --format '{{.Size}}' layout:img | tail -n 1)" 300kB
	assert_matches "$(brig history --human=false --format '{{.Size}} {{.CreatedSince}}' layout:img | tail -n 1)" '^3000[0-9]+ 20'
	assert_eq "$(brig history -q --no-trunc layout:img | head -n 1)" "$(brig image inspect --format '{{.Id}}' layout:img)"
}

test_tag_and_rmi() {
	setup_image
	brig tag layout:img one two:2
	assert_eq "$(brig images --format '{{.Repository}}:{{.Tag}}' | sort | xargs)" \
		"localhost/layout:img localhost/one:latest localhost/two:2"
	assert_runs brig rmi one
	assert_eq "$output" "Untagged: localhost/one:latest"
	local id
	id=$(brig images -q --no-trunc)
	assert_fails brig rmi "${id:7:12}"
	assert_contains "$errors" "2 names"
	brig image untag layout:img two:2
	assert_runs brig rmi "${id:7:12}"
	assert_eq "$output" "Untagged: localhost/layout:img
Deleted: $id"
	assert_eq "$(find data/images/layers data/images/blobs -type f | wc -l)" 0
	assert_fails brig rmi nothing
	assert_runs brig rmi --ignore nothing
	assert_status 1 brig rmi
	brig load -q -i layout >/dev/null
	brig tag layout:img again
	assert_runs brig rmi --no-prune -f "${id:7:12}"
	assert_ne "$(find data/images/blobs -type f | wc -l)" 0
	assert_runs brig image prune -f
	assert_matches "$output" "^Total reclaimed space: [0-9.]+[kM]B$"
	brig load -q -i layout >/dev/null
	assert_runs brig rmi --all
	assert_eq "$(brig images -q)" ""
	assert_fails brig tag nothing x
}

test_prune() {
	setup_image
	# A note of what is to be written to the disk goes when that is done, and is nothing that an image had
	head -c 501 /dev/zero >data/images/deferred/.note
	assert_runs brig image prune --force
	assert_eq "$output" "Total reclaimed space: 0B"
	assert_no_file data/images/deferred/.note
	assert_runs brig image prune -a -f --filter until=24h
	assert_eq "$(brig images -q | wc -l)" 1
	assert_runs brig image prune -a -f --filter label=x
	assert_eq "$(brig images -q | wc -l)" 1
	assert_runs brig image prune -a -f
	assert_contains "$output" "Deleted: sha256:"
	assert_eq "$(brig images -q)" ""
}

test_save_and_load() {
	setup_image
	brig save layout:img >saved.tar
	brig save -q --format oci-archive -o second.tar layout:img
	cmp saved.tar second.tar
	brig save --format oci-dir -o dir layout:img
	assert_file dir/index.json
	assert_eq "$(skopeo inspect --format '{{len .Layers}}' docker-archive:saved.tar)" 2
	assert_eq "$(skopeo inspect --format '{{len .Layers}}' oci:dir:localhost/layout:img)" 2
	brig save --format oci-dir -o short layout:img
	jq -c '.manifests[0].annotations["org.opencontainers.image.ref.name"] = "t"' short/index.json >index && mv index short/index.json
	assert_eq "$(umoci stat --image short:t --json | jq '.history | length')" 2
	local digest
	digest=$(brig image inspect --format '{{.Digest}}' layout:img)
	brig rmi layout:img >/dev/null
	assert_runs brig load -q --platform linux/amd64 <saved.tar
	assert_eq "$output" "Loaded image: localhost/layout:img"
	assert_eq "$(brig image inspect --format '{{.Digest}}' layout:img)" "$digest"
	assert_runs brig load -i dir
	assert_fails brig load -i saved.none
	echo nonsense >nonsense
	assert_fails brig load -i nonsense
	assert_fails brig save -o x.tar nothing
	assert_no_file x.tar
	skopeo copy -q oci:layout:img docker-archive:skopeo.tar:from/skopeo:1
	brig load -i skopeo.tar
	assert_runs brig image exists from/skopeo:1
}

test_import() {
	make_layout layout
	assert_runs brig import -q -m "by hand" --change 'CMD ["/bin/x"]' -c 'ENTRYPOINT run it' -c 'ENV A=b c' \
		-c 'LABEL l=m' -c 'EXPOSE 80 53/udp' -c 'VOLUME /v' -c 'USER 1:2' -c 'WORKDIR /w' -c 'STOPSIGNAL INT' \
		one.tar imported:1
	assert_matches "$output" '^sha256:[0-9a-f]{64}$'
	assert_eq "$(brig image inspect --format '{{json .Config}}' imported:1 | jq -cS .)" \
		'{"Cmd":["/bin/x"],"Entrypoint":["/bin/sh","-c","run it"],"Env":["A=b c"],"ExposedPorts":{"53/udp":{},"80/tcp":{}},"Labels":{"l":"m"},"StopSignal":"INT","User":"1:2","Volumes":{"/v":{}},"WorkingDir":"/w"}'
	assert_eq "$(brig history --format '{{.Comment}}' imported:1)" "by hand"
	assert_eq "$(brig images -f label=l=m --format '{{.Tag}} {{.Label "l"}}')" "1 m"
	gzip -k one.tar
	brig import - <one.tar.gz >/dev/null
	assert_runs brig image exists localhost/imported
	assert_fails brig import -c 'NONSENSE x' one.tar x
	assert_contains "$errors" 'no instruction "NONSENSE"'
	assert_fails brig import http://example.com/x.tar
}

test_mount() {
	setup_image
	local path
	path=$(brig image mount layout:img)
	assert_eq "$(cat "$path/etc/new")" new
	! touch "$path/x" 2>/dev/null || fail "it can be written to"
	assert_eq "$(brig image mount layout:img)" "$path"
	assert_fails brig rmi layout:img
	assert_runs brig image unmount layout:img
	assert_no_file "$path"
	assert_fails brig image umount layout:img
	brig rmi layout:img
}

# What comes from an image cannot command the terminal of whoever lists it.
test_hostile_texts() {
	mkdir root
	tar -C root -cf root.tar .
	brig import -m $'evil \033]0;owned\007 text' root.tar evil >/dev/null
	brig import -c $'LABEL a=\033[2J' root.tar evil:2 >/dev/null
	assert_not_contains "$(brig history evil)" $'\033'
	assert_contains "$(brig history evil)" 'evil ?]0;owned? text'
	assert_not_contains "$(brig images --format 'table {{.Labels}}')" $'\033'
}

test_progress_on_a_terminal() {
	start_hostile
	need script
	TERM=xterm script -qec "$(declare -f brig); TEST_DIR=$TEST_DIR BRIG_BUILD=$BRIG_BUILD brig pull 127.0.0.1:5001/slow:1" typescript >/dev/null
	assert_contains "$(cat typescript)" "layers"
	assert_contains "$(cat typescript)" "Pulling 127.0.0.1:5001/slow:1"
}
