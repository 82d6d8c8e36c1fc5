#!/bin/bash
# Section F, images: archives, sizes, registries, the store.
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"

TARS=$BRIG_BUILD/tests/attack/hostile_tars

# hostile_place: tmpfs, since thousands of small files come and go, and the canary beside where they go
hostile_place() {
	mkdir place
	mount -t tmpfs tmpfs place
	mkdir place/w
	host_canary_begin
}

# The extractor without its jail: what it does not keep inside reaches the canary.
test_F1_ten_thousand_hostile_archives() {
	hostile_place
	local taken refused
	read -r _ taken _ refused < <("$TARS" escape 1 10000 place/w "$TEST_DIR/canary")
	[ "$taken" -gt 2000 ] && [ "$refused" -gt 2000 ] || fail "one-sided: $taken taken, $refused refused"
	assert_eq "$(find place/w -mindepth 1)" ""
	host_canary_check
}

# The same archives through the whole of brig, jail and all.
test_F1_through_the_jail() {
	hostile_place
	"$TARS" write 2 40 place/w "$TEST_DIR/canary"
	local i taken=0
	for i in {0..39}; do
		run images import "place/w/$i.tar" "localhost/hostile:$i"
		[ "$status" = 0 ] && taken=$((taken + 1)) || assert_eq "$(wc -l <<<"$errors")" 1
	done
	[ "$taken" -gt 0 ] || fail "all refused"
	assert_store_clean
	host_canary_check
}

# They are dangerous: Python's reader falls for some of them.
test_F1_others_fall_for_them() {
	hostile_place
	"$TARS" write 1 400 place/w "$TEST_DIR/canary"
	cat >extract.py <<-'PY'
		import signal, tarfile, warnings
		def late(*_):
		    raise TimeoutError
		signal.signal(signal.SIGALRM, late)
		warnings.simplefilter("ignore")
		for i in range(400):
		    signal.alarm(1)
		    try:
		        with tarfile.open("place/w/%d.tar" % i) as tar:
		            tar.extractall("place/out/%d" % i)
		    except Exception:
		        pass
	PY
	python3 extract.py
	(host_canary_check) 2>/dev/null || return 0
	skip "this Python is not vulnerable: $(python3 --version)"
}

# What brig takes, GNU tar and bsdtar read as it does; where they disagree, it refuses.
test_F2_one_meaning_for_every_archive() {
	need bsdtar
	mkdir place
	mount -t tmpfs tmpfs place
	"$TARS" unclear 7 500 place
	cd place
	local i disagree=0 taken=0 bsd gnu
	for i in {0..499}; do
		bsd=0 gnu=0
		bsdtar -tf "$i.tar" >bsd 2>/dev/null || bsd=$?
		tar -tf "$i.tar" >gnu 2>/dev/null || gnu=$?
		[ "$bsd" = "$gnu" ] && cmp -s bsd gnu || disagree=$((disagree + 1))
		[ -e "$i.list" ] || continue
		taken=$((taken + 1))
		[ "$bsd" != 0 ] || diff "$i.list" <(sed 's,/$,,' bsd) >&2 || fail "bsdtar sees something else in $i.tar"
		[ "$gnu" != 0 ] || diff "$i.list" <(sed 's,/$,,' gnu) >&2 || fail "GNU tar sees something else in $i.tar"
	done
	[ "$disagree" -gt 50 ] || fail "they agree about nearly all: these archives are clear"
	[ "$taken" -gt 50 ] || fail "nearly all are refused"
}

test_F3_nobody_else_walks_in() {
	chmod 755 "$TEST_DIR"
	mkdir root && cp "$(command -v busybox)" root/su && chmod 4755 root/su
	tar -C root -cf root.tar .
	brig import -q root.tar localhost/set-user-id:1 >/dev/null
	local su
	su=$(find data/images/layers -name su)
	assert_eq "$(stat -c %a "$su")" 4755
	! unprivileged stat "$su" 2>/dev/null || fail "another user reaches it"
	assert_eq "$(find data/images -maxdepth 1 -perm /077)" "" "what others may enter or read"
	unprivileged ls data/images 2>/dev/null && fail "another user lists the store"
	# A directory that others may write to is nobody's store.
	mkdir -m 777 loose
	run brig --root "$TEST_DIR/loose" images
	[ "$status" != 0 ] || assert_eq "$(stat -c %a loose)" 700
}

# A mode is never given to what a link leads to.
test_F3_modes_through_links() {
	host_canary_begin
	python3 - "$TEST_DIR/canary" <<-'PY'
		import io, sys, tarfile
		with tarfile.open("modes.tar", "w") as tar:
		    for kind, name, target, mode in ((tarfile.SYMTYPE, "l", sys.argv[1] + "/setuid", 0o777),
		            (tarfile.LNKTYPE, "h", "l", 0o4777), (tarfile.SYMTYPE, "d", sys.argv[1], 0o777),
		            (tarfile.DIRTYPE, "d2", "", 0o777), (tarfile.SYMTYPE, "d2", sys.argv[1], 0o777)):
		        info = tarfile.TarInfo(name)
		        info.type, info.linkname, info.mode, info.uid = kind, target, mode, 1234
		        tar.addfile(info)
	PY
	assert_runs images import modes.tar localhost/modes:1
	host_canary_check
}

# Bytes, entries, depth, ratio: each has its bound, and nothing is left.
test_F4_bombs() {
	need zstd
	start_hostile
	LIMIT_BYTES=100000000 refused "bytes" images pull 127.0.0.1:5001/bomb:1
	refused "1100 bytes" images pull 127.0.0.1:5001/zbomb:1
	LIMIT_ENTRIES=1000 refused "entries" images pull 127.0.0.1:5001/manyfiles:1
	refused "deep" images pull 127.0.0.1:5001/deep:1

	assert_store_clean
	assert_eq "$(images names)" ""
	assert_eq "$(find store/layers -mindepth 1)" ""
}

# Digests that would be paths, wherever they stand.
test_F5_digests_are_no_paths() {
	host_canary_begin
	start_hostile
	local case
	for case in inject-layer:digest inject-config:digest inject-index:digest uppercase:digest; do
		refused "${case#*:}" images pull "127.0.0.1:5001/${case%%:*}:1"
		assert_eq "$(find . -name 'injected*')" "" "$case"
	done
	images pull 127.0.0.1:5001/inject-header:1 >/dev/null # what a header says is not believed
	assert_matches "$(images names)" 'inject-header:1 sha256:[0-9a-f]{64}$'
	kill %1
	wait || :
	host_canary_check
}

# An upload that is sent elsewhere goes without our credentials.
test_F5_pushes_keep_credentials_at_home() {
	start_hostile
	make_layout layout
	images load layout >/dev/null
	echo '{"auths":{"127.0.0.1:5001":{"auth":"dXNlcjpwYXNz"}}}' >auth.json
	REGISTRY_AUTH_FILE=$TEST_DIR/auth.json run images push localhost/layout:img 127.0.0.1:5001/pushaway:1
	assert_ne "$status" 0
	grep -q '^POST /v2/pushaway/blobs/uploads/[^ ]* Basic' requests.log || fail "$(cat requests.log)"
	! grep '^foreign .* \(Basic\|Bearer\)' requests.log || fail "credentials went to a foreign host"
}
