#!/bin/bash
# README's five minutes, typed by a new user in a terminal: every line of the document's own, word for word.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/images.sh"
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
unset BRIG_LIBEXEC BRIG_SHARE

README=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../README.md")

# steps WORD: the lines of the block of code beneath "Five minutes" that has WORD in it
steps() {
	local text
	text=$(awk -v word="$1" '/^## / { here = $0 == "## Five minutes" }
		here && /^```/ { if (inside && index(text, word)) { printf "%s", text; exit } inside = !inside; text = ""; next }
		here && inside { text = text $0 "\n" }' "$README")
	[ -n "$text" ] || fail "README's five minutes have no \"$1\""
	printf '%s\n' "$text"
}

# A machine on which nothing of brig is, with a way out and a registry that is docker.io and registry.example
machine_make() {
	need tmux
	mount -t tmpfs -o mode=755 tmpfs /usr/local
	mount -t tmpfs -o mode=755 tmpfs /var/lib
	mount -t tmpfs -o mode=755 tmpfs /run
	meson install -C "$BRIG_BUILD" --no-rebuild --quiet >install.log || fail "$(tail -n 5 install.log)"
	outside_make far 1
	ip route add default via 198.51.1.2
	printf 'nameserver 198.51.1.2\n' >resolv && mount --bind resolv /etc/resolv.conf
	registry_make
}

registry_make() {
	start_registry
	mkdir containers
	printf '[[registry]]\nprefix = "%s"\nlocation = "127.0.0.1:5000"\ninsecure = true\n' docker.io registry.example \
		>containers/registries.conf
	mkdir -p /etc/containers && mount --bind containers /etc/containers
	skopeo copy -q --insecure-policy --dest-tls-verify=false "oci-archive:$BRIG_BUILD/cli/busybox.tar" \
		docker://127.0.0.1:5000/library/debian:12
}

# terminal_begin COMMAND...: what starts a shell in a terminal of 120 columns and 40 rows
terminal_begin() {
	count=1
	cat >bashrc <<-'RC'
		PS1='<\#:$?> ' HISTFILE=
	RC
	chmod 644 bashrc
	tmux -f /dev/null -S "$TEST_DIR/tmux" new-session -d -x 120 -y 40 "$* bash --rcfile $TEST_DIR/bashrc -i"
	tmux -S "$TEST_DIR/tmux" set-option -g history-limit 5000
	wait_for 20 shows "^<1:0> *$"
}

terminal_end() {
	tmux -S "$TEST_DIR/tmux" kill-server
}

screen() {
	tmux -S "$TEST_DIR/tmux" capture-pane -p -J -S -
}

# shows REGEX: some line does
shows() {
	screen | grep -Eq -- "$1"
}

press() {
	tmux -S "$TEST_DIR/tmux" send-keys "$@"
}

# type_line LINE: at the prompt, to the end of the command; with "leave it by: WORD" or "until ctrl-c" in its
# comment this does what a reader would
type_line() {
	local line=$1
	press -l "$line"
	press Enter
	case $line in
	*"leave it by: "*)
		wait_for 30 shows "^/ # *$" || fail "$(screen)"
		press -l "${line##*leave it by: }"
		press Enter
		;;
	*"until ctrl-c"*)
		wait_for 30 shows "response:200"
		press C-c
		;;
	esac
	count=$((count + 1))
	for _ in {1..1200}; do
		! shows "^<$count:[0-9]+> *$" || break
		sleep 0.05
	done
	case $line in
	*"until ctrl-c"*) shows "^<$count:(0|130)> *$" ;;
	*) shows "^<$count:0> *$" ;;
	esac || fail "of \"$line\":"$'\n'"$(screen | grep -v '^$')"
}

# walk WORD: that block of the document; what it printed is in $output
walk() {
	local line
	press C-l
	tmux -S "$TEST_DIR/tmux" clear-history
	while IFS= read -r line; do
		[ -z "$line" ] || type_line "$line"
	done < <(steps "$1")
	output=$(screen)
}

# What both users do, after the installation
walk_all() {
	walk "echo hello"
	assert_matches "$output" $'\nhello\n'
	assert_matches "$output" $'\nhi\n'
	assert_matches "$output" "busybox.* Up .*8080->80/tcp"
	assert_contains "$output" "httpd -fv"
	walk "network create"
	assert_contains "$output" "1 packets received"
	walk "brig pull"
	assert_contains "$output" "Loaded image: docker.io/library/debian:12"
	assert_file "$1/debian.tar"
	assert_contains "$(skopeo inspect --tls-verify=false docker://127.0.0.1:5000/debian:12)" '"Digest"'
}

test_demo() {
	unset BRIG_OCI
	assert_runs "$(dirname "$README")/demo.sh"
	assert_matches "$output" "process number +[0-9]+ +1"
	assert_contains "$output" "brig-oci exits with 42"
	assert_contains "$output" "      hello from a container"
	assert_contains "$output" "      demo: busybox, "
	assert_eq "$(find "$BRIG_BUILD" -maxdepth 1 -name 'demo-*')" ""
}

test_as_root() {
	machine_make
	terminal_begin
	type_line "brig doctor | grep -v ^missing"
	assert_not_contains "$(screen)" broken
	walk_all .
	terminal_end
	assert_eq "$(find /var/lib/brig/containers /var/lib/brig/names -mindepth 1)" ""
	assert_eq "$(ip -br link | grep -c -e veth -e ours || :)" 0
}

test_without_root() {
	machine_make
	mkdir -p home && chown 1000:1000 home && chmod 755 "$TEST_DIR"
	{ grep -v ':1000:' /etc/passwd && echo "reader:x:1000:1000::$TEST_DIR/home:/bin/bash"; } >passwd
	mount --bind passwd /etc/passwd
	echo 'reader:200000:65536' >subids
	mount --bind subids /etc/subuid && mount --bind subids /etc/subgid
	mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200
	mkdir -p /run/user/1000 && chown 1000:1000 /run/user/1000
	terminal_begin cd home "&&" exec setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all -- \
		env HOME="$TEST_DIR/home" USER=reader XDG_RUNTIME_DIR=/run/user/1000
	type_line "brig doctor | grep -v ^missing"
	assert_not_contains "$(screen)" broken
	walk_all home
	terminal_end
	assert_eq "$(find home/.local/share/brig/containers home/.local/share/brig/names -mindepth 1)" ""
}
