#!/bin/bash
# brig run --userns for a user without privilege: which ids, whose files are, what other verbs make of it.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
# shellcheck source=tests/lib/user.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/user.sh"

begin() {
	user_make
	user_may_fuse
}

map() {
	user run --rm --network none "$@" busybox cat /proc/self/uid_map | xargs
}

# No process, container or file of one is left.
all_gone() {
	assert_eq "$(user ps -aq)" ""
	wait_for 10 bash -c '! pgrep -x fuse-overlayfs'
	assert_eq "$(find home/.local/share/brig/images/{containers,trash} home/.local/share/brig/containers -mindepth 1)" ""
}

test_modes() {
	begin
	assert_eq "$(map --userns host)" "0 1000 1 1 100000 65536"
	assert_eq "$(map --userns keep-id)" "0 100000 1000 1000 1000 1 1001 101000 64536"
	assert_eq "$(map --userns keep-id:uid=33,gid=34)" "0 100000 33 33 1000 1 34 100033 65503"
	assert_eq "$(map --userns nomap)" "0 100000 65536"
	assert_eq "$(map --userns auto)" "0 100000 65536"
	assert_eq "$(map --userns auto:size=1000)" "0 100000 1000"
	assert_eq "$(map --uidmap 0:1:100 --uidmap 100:0:1)" "0 100000 100 100 1000 1"
	all_gone
}

test_keep_id() {
	begin
	assert_eq "$(user run --rm --network none --userns keep-id busybox sh -c 'id -u; id -g')" $'1000\n1000'
	assert_eq "$(user run --rm --network none --userns keep-id:uid=33,gid=34 busybox sh -c 'id -u; id -g')" $'33\n34'
	assert_eq "$(user run --rm --network none --userns keep-id -u 0 busybox id -u)" 0
	assert_eq "$(user run --rm --network none --userns keep-id busybox stat -c %u:%g /bin/busybox /tmp)" $'0:0\n0:0'
	# What it is for: his own files are his own in there, and the other way
	mkdir home/dir && echo x >home/dir/file && chown -R 1000:1000 home/dir && chmod 700 home/dir
	user run --rm --network none --userns keep-id -v "$TEST_DIR/home/dir:/d" busybox sh -c 'stat -c %u /d/file; echo y >/d/new' >out
	assert_eq "$(cat out)" 1000
	assert_eq "$(stat -c %u home/dir/new)" 1000
	# A set-user-ID program works: the file system is of this user namespace (ping is one that keeps its privilege)
	user run --network none --name box --userns keep-id -u 0 busybox sh -c 'mkdir /su && cp /bin/busybox /su/ping && chmod 4755 /su/ping'
	user commit box localhost/su >/dev/null && user rm box
	assert_contains "$(user run --rm --network none --userns keep-id su sh -c \
		'/su/ping 127.0.0.1 >/dev/null & sleep 0.3; grep ^Uid /proc/$!/status' | xargs)" "Uid: 1000 0 0 0"
	all_gone
}

# auto_and_nomap: the user himself is nobody there, and his folders are closed to it
test_ids_are_nobody_elses() {
	begin
	user create --network none --name one --userns auto:size=1000 busybox true
	user create --network none --name two --userns auto:size=1000 busybox cat /proc/self/uid_map
	assert_eq "$(user start -a two | xargs)" "0 101000 1000"
	assert_status 125 user run --rm --network none --userns auto:size=65000 busybox true
	assert_contains "$errors" "no 65000 user ids are free"
	user rm one two
	mkdir home/dir && echo secret >home/dir/file && chown -R 1000:1000 home/dir && chmod 700 home/dir
	assert_fails user run --rm --network none --userns nomap -v "$TEST_DIR/home/dir:/d" busybox cat /d/file
	chmod 755 home/dir && chmod 644 home/dir/file
	assert_eq "$(user run --rm --network none --userns nomap -v "$TEST_DIR/home/dir:/d" busybox cat /d/file)" secret
	all_gone
}

# Into and out of the container "box", which runs
copies() {
	rm -rf home/{in,out,got,tree}
	user exec -u 0 box mkdir -p /srv
	mkdir -p home/tree/sub && echo in >home/in && echo deep >home/tree/sub/file && ln -s sub/file home/tree/link
	chown -Rh 1000:1000 home/in home/tree && chmod 600 home/in && chmod 700 home/tree
	assert_runs user cp in box:/in
	assert_eq "$(user exec -u 0 box stat -c %u:%g:%a /in) $(user exec -u 0 box cat /in)" "0:0:600 in"
	assert_runs user cp in box:/in
	assert_runs user cp tree box:/opt
	assert_eq "$(user exec -u 0 box cat /opt/link) $(user exec -u 0 box stat -c %u:%a /opt)" "deep 0:700"
	assert_runs user cp tree box:/var
	assert_runs user cp tree/. box:/etc/opened
	assert_eq "$(user exec -u 0 box cat /var/tree/link /etc/opened/link)" $'deep\ndeep'
	assert_runs user cp in box:/t
	assert_eq "$(user exec -u 0 box cat /t/in)" in "into what is mounted"
	assert_fails user cp in box:/no/such/
	assert_fails user cp tree box:/in
	user exec -u 0 box sh -c 'mkdir -p /from/sub && echo d >/from/sub/f && chown -R 33:34 /from && chmod 700 /from/sub; ln -s /root /away'
	assert_runs user cp box:/new out
	assert_eq "$(stat -c %u:%g home/out) $(cat home/out)" "1000:1000 x"
	assert_runs user cp -a box:/from got
	assert_eq "$(stat -c %u:%g:%a home/got/sub) $(cat home/got/sub/f)" "1000:1000:700 d"
	assert_runs user cp box:/from/. got
	assert_runs user cp box:/from/sub got
	assert_eq "$(cd home/got && find . -type f | sort | xargs)" "./sub/f"
	assert_runs user cp box:/t/in out
	assert_eq "$(cat home/out)" in "of what is mounted"
	assert_runs user cp box:/away out
	assert_eq "$(readlink home/out)" /root
	assert_fails user cp box:/nothing out2
	user cp box:/from - | tar -tv --numeric-owner >list
	assert_matches "$(cat list)" '33/34 .* sub/f$'
	assert_contains "$(user cp box:/from/sub/f - | tar -tv --numeric-owner)" 33/34
	tar -C home -c --owner=33 --group=34 in | user cp -a - box:/srv
	assert_eq "$(user exec -u 0 box stat -c %u:%g /srv/in)" 33:34
	user exec -u 0 box rm -rf /in /opt /etc/opened /var/tree /from /away /srv
}

