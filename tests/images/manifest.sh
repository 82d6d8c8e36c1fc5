#!/bin/bash
# brig manifest: lists of images of several platforms, in the store, at a registry and back.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

R=127.0.0.1:5000

# localhost/layout:img for this machine's architecture, …:arm and …:riscv for others
setup_images() {
	local arch
	make_layout layout
	umoci config --image layout:img --architecture amd64
	for arch in arm riscv; do
		umoci new --image layout:$arch
		echo $arch >one/etc/motd && tar -C one -cf one.tar .
		umoci raw add-layer --image layout:$arch one.tar
		umoci config --image layout:$arch --architecture ${arch}64
	done
	brig load -q -i layout >/dev/null
}

manifest_digest() {
	brig image inspect -f '{{.Digest}}' "$1"
}

# blob DIGEST: its file in the store
blob() {
	echo "$TEST_DIR/data/images/blobs/sha256/${1#sha256:}"
}

test_create_add_annotate_inspect_remove() {
	setup_images
	assert_fails brig manifest exists all
	assert_runs brig manifest create --annotation a=b all
	assert_matches "$output" '^sha256:[0-9a-f]{64}$'
	assert_runs brig manifest exists all
	assert_runs brig manifest exists localhost/all:latest
	assert_eq "$(brig manifest ls)" localhost/all:latest
	assert_fails brig manifest create all
	assert_contains "$errors" --amend
	assert_eq "$(brig manifest inspect all | jq -c .)" \
		'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":"b"}}'
	assert_runs brig manifest add all layout:img layout:arm
	assert_eq "$(sha256sum <"$(blob "$output")" | cut -d ' ' -f 1)" "${output#sha256:}" "what is printed is what it is"
	assert_eq "$(brig manifest inspect all | jq -r '.manifests[].platform | "\(.os)/\(.architecture)"')" $'linux/amd64\nlinux/arm64'
	assert_eq "$(brig manifest inspect all | jq -r '.manifests[0] | "\(.digest) \(.size) \(.mediaType)"')" \
		"$(manifest_digest layout:img) $(stat -c %s "$(blob "$(manifest_digest layout:img)")") application/vnd.oci.image.manifest.v1+json"
	# Again is no second one, but what is said now counts
	assert_runs brig manifest add --variant v8 --annotation x=1 --annotation y=2 all layout:arm
	assert_eq "$(brig manifest inspect all | jq -c '[.manifests[1].platform.variant, .manifests[1].annotations]')" '["v8",{"x":"1","y":"2"}]'
	assert_runs brig manifest annotate --arch arm --variant v7 --os-version 5 --os-features a --os-features b --annotation x all layout:arm
	assert_eq "$(brig manifest inspect all | jq -c '.manifests[1] | [.platform, .annotations]')" \
		'[{"architecture":"arm","os":"linux","variant":"v7","os.version":"5","os.features":["a","b"]},{"y":"2"}]'
	assert_runs brig manifest annotate --index --annotation c=d --annotation a all
	assert_eq "$(brig manifest inspect all | jq -c .annotations)" '{"c":"d"}'
	assert_fails brig manifest annotate --annotation c=d all
	assert_fails brig manifest annotate --annotation =d all layout:arm
	assert_fails brig manifest annotate all layout:riscv
	assert_contains "$errors" "is not in the list"
	assert_runs brig manifest remove all "$(manifest_digest layout:img)"
	assert_runs brig manifest remove all layout:arm
	assert_eq "$(brig manifest inspect all | jq -c .manifests)" '[]'
	assert_fails brig manifest remove all layout:arm
	assert_fails brig manifest add all no-such:1
	assert_fails brig manifest add none layout:arm
	assert_contains "$errors" "no such list here"
	# A list of all of another, and a name that is taken by an image
	assert_runs brig manifest create --amend all layout:img layout:arm
	assert_runs brig manifest create --all more all layout:riscv
	assert_eq "$(brig manifest inspect more | jq '.manifests | length')" 3
	assert_runs brig manifest create layout:img layout:riscv
	assert_eq "$(brig image inspect -f '{{.Architecture}}' layout:img)" amd64
	assert_fails brig manifest inspect layout:arm
	assert_runs brig manifest rm all more layout:img
	assert_fails brig manifest rm all
	assert_eq "$(brig manifest ls)" ""
}

