# A process that is killed anywhere: the next one takes away what it left, and works.
# time-limit: 300
# shellcheck shell=bash disable=SC2034,SC2154
. "$BRIG_TEST_LIB/netns.sh"

server_lives() {
	process_list | grep -q brig-dns
}

# What the state says, and what the kernel has. A name server that was told to end is waited for by the next one, and
# named in dns.pid until then.
nothing_left() {
	assert_eq "$(find "$TEST_DIR/net/networks" -mindepth 2 -type f -not -name '.last*' -not -name dns.conf -not -name dns.pid \
		-printf '%P ')" "" "$1: files"
	assert_eq "$(grep -Lr ' 0$' --include=dns.pid "$TEST_DIR/net/networks" || :)" "" "$1: a server that was not told to end"
	assert_eq "$(ip -o link | grep -c veth || :)" 0 "$1: links"
	assert_not_contains "$(nft list ruleset)" "9000 :" "$1: rules"
	for _ in {1..100}; do
		server_lives || return 0
		sleep 0.05
	done
	fail "$1: processes: $(process_list)"
}

# System calls that change something, and how many of each are passed over between two points
calls=(openat:9 mkdirat:5 renameat2:2 unlinkat:3 write:3 sendto:4 setns:1 clone3:1 clone:1 socket:2 bind:1 flock:1)

# kill_at CALL N ARGUMENT...: the driver is killed as it makes its Nth CALL. Succeeds when it was.
kill_at() {
	local call=$1 n=$2
	shift 2
	run strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$n" \
		"$BRIG_BUILD/netns/netns-driver" "$TEST_DIR/net" "$@"
	[ "$status" = 137 ]
}

# Whoever takes the lock next repairs: here by asking for something else.
test_killed_as_it_connects() {
	net create other
	local entry n killed=0
	place_make c1
	for entry in "${calls[@]}"; do
		n=1
		while kill_at "${entry%:*}" "$n" up c1 "$(place_path c1)" name=c1 port=9000:80 brig:alias=a other; do
			killed=$((killed + 1)) n=$((n + ${entry#*:}))
			assert_runs net down nobody
			# Killed behind its work, as it printed the result
			if net show c1 2>/dev/null | jq -e .netns >"$TEST_DIR/said"; then net down c1; fi
			nothing_left "$entry $n"
		done
		assert_eq "$status" 0 "the last one, which was not killed"
		assert_runs net down c1
		nothing_left "$entry"
	done
	[ "$killed" -gt 40 ] || fail "killed only $killed times"
}

# leaves VERB
leaves() {
	local entry n killed=0
	place_make c1
	for entry in "${calls[@]}"; do
		n=1
		while net up c1 "$(place_path c1)" name=c1 port=9000:80 brig >/dev/null && kill_at "${entry%:*}" "$n" "$1" c1; do
			killed=$((killed + 1)) n=$((n + ${entry#*:}))
			assert_runs net down c1
			nothing_left "$entry $n"
		done
		assert_eq "$status" 0 "the last one, which was not killed"
		nothing_left "$entry"
	done
	[ "$killed" -gt 12 ] || fail "killed only $killed times"
}

test_killed_as_it_leaves() {
	leaves down
}

# The record has gone when the links are left for the end: the note says which they are.
test_killed_before_its_links_have_gone() {
	leaves leave
	net up c1 "$(place_path c1)" name=c1 brig >/dev/null
	assert_runs net leave c1
	nothing_left "not killed"
	net up c1 "$(place_path c1)" name=c1 brig >/dev/null
	kill_at sendto 2 leave c1 || fail "not killed"
	[ ! -e "$TEST_DIR/net/networks/containers/c1.json" ] || fail "the record is there"
	[[ $(cat "$TEST_DIR/net/networks/pending/c1") =~ ^[0-9]+\ [0-9]+\ veth[0-9a-z]+$ ]] || fail "the note"
	assert_runs net down nobody
	nothing_left "by the note"
}