test_files() {
	local mode
	begin
	printf secret | user secret create s - >/dev/null
	for mode in keep-id auto; do
		user run -d --network none --name box --userns $mode -u 0 --secret s,uid=33,mode=0400 -v "data-$mode:/etc" --tmpfs /t \
			busybox sh -c 'echo x >/new; chown 33:34 /new; echo y >>/etc/hosts; rm /bin/vi; exec sleep 100' >/dev/null
		wait_for 10 user exec box grep -q y /etc/hosts
		assert_eq "$(user exec -u 33 box cat /run/secrets/s)" secret
		assert_eq "$(user exec -u www-data box id -u)" 33
		assert_eq "$(user exec box stat -c %u:%g /new /etc/passwd)" $'33:34\n0:0'
		assert_fails user exec box sh -c 'echo 1 >/proc/sys/kernel/panic'
		copies
		user export box | tar -tv --numeric-owner >list
		assert_contains "$(grep '33/34.* new$' list)" new
		assert_not_contains "$(cat list)" bin/vi
		user stop -t 0 box
		user export box | tar -tv --numeric-owner | diff - list
		user cp box:/new out
		assert_eq "$(stat -c %u home/out) $(cat home/out)" "1000 x"
		assert_contains "$(user cp box:/new - | tar -tv --numeric-owner)" 33/34
		tar -C home -c --owner=33 --group=34 in | user cp -a - box:/bin
		assert_contains "$(user cp box:/bin/in - | tar -tv --numeric-owner)" 33/34
		assert_contains "$(user diff box)" "A /new"
		assert_contains "$(user diff box)" "D /bin/vi"
		assert_not_contains "$(user diff box)" /bin/ls
		# Stored as in the image, so that what is made of it has the image's ids
		user commit box localhost/made >/dev/null
		assert_eq "$(user run --rm --network none made stat -c %u:%g /new /bin)" $'33:34\n0:0'
		assert_status 1 user run --rm --network none made test -e /bin/vi
		user start box
		assert_eq "$(user exec box stat -c %u:%g /new)" 33:34
		user rm -f box
		user rmi made
	done
	user volume rm data-keep-id data-auto
	all_gone
}

test_network_and_terminal() {
	begin
	outside_make far 1
	ip route add default via 198.51.1.2
	user network create ours
	user run -d --network ours --name web --userns auto busybox sh -c 'echo hi >/tmp/index.html; exec httpd -f -h /tmp'
	wait_for 10 user exec web wget -q -O- http://localhost/
	assert_eq "$(user run --rm --network ours --userns keep-id busybox wget -q -O- http://web/)" hi
	assert_runs user run --rm --network none --userns keep-id -u 0 --init --tmpfs /t --shm-size 1m busybox sh -c 'touch /t/x /dev/shm/x'
	assert_contains "$(user run --rm --network none --userns keep-id -t busybox tty)" /dev/
	# Once more, with files of /etc that belong to the container's root
	user restart -t 0 web
	assert_eq "$(user exec web stat -c %u /etc/hosts)" 0
	assert_eq "$(user run --rm --network none --userns container:web busybox readlink /proc/self/ns/user)" \
		"$(user exec web readlink /proc/self/ns/user)"
	user rm -f web && user network rm ours
	all_gone
}

test_without_fuse() {
	begin
	umount /dev/fuse
	chmod 600 /dev/fuse
	assert_status 125 user run --rm --network none --userns keep-id busybox true
	assert_contains "$errors" "/dev/fuse"
	assert_eq "$(wc -l <<<"$errors")" 1
	all_gone
}

test_bad_input() {
	local mode
	begin
	for mode in what auto:size=0 keep-id:size=3 keep-id:uid=x ns: ns:/proc/self/ns/user container:no-such; do
		assert_status 125 user run --rm --userns "$mode" busybox true
		assert_eq "$(wc -l <<<"$errors")" 1 "$mode"
		assert_contains "$errors" --userns
	done
	assert_status 125 user run --rm --uidmap 0:200000:10 busybox true
	assert_contains "$errors" "none of yours"
	umount /etc/subuid
	assert_status 125 user run --rm --userns keep-id busybox true
	assert_contains "$errors" /etc/subuid
	all_gone
}
