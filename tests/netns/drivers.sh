# Other ways into a network than a bridge: macvlan, CNI plugins, pasta without privilege.
# time-limit: 300
# shellcheck shell=bash disable=SC2034,SC2154
. "$BRIG_TEST_LIB/netns.sh"

test_macvlan() {
	outside_make far 1
	net create lan driver=macvlan option=parent=up1 subnet=198.51.1.0/24 gateway=198.51.1.2 range=198.51.1.64/26
	container c1 lan
	container c2 lan:ip=198.51.1.100
	assert_eq "$(address_of c1)" 198.51.1.64
	assert_runs place_run c1 busybox ping -c 1 -W 2 198.51.1.2
	assert_runs place_run c1 busybox ping -c 1 -W 2 198.51.1.100
	assert_contains "$(place_run c1 ip route)" "default via 198.51.1.2"
	net disconnect c2 "$(place_path c2)" lan
	assert_not_contains "$(place_run c2 ip -br link)" eth0
	net down c1 "$(place_path c1)"
	assert_not_contains "$(place_run c1 ip -br link)" eth0
}

test_macvlan_keeps_neighbours_apart() {
	outside_make far 1
	net create lan driver=macvlan option=parent=up1 option=mode=private subnet=198.51.1.0/24 gateway=198.51.1.2
	container c1 lan:ip=198.51.1.64
	container c2 lan:ip=198.51.1.65
	assert_runs place_run c1 busybox ping -c 1 -W 2 198.51.1.2
	assert_fails place_run c1 busybox ping -c 1 -W 1 198.51.1.65
}

cni_list() {
	export BRIG_TEST_CNI=$TEST_DIR/cni
	mkdir -p "$BRIG_TEST_CNI"
	cat >"$BRIG_TEST_CNI/10-lab.conflist" <<END
{"cniVersion": "1.0.0", "name": "lab", "plugins": [
	{"type": "bridge", "bridge": "cni0", "isGateway": true,
	 "ipam": {"type": "host-local", "dataDir": "$TEST_DIR/cni-data", "ranges": [[{"subnet": "10.5.0.0/24"}]],
	          "routes": [{"dst": "0.0.0.0/0"}]}},
	{"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}]}
END
	echo '{"name": "broken"' >"$BRIG_TEST_CNI/20-broken.conflist"
}

test_cni() {
	cni_list
	assert_contains "$(net ls)" "lab cni"
	container c1 lab
	container c2 lab
	assert_matches "$(address_of c1)" '^10\.5\.0\.'
	assert_runs place_run c1 busybox ping -c 1 -W 2 "$(address_of c2)"
	assert_runs place_run c1 busybox ping -c 1 -W 2 10.5.0.1
	assert_eq "$(place_run c1 sh -c 'cat /proc/sys/net/ipv4/conf/eth0/arp_filter')" 1
	# CHECK sees what has gone
	assert_runs net check c1 "$(place_path c1)"
	assert_runs net check c3 "$(place_path c1)"
	place_run c1 ip link set eth0 down
	place_run c1 ip addr flush dev eth0
	run net check c1 "$(place_path c1)"
	assert_eq "$status" 1
	assert_contains "$errors" "CNI plugin bridge, CHECK"
	# DEL gets what ADD got, though the file is gone; and twice; and without the namespace.
	rm "$BRIG_TEST_CNI/10-lab.conflist"
	address=$(address_of c1)
	assert_file "$TEST_DIR/cni-data/lab/$address"
	assert_runs net down c1 "$(place_path c1)"
	assert_no_file "$TEST_DIR/cni-data/lab/$address"
	assert_runs net down c1 "$(place_path c1)"
	place_end c2
	assert_runs net down c2
	assert_eq "$(find "$TEST_DIR/cni-data/lab" -name '10.5*')" ""
}

# A later plugin fails: what the ones before did is undone, and the plugin's own words are shown.
test_cni_failure() {
	cni_list
	jq '.plugins[1] = {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.none": "1"}}' \
		"$BRIG_TEST_CNI/10-lab.conflist" >"$TEST_DIR/new"
	mv "$TEST_DIR/new" "$BRIG_TEST_CNI/10-lab.conflist"
	place_make c1
	run net up c1 "$(place_path c1)" lab
	assert_eq "$status" 1
	assert_contains "$errors" "network lab: CNI plugin tuning, ADD"
	assert_eq "$(find "$TEST_DIR/cni-data/lab" -name '10.5*')" ""
	assert_not_contains "$(place_run c1 ip -br link)" eth0
	assert_no_file "$TEST_DIR/net/networks/containers/c1.json"
	jq '.plugins[1] = {"type": "no-such-plugin"}' "$BRIG_TEST_CNI/10-lab.conflist" >"$TEST_DIR/new"
	mv "$TEST_DIR/new" "$BRIG_TEST_CNI/10-lab.conflist"
	assert_fails net up c1 "$(place_path c1)" lab
	assert_contains "$errors" "there is no CNI plugin no-such-plugin"
}

# rootless_place NAME: a user and a network namespace of an ordinary user
rootless_place() {
	setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all unshare --user --map-root-user --net sleep 1000 &
	place[$1]=$!
	wait_for 5 place_ready "$1"
	wait_for 5 grep -q . "/proc/${place[$1]}/uid_map"
}

rootless_net() {
	unprivileged env BRIG_TEST_USERNS="/proc/${place[c1]}/ns/user" BRIG_LIBEXEC="$BRIG_LIBEXEC" \
		"$TEST_DIR/netns-driver" "$TEST_DIR/mine/net" "$@"
}

rootless_begin() {
	outside_make far 1
	ip route add default via 198.51.1.2
	ip -6 route add default via 2001:db8:1::2
	mkdir "$TEST_DIR/mine" && chown 1000:1000 "$TEST_DIR/mine"
	cp "$BRIG_BUILD/netns/netns-driver" "$TEST_DIR/netns-driver" && chmod 755 "$TEST_DIR/netns-driver"
	# Everybody's, as udev makes it
	mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200
	rootless_place c1
}

inside() {
	nsenter --user --net --target "${place[c1]}" "$@"
}

test_pasta() {
	rootless_begin
	web far 80
	assert_runs rootless_net up c1 "$(place_path c1)" port=8080:80 default
	assert_contains "$(inside curl -s --max-time 5 http://198.51.1.2/)" " far"
	inside python3 "$BRIG_TEST_LIB/../tools/web.py" 80 inside &
	wait_for 10 inside timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/80'
	assert_contains "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" " inside"
	! no_pasta || fail "no pasta among $(process_list)"
	assert_runs rootless_net down c1
	assert_runs rootless_net down c1
	wait_for 10 no_pasta
}

# By either of its names: it starts itself again for the processor that it finds.
no_pasta() {
	! grep -q 'passt\|pasta' <<<"$(process_list)"
}

# A mount over the program's folder hides it from the driver alone.
test_without_pasta() {
	place_make c1
	mkdir "$TEST_DIR/empty"
	run unshare --mount bash -c 'mount --bind "$1" /usr/bin && shift && exec "$@"' - "$TEST_DIR/empty" \
		"$BRIG_BUILD/netns/netns-driver" "$TEST_DIR/net" up c1 "$(place_path c1)" pasta
	assert_eq "$status" 1
	assert_contains "$errors" "of the package passt: install it, or use --network=host"
	assert_no_file "$TEST_DIR/net/networks/containers/c1.json"
}
