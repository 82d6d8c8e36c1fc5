# What an installation consists of.
# where: host
# shellcheck shell=bash

installed() {
	meson install -C "$BRIG_BUILD" --no-rebuild --quiet --destdir "$TEST_DIR/root" || fail "meson install"
	prefix=$TEST_DIR/root$(meson introspect --buildoptions "$BRIG_BUILD" | jq -r '.[] | select(.name == "prefix") | .value')
}

test_everything_is_in_its_place() {
	installed
	local file
	for file in bin/brig-oci share/man/man1/brig-oci.1 share/bash-completion/completions/brig-oci \
		share/zsh/site-functions/_brig-oci share/fish/vendor_completions.d/brig-oci.fish share/doc/brig/LICENSE \
		share/doc/brig/README.md share/doc/brig/docs/engines.md bin/brig share/man/man1/brig-run.1 share/brig/busybox.tar \
		libexec/brig/brig-registry libexec/brig/brig-unpack libexec/brig/brig-dns libexec/brig/brig-init libexec/brig/brig-vmm \
		libexec/brig/brig-fsd libexec/brig/brig-guest lib/systemd/system/brig-network-reload.service \
		lib/systemd/system-generators/brig-system-generator lib/systemd/user-generators/brig-user-generator; do
		[ -s "$prefix/$file" ] || fail "$file is not installed"
	done
	assert_contains "$("$prefix/bin/brig-oci" --version)" "brig-oci version"
	assert_runs bash -n "$prefix/share/bash-completion/completions/brig-oci"
	# The helper stands where brig-oci looks for it.
	file=$(strings -a "$prefix/bin/brig-oci" | sed -n '\,^/.*/brig/brig-systemd$,p')
	[ ! -e "$BRIG_BUILD/cgroups/systemd/brig-systemd" ] || [ -x "$TEST_DIR/root$file" ] || fail "no $file"
}

test_nothing_else_is_installed() {
	installed
	assert_eq "$(cd "$prefix" && find . -type f | grep -vE '^\./(bin/brig|libexec/brig/|share/(man|doc/brig|bash-completion|zsh|fish|brig)/|lib/systemd/(system/brig-|(system|user)-generators/brig-))')" ""
}

test_the_manual_has_no_mistakes() {
	installed
	run man --warnings -E UTF-8 -l -Tutf8 -Z "$prefix/share/man/man1/brig-oci.1"
	assert_eq "$status" 0
	assert_eq "$errors" ""
	assert_contains "$(lexgrog "$prefix/share/man/man1/brig-oci.1")" "brig-oci - OCI container runtime"
}

test_help_is_no_wider_than_a_terminal() {
	local command
	assert_eq "$("$BRIG_OCI" --help | awk 'length > 80')" ""
	"$BRIG_OCI" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >commands
	[ "$(wc -l <commands)" -gt 10 ] || fail "too few commands: $(cat commands)"
	while read -r command; do
		assert_eq "$("$BRIG_OCI" "$command" --help | awk 'length > 80')" "" "$command"
	done <commands
}

# No program looks for a library, or for its own tables, where somebody may write.
test_programs_are_hardened() {
	installed
	local file header dynamic
	while read -r file; do
		header=$(readelf -lW "$file") dynamic=$(readelf -dW "$file")
		[[ $dynamic != *RPATH* && $dynamic != *RUNPATH* && $dynamic != *TEXTREL* ]] || fail "$file: $dynamic"
		assert_contains "$dynamic" "NOW PIE" "$file"
		assert_contains "$header" GNU_RELRO "$file"
		assert_matches "$header" "GNU_STACK[^$'\n']* RW " "$file"
	done < <(find "$prefix/bin" "$prefix/libexec" -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF && echo "$1"' - {} \;)
	[ -n "${dynamic-}" ] || fail "no program was looked at"
}

test_the_runtime_needs_no_loader() {
	[ "$(meson introspect --buildoptions "$BRIG_BUILD" | jq '.[] | select(.name == "static") | .value')" = true ] || skip "built with -Dstatic=false"
	assert_not_contains "$(readelf -lW "$BRIG_OCI")" INTERP
}
