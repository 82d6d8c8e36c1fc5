#!/bin/bash
# Volumes, binds, tmpfs, cp, diff.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

test_binds() {
	mkdir src && echo here >src/file
	assert_eq "$(brig run --rm -v "$PWD/src:/dst" busybox cat /dst/file)" here
	assert_eq "$(brig run --rm -v ./src:/dst busybox cat /dst/file)" here
	brig run --rm -v "$PWD/src:/dst" busybox sh -c 'echo new >/dst/new'
	assert_eq "$(cat src/new)" new
	assert_fails brig run --rm -v "$PWD/src:/dst:ro" busybox touch /dst/no
	assert_fails brig run --rm --mount "type=bind,src=$PWD/src,dst=/dst,readonly" busybox touch /dst/no
	assert_eq "$(brig run --rm -v "$PWD/src/file:/etc/one:ro" busybox cat /etc/one)" here "a file"
	brig run --rm -v "$PWD/made:/dst" busybox true
	[ -d made ] || fail "the source of -v is made"
	assert_status 125 brig run --rm --mount "type=bind,src=$PWD/none,dst=/dst" busybox true
	assert_status 125 brig run --rm -v "$PWD/src:dst" busybox true
	assert_status 125 brig run --rm -v "$PWD/src:/dst:what" busybox true
	assert_status 125 brig run --rm -v a:/x -v b:/x busybox true
	nothing_left
}

test_read_only_binds_are_so_below_too() {
	mkdir -p src/sub && mount -t tmpfs none src/sub
	assert_fails brig run --rm -v "$PWD/src:/dst:ro" busybox touch /dst/sub/no
	umount src/sub
}

test_named_volumes() {
	brig run --rm -v data:/data busybox sh -c 'echo kept >/data/file'
	assert_eq "$(brig run --rm -v data:/elsewhere busybox cat /elsewhere/file)" kept
	assert_eq "$(cat "$TEST_DIR/data/volumes/data/_data/file")" kept
	brig run --rm -v etc:/etc busybox true
	assert_file "$TEST_DIR/data/volumes/etc/_data/passwd" # an empty volume gets what the image has
	brig run --rm -v none:/etc:nocopy busybox true
	assert_no_file "$TEST_DIR/data/volumes/none/_data/passwd"
}

test_anonymous_volumes() {
	brig run --name box -v /data busybox touch /data/file
	assert_eq "$(find "$TEST_DIR/data/volumes" -mindepth 1 -maxdepth 1 | wc -l)" 1
	brig rm -v box
	assert_eq "$(find "$TEST_DIR/data/volumes" -mindepth 1 -maxdepth 1 | wc -l)" 0
	brig run --rm -v /data busybox true
	assert_eq "$(find "$TEST_DIR/data/volumes" -mindepth 1 -maxdepth 1 | wc -l)" 0
}

test_volume_given_to_the_user() {
	brig run --rm -u 1000:1001 -v data:/data:U busybox touch /data/file
	assert_eq "$(stat -c %u:%g "$TEST_DIR/data/volumes/data/_data/file")" 1000:1001
}

test_volumes_from() {
	brig run -d --name box -v data:/data busybox sh -c 'echo x >/data/file; sleep 100'
	sleep 0.3
	assert_eq "$(brig run --rm --volumes-from box busybox cat /data/file)" x
	assert_fails brig run --rm --volumes-from box:ro busybox touch /data/no
	brig rm -f box
}

test_tmpfs_and_shm() {
	assert_contains "$(brig run --rm --tmpfs /t:size=1m busybox mount)" "tmpfs on /t type tmpfs (rw,nosuid,nodev,noexec"
	assert_contains "$(brig run --rm --mount type=tmpfs,dst=/t,tmpfs-size=1m busybox df -k /t)" 1024
	assert_contains "$(brig run --rm --shm-size 8m busybox df -k /dev/shm)" 8192
}

