#!/bin/bash
# where: host
# time-limit: 300
# Section A for mounts of a running container: it owns every directory on the way to the destination.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# Mounts in the container's namespace beneath the host's tree would show in its mountinfo, on the
# host in ours; the canary sees files that were made.
test_A1_destination_swapped_for_a_link_while_mounts_are_added() {
	host_canary_begin
	local swapper i links=0 places=0
	swapper=$(tool swapper) || skip "no swapper"
	mkdir "$TEST_DIR/data" && echo data >"$TEST_DIR/data/mark"
	start_sh 'sleep 300'
	local root=$BUNDLE/rootfs
	mkdir -p "$root/a/b" "$root/inside"
	# To the outside by every kind of way, as seen from the container and from the host.
	ln -s "../../../../../../../../../../../..$TEST_DIR/canary" "$root/a/evil"
	"$swapper" "$root/a/b" "$root/a/evil" >"$TEST_DIR/swaps" &
	local pid=$!
	for i in $(seq 60); do
		if oci mounts add "$ID" - <<<"[{\"destination\":\"/a/b\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]},
			{\"destination\":\"/a/b/sub/$i\",\"type\":\"tmpfs\",\"source\":\"t\"}]" 2>/dev/null; then
			places=$((places + 1))
		else
			links=$((links + 1))
		fi
	done
	kill "$pid"
	wait "$pid" || :
	[ "$places" -gt 0 ] || fail "never succeeded: the attack shows nothing"
	assert_no_file "$TEST_DIR/canary/sub"
	assert_no_file "$TEST_DIR/canary/mark"
	oci delete --force "$ID"
	host_canary_check
}

test_A1_links_to_the_host_stay_inside() {
	host_canary_begin
	mkdir "$TEST_DIR/data" && echo data >"$TEST_DIR/data/mark"
	start_sh 'sleep 300'
	local root=$BUNDLE/rootfs target
	mkdir "$root/a"
	for target in "$TEST_DIR/canary" "../../../../../../../../../../../..$TEST_DIR/canary" /proc/1/root/tmp; do
		ln -sfn "$target" "$root/a/link"
		oci mounts add "$ID" - 2>"$TEST_DIR/error" <<<"[{\"destination\":\"/a/link/x\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]}]" || :
		oci mounts add "$ID" - 2>"$TEST_DIR/error" <<<'[{"destination":"/a/link","type":"proc","source":"proc"}]' &&
			fail "a procfs through a link"
	done
	oci delete --force "$ID"
	host_canary_check
}

# The source is opened on the host, by the host's names: a link in the container plays no part.
test_A1_sources_are_the_hosts() {
	mkdir "$TEST_DIR/data" && echo host >"$TEST_DIR/data/mark"
	start_sh 'sleep 60'
	mkdir -p "$BUNDLE/rootfs$TEST_DIR/data" && echo container >"$BUNDLE/rootfs$TEST_DIR/data/mark"
	oci mounts add "$ID" - <<<"[{\"destination\":\"/x\",\"source\":\"$TEST_DIR/data\",\"options\":[\"bind\"]}]"
	assert_eq "$(oci exec "$ID" cat /x/mark </dev/null)" host
}