# What a list names is kept, and nothing else
test_collection() {
	local arm layer list old
	setup_images
	arm=$(manifest_digest layout:arm)
	layer=$(jq -r '.layers[0].digest' "$(blob "$arm")")
	old=$(brig manifest create all)
	list=$(brig manifest add all layout:arm)
	brig rmi layout:arm >/dev/null
	brig image prune -f >/dev/null
	assert_file "$(blob "$list")"
	assert_no_file "$(blob "$old")"
	assert_file "$(blob "$arm")"
	assert_file "$(blob "$layer")"
	assert_fails brig image inspect layout:arm
	# An image that the list alone has left is no reason not to collect
	rm "$(blob "$layer")" "$(blob "$(jq -r .config.digest "$(blob "$arm")")")"
	assert_runs brig image prune -f
	assert_file "$(blob "$arm")"
	rm "$(blob "$arm")"
	assert_runs brig image prune -f
	assert_runs brig manifest rm all
	assert_no_file "$(blob "$list")"
	assert_runs brig image inspect layout:img
}

test_push_and_pull() {
	local arm list
	start_registry
	setup_images
	arm=$(manifest_digest layout:arm)
	brig manifest create all layout:img layout:arm >/dev/null
	list=$(brig manifest annotate --variant v8 all layout:arm)
	assert_fails brig manifest push --all=false all $R/x/all:1
	brig rmi layout:arm >/dev/null
	assert_runs brig manifest push --digestfile digest all $R/x/all:1
	assert_eq "$output" "$R/x/all:1: digest: $list"
	assert_eq "$(cat digest)" "$list"
	assert_eq "$(skopeo inspect --raw --tls-verify=false docker://$R/x/all:1 | sha256sum | cut -d ' ' -f 1)" "${list#sha256:}"
	assert_eq "$(skopeo inspect --raw --tls-verify=false docker://$R/x/all:1 | jq -r '.manifests[1].platform.variant')" v8
	assert_eq "$(skopeo inspect --tls-verify=false --override-arch arm64 --format '{{.Architecture}}' docker://$R/x/all:1)" arm64
	assert_eq "$(skopeo inspect --tls-verify=false --override-arch amd64 --format '{{.Architecture}}' docker://$R/x/all:1)" amd64
	skopeo copy -q --all --src-tls-verify=false docker://$R/x/all:1 oci:copied:all
	# Now that its images are there, the list alone will do; and it goes when it is pushed
	assert_runs brig manifest push -q --all=false --rm all "docker://$R/x/all:2"
	assert_eq "$output" "$R/x/all:2"
	assert_fails brig manifest exists all
	assert_eq "$(brig search --list-tags --format '{{.Tag}}' $R/x/all | sort | xargs)" "1 2"
	assert_fails brig manifest push all $R/x/all:3
	# By platform, into a store that knows nothing of it
	mv data first
	brig pull -q --platform linux/arm64 $R/x/all:1
	assert_eq "$(brig image inspect -f '{{.Architecture}}' $R/x/all:1)" arm64
	assert_contains "$(skopeo inspect --raw --tls-verify=false "docker://$R/x/all@$arm")" layers
	brig pull -q --platform linux/amd64 $R/x/all:2
	assert_eq "$(brig image inspect -f '{{.Architecture}}' $R/x/all:2)" amd64
	assert_fails brig pull -q --platform linux/s390x $R/x/all:1
	# What it came from can be shown, and be the beginning of a new one, of which not all is here
	assert_eq "$(brig manifest inspect $R/x/all:1 | jq -c .manifests)" "$(jq -c .manifests "$(blob "$list")")"
	brig rmi $R/x/all:2 >/dev/null
	assert_runs brig manifest create --all other $R/x/all:1
	assert_runs brig manifest push -q other $R/x/all:4
	assert_fails brig manifest push -q other $R/other:1
	assert_contains "$errors" "of the list is not here"
	assert_fails brig manifest push other localhost/other:1
	# An image that is not here is pulled
	brig rmi -f $R/x/all:1 >/dev/null
	assert_runs brig manifest create new
	assert_runs brig manifest add --arch arm64 new $R/x/all:1
	assert_eq "$(brig manifest inspect new | jq -r '.manifests[0].digest')" "$arm"
}