test_cp_out() {
	brig run --name box busybox sh -c 'mkdir -p /d/sub; echo a >/d/file; ln -s file /d/link; echo b >/d/sub/b; chmod 640 /d/file'
	brig cp box:/d/file out && assert_eq "$(cat out)" a
	assert_eq "$(stat -c %a out)" 640
	brig cp box:/d new && assert_eq "$(cat new/sub/b)" b
	mkdir old && brig cp box:/d old && assert_eq "$(readlink old/d/link)" file
	mkdir flat && brig cp box:/d/. flat && assert_file flat/file
	brig cp box:/d - | tar -t >list
	assert_contains "$(cat list)" sub/b
	brig cp box:/d/file - | tar -tv >list
	assert_matches "$(cat list)" '^-rw-r----- .* file$'
	assert_eq "$(wc -l <list)" 1
	brig cp box:/d/link - | tar -tv >list
	assert_contains "$(cat list)" "link -> file"
	assert_eq "$(brig cp box:/d/file - | tar -xO)" a
	assert_fails brig cp box:/nothing out
	assert_fails brig cp box:/nothing -
	assert_fails brig cp box:/d/file/. -
	assert_fails brig cp box:/d/file no/such/
	assert_fails brig cp out out2
	brig rm box
}

test_cp_in() {
	mkdir -p src/sub && echo a >src/file && echo b >src/sub/b
	brig run -d --name box -v data:/data --tmpfs /t busybox sleep 100
	brig cp src/file box:/root && assert_eq "$(brig exec box cat /root/file)" a
	brig cp src/file box:/new && assert_eq "$(brig exec box cat /new)" a
	brig cp src box:/opt && assert_eq "$(brig exec box cat /opt/sub/b)" b
	brig cp src box:/tmp && assert_eq "$(brig exec box cat /tmp/src/sub/b)" b
	brig cp src/file box:/t && assert_eq "$(brig exec box cat /t/file)" a "into what is mounted while it runs"
	assert_eq "$(brig exec box stat -c %u:%g /root/file)" 0:0
	brig stop -t 0 box
	brig cp src/file box:/data && assert_eq "$(cat "$TEST_DIR/data/volumes/data/_data/file")" a "a volume while it does not"
	brig rm box
}

# Standard input is a tar, of whatever origin
test_cp_of_a_tar() {
	local mode file
	echo containers:2000000:65536 >subids
	for file in /etc/subuid /etc/subgid; do mount --bind subids $file; done
	mkdir -p src/sub && echo a >src/file && echo b >src/sub/b && ln -s file src/link && ln src/file src/hard && mkfifo -m 640 src/fifo
	chown -R 5:6 src && chmod 4755 src/file
	for mode in host auto; do
		brig run -d --name box --userns $mode -v data:/data --tmpfs /t busybox sleep 100
		brig exec box mkdir /opt /srv
		echo b >src/sub/b
		tar -C src -c . | brig cp - box:/opt
		assert_eq "$(brig exec box sh -c 'cd /opt; cat link sub/b; stat -c %u:%g:%a file fifo .; stat -c %h file')" $'a\nb\n0:0:4755\n0:0:640\n0:0:755\n2'
		tar -c src | brig cp -a - box:/t
		assert_eq "$(brig exec box sh -c 'stat -c %u:%g /t/src/sub/b /t/src/link')" $'5:6\n5:6'
		assert_eq "$(brig cp box:/t/src/sub - | tar -tv --numeric-owner | grep -o '5/6 .* b$' | awk '{ print $NF }')" b
		# What is there already is replaced, but no folder by a file
		echo new >src/sub/b
		tar -C src -c ./sub/b | brig cp - box:/opt
		assert_eq "$(brig exec box cat /opt/sub/b)" new
		assert_fails eval 'tar -C src --transform s,file,sub, -c file | brig cp - box:/opt'
		assert_eq "$(brig exec box cat /opt/sub/b)" new
		# A link of the container is no way for the archive; a tar of nothing, or of no tar
		brig exec box ln -s /root /opt/out
		assert_fails eval 'tar -C src --transform s,file,out/file, -c file | brig cp - box:/opt'
		assert_fails eval 'tar -C src --transform s,file,x/../../file, -P -c file | brig cp - box:/opt'
		assert_fails eval 'head -c 4096 /dev/urandom | brig cp - box:/opt'
		assert_fails eval 'tar -c src | brig cp - box:/opt/file'
		assert_fails eval 'tar -c src | brig cp - box:/none'
		brig stop -t 0 box
		tar -c src | brig cp - box:/data
		assert_eq "$(cat "$TEST_DIR/data/volumes/data/_data/src/file")" a
		tar -c src | brig cp - box:/srv
		assert_eq "$(brig cp box:/srv/src/file - | tar -tv --numeric-owner | grep -o 0/0)" 0/0
		brig rm box
		brig volume rm data
	done
}

# F: a container that leads out by symbolic links
test_cp_stays_inside() {
	host_canary_begin
	brig run -d --name box busybox sh -c "ln -s $TEST_DIR/canary /out; ln -s ../../../../../..$TEST_DIR/canary /up; sleep 100"
	sleep 0.3
	echo bad >bad
	assert_fails brig cp bad box:/out/file
	assert_fails brig cp box:/out/file here
	assert_fails brig cp box:/up/file here
	brig exec box mkdir -p "$TEST_DIR/canary"
	assert_runs brig cp bad box:/out/file
	assert_eq "$(brig exec box cat "$TEST_DIR/canary/file")" bad "the link is the container's"
	brig rm -f box
	rm -rf bad here
	assert_eq "$(cat canary/file)" precious
}

test_diff() {
	brig run --name box busybox sh -c 'echo x >/new; rm /etc/group; echo y >>/etc/passwd; mkdir /dir'
	run brig diff box
	assert_contains "$output" "A /new"
	assert_contains "$output" "D /etc/group"
	assert_contains "$output" "C /etc/passwd"
	assert_contains "$output" "A /dir"
	assert_not_contains "$output" resolv.conf
	assert_eq "$(brig diff --format json box | jq -r '.[] | select(.Path == "/new").Kind')" A
	brig rm box
}

test_secrets() {
	printf 'very secret' | brig secret create word -
	assert_eq "$(brig run --rm --secret word busybox cat /run/secrets/word)" "very secret"
	assert_eq "$(brig run --rm --secret word,target=/etc/word,mode=0400,uid=7 busybox stat -c '%a %u' /etc/word)" "400 7"
	assert_eq "$(brig run --rm --secret word,type=env,target=WORD busybox sh -c 'echo $WORD')" "very secret"
	assert_fails brig run --rm --secret word busybox sh -c 'echo x >/run/secrets/word'
	assert_status 125 brig run --rm --secret none busybox true
	assert_status 125 brig run --rm --secret word,odd=1 busybox true
	brig create --name box --secret word,type=env,target=WORD busybox true
	assert_not_contains "$(brig inspect box)" "very secret"
	brig rm box
	nothing_left
}

test_commit() {
	local id
	brig create --name box busybox sh -c 'cat /file; echo $WHO'
	brig run -d --name live busybox sh -c 'echo written >/file; sleep 100'
	sleep 0.3
	id=$(brig commit -m "a note" -c 'ENV WHO=me' -c 'CMD ["sh", "-c", "cat /file; echo $WHO"]' live made)
	[[ $id =~ ^(sha256:)?[0-9a-f]{64}$ ]] || fail "no id: $id"
	assert_eq "$(brig ps -q --filter status=running | wc -l)" 1 # it goes on
	assert_eq "$(brig run --rm made)" "written
me"
	assert_contains "$(brig history --no-trunc made)" "a note"
	assert_fails brig commit nosuch made
	assert_fails brig commit -c 'FROM x' live made
	brig rm -f box live
	brig rmi made
}

test_export() {
	brig run -d --name box -v vol:/vol busybox sh -c 'echo written >/file; echo x >/vol/x; sleep 100'
	sleep 0.3
	brig export -o live.tar box
	brig stop -t 0 box
	brig export box >stopped.tar
	local file
	for file in live.tar stopped.tar; do
		assert_eq "$(tar -xOf "$file" ./file 2>/dev/null || tar -xOf "$file" file)" written "$file"
		assert_eq "$(tar -tf "$file" | grep -cE '(vol/x|proc/[0-9]|sys/.)')" 0 "$file: what is mounted"
		assert_contains "$(tar -tf "$file")" bin/busybox
	done
	brig import stopped.tar again
	assert_eq "$(brig run --rm again cat /file)" written
	assert_fails brig export nosuch
	brig rm -f box
}
